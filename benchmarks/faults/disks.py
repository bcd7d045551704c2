"""Disks that fail, a full one, damaged checkpoints, and two processes on one folder."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch

from benchmarks.faults.commands import ROOT, SMALL, inside, outside, started
from benchmarks.faults.kills import outcome
from benchmarks.faults.point import Point, Size
from mwnet.core.errors import UserError
from mwnet.training import checkpoint

ARGV = ("train", "--epochs=3", "--meta-noisy", "--meta-loss=mae", *SMALL)
CPU = torch.device("cpu")


def run(point: Point, size: Size, seed: int) -> None:
    """Try failing calls, a full disk, damage, and two at once."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        failing_calls(point, folder, size)
        said = inside(*ARGV, "--out", str(folder / "whole"))
        assert said.code == 0, said.err
        full_disk(point, folder)
        damaged_checkpoints(point, folder, size)
        damaged_models(point, folder, size)
        two_processes(point, folder, 1 if size == "quick" else 20)


def failing_calls(point: Point, folder: Path, size: Size) -> None:
    """Runs whose k-th write, flush, rename or new file fails."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None or sys.platform != "linux":
        point.passed_over.append("Failing calls need a C compiler and Linux: there is none here.")
        return
    library, source = folder / "failing_disk.so", Path(__file__).with_name("failing_disk.c")
    argv = [compiler, "-shared", "-fPIC", "-O1", "-o", str(library), str(source), "-ldl"]
    subprocess.run(argv, check=True)
    place = folder / "failing"
    place.mkdir()
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.faults.disk_process", str(place), size],
        cwd=ROOT,
        env={**os.environ, "LD_PRELOAD": str(library), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    for line in done.stdout.splitlines():
        kind, survived, what = json.loads(line)
        point.saw(kind, survived, what)
    if done.returncode != 0:
        point.saw("a run on a failing disk", False, f"the process died: {done.stderr[-400:]}")


def full_disk(point: Point, folder: Path) -> None:
    """A real file system that is full at another moment of a run each time."""
    place = folder / "small"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=300k", "none", str(place)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode != 0:
        point.passed_over.append("A full tmpfs: this machine lets nobody mount one.")
        return
    try:
        for spare in (0, 4, 16, 64, 96, 128, 160, 192, 224):
            filler, out = place / "filler", place / "run"
            filler.write_bytes(b"x" * 1024 * (288 - spare))
            said = inside(*ARGV, "--out", str(out))
            fault = ""
            if said.code == 0:
                same = outcome(out) == outcome(folder / "whole")
                fault = "" if same else "exit code 0, but files differ"
            elif said.code != 2 or "No space left" not in said.err:
                fault = f"exit code {said.code}: {said.err[-300:]}"
            elif out.exists() and (out / "config.yaml").exists():
                filler.unlink()
                again = inside("resume", str(out))
                same = again.code == 0 and outcome(out) == outcome(folder / "whole")
                fault = "" if same else f"resumed with room: {again.err} files differ"
            elif out.exists():
                fault = f"left behind: {list(out.iterdir())}"
            point.saw("a full tmpfs", not fault, f"{spare} KiB left: {fault}")
            shutil.rmtree(out, ignore_errors=True)
    finally:
        subprocess.run(["umount", str(place)], check=False)


def damaged_checkpoints(point: Point, folder: Path, size: Size) -> None:
    """A checkpoint that is cut off, or in which a bit is another: refused, or as it was."""
    run_folder = folder / "damaged"
    shutil.copytree(folder / "whole", run_folder)
    last = run_folder / "last.pt"
    content = last.read_bytes()
    right = frozen(last)
    pace = 1000 if size == "full" else max(1000, len(content) // 60)
    for length in range(0, len(content), pace):
        last.write_bytes(content[:length])
        point.saw("a checkpoint cut off", *refused_or(last, right, f"{length} bytes"))
    pace = 97 if size == "full" else max(97, len(content) // 300)
    for place in range(0, len(content), pace):
        flipped = bytearray(content)
        flipped[place] ^= 1 << (place % 8)
        last.write_bytes(flipped)
        point.saw("a checkpoint with one other bit", *refused_or(last, right, f"byte {place}"))
    last.write_bytes(content[: len(content) // 2])
    said = inside("resume", str(run_folder))
    best = run_folder / "best.pt"
    offered = said.code == 2 and f"{best} is whole: copy it" in said.err
    point.saw("the checkpoint before is offered", offered, said.err)
    shutil.copy(best, last)
    said = inside("resume", str(run_folder))
    same = said.code == 0 and outcome(run_folder) == outcome(folder / "whole")
    point.saw("the run goes on from it", same, said.err or "files differ")


def frozen(path: Path) -> str:
    """What a checkpoint holds, as text."""
    from benchmarks.faults.kills import frozen as bits

    return repr(bits(checkpoint.load(path, CPU)))


def refused_or(path: Path, right: str, what: str) -> tuple[bool, str]:
    """Whether a damaged checkpoint is refused by name, or holds what it held all the same."""
    try:
        found = frozen(path)
    except UserError as error:
        return str(path) in str(error), f"{what}: the file is not named: {error}"
    except Exception as error:
        return False, f"{what}: {type(error).__name__}: {error}"
    return found == right, f"{what}: read as something else"


def damaged_models(point: Point, folder: Path, size: Size) -> None:
    """A trained network in which a byte is another."""
    import mwnet

    run_folder = folder / "damaged"
    tensors = run_folder / "model.safetensors"
    content = tensors.read_bytes()
    pace = max(1, len(content) // (60 if size == "quick" else 1000))
    for place in range(0, len(content), pace):
        flipped = bytearray(content)
        flipped[place] ^= 16
        tensors.write_bytes(flipped)
        try:
            mwnet.load(run_folder).predict_proba(torch.zeros(2, 8, 8).numpy())
            survived, what = False, f"byte {place}: read in silence"
        except ValueError as error:
            survived, what = "model" in str(error), f"byte {place}: {error}"
        point.saw("a trained network with one other byte", survived, what)
    tensors.write_bytes(content)


def two_processes(point: Point, folder: Path, times: int) -> None:
    """The second process on a run folder is refused, and the first is not disturbed."""
    for number in range(times):
        out = folder / f"shared-{number}"
        argv = [each.replace("--epochs=3", "--epochs=300") for each in ARGV]
        first = started(*argv, "--out", str(out))
        while not (out / "last.pt").exists() and first.poll() is None:
            time.sleep(0.05)
        second = outside("resume", str(out))
        refused = second.code == 2 and "another process works in" in second.err
        point.saw("a second process on a run folder", refused, second.err)
        third = outside(*argv, "--out", str(out))
        point.saw("a second run into the same folder", third.code == 2, third.err)
        first.send_signal(signal.SIGKILL if number else signal.SIGTERM)
        first.communicate()
        again = outside("resume", str(out), "--max-steps=12")
        free = again.code == 0 or "another process" not in again.err
        point.saw("a killed process lets go of its folder", free, again.err)
