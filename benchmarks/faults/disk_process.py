"""Runs on a failing disk, in the process that has ``failing_disk.c`` loaded; JSON lines on stdout.

python -m benchmarks.faults.disk_process FOLDER quick|full
"""

import ctypes
import errno
import json
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.faults.commands import SMALL, Said, inside
from benchmarks.faults.kills import outcome

WRITES, FLUSHES, RENAMES, MAKES, REMOVALS = 1, 2, 4, 8, 16
ALWAYS = 2**40
FAULTS = {
    "no space left, from the k-th write on": (errno.ENOSPC, WRITES | MAKES, True),
    "an error of input and output, once": (errno.EIO, WRITES | FLUSHES | RENAMES, False),
    "flushing fails from the k-th time on": (errno.EIO, FLUSHES, True),
    "read-only from the k-th call on": (errno.EROFS, 31, True),
    "half of what was to be written": (0, WRITES, True),
}
"""By name: the error, the calls that it strikes, and whether it stays."""

disk = ctypes.CDLL(None)


def armed(folder: Path, call: int, error: int, kind: int, stays: bool, *argv: str) -> Said:
    """Run a command while calls below ``folder`` fail from number ``call`` on."""
    last = ALWAYS if stays else call
    disk.arm(str(folder).encode(), ctypes.c_long(call), ctypes.c_long(last), error, kind)
    try:
        return inside(*argv)
    finally:
        armed.seen = disk.disarm()  # pyright: ignore[reportFunctionMemberAccess]


def main(folder: Path, size: str) -> None:
    """Strike every call of a training run, and of the commands after it."""
    argv = ["train", "--epochs=3", "--meta-noisy", "--meta-loss=mae", *SMALL]
    whole = folder / "whole"
    assert inside(*argv, "--out", str(whole)).code == 0
    right = outcome(whole)
    for name, (error, kind, stays) in FAULTS.items():
        out = folder / "run"
        armed(out, ALWAYS, error, kind, stays, *argv, "--out", str(out))
        shutil.rmtree(out)
        for call in calls(size):
            said = armed(out, call, error, kind, stays, *argv, "--out", str(out))
            fault = judged(said, out, error, right)
            tell(f"a run: {name}", fault, f"call {call}: {fault}")
            shutil.rmtree(out, ignore_errors=True)
    others(folder, whole, size)


def calls(size: str) -> Iterator[int]:
    """The numbers of the calls that fail."""
    last = armed.seen  # pyright: ignore[reportFunctionMemberAccess]
    step = max(1, last // 5) if size == "quick" else 1
    yield from range(1, last + 1, step)


def judged(said: Said, out: Path, error: int, right: dict[str, Any]) -> str:
    """What is wrong with how a run ended, or an empty string."""
    if said.code == 0:
        found = outcome(out)
        wrong = [name for name in right if found.get(name) != right[name]]
        return f"exit code 0, but {wrong} differ" if wrong else ""
    fault = one_sentence(said, error)
    if fault or not out.exists():
        return fault
    if not (out / "config.yaml").exists():
        left = sorted(path.name for path in out.iterdir())
        return "" if error == errno.EROFS else f"a folder without a run is left: {left}"
    if error != errno.EROFS and list(out.rglob(".*.tmp")):
        return f"temporary files are left: {list(out.rglob('.*.tmp'))}"
    again = inside("resume", str(out))
    if again.code != 0:
        return f"resume: {again.err.strip()}"
    found = outcome(out)
    wrong = [name for name in right if found.get(name) != right[name]]
    return f"resumed, and {wrong} differ" if wrong else ""


def one_sentence(said: Said, error: int) -> str:
    """What is wrong with a refusal: it must give the reason in one sentence, with exit code 2."""
    lines = said.err.strip().splitlines()
    if said.code != 2 or len(lines) != 1 or "Traceback" in said.err:
        return f"exit code {said.code}, {said.err.strip()[-300:]!r}"
    if error and os.strerror(error) not in said.err:
        return f"the reason is not named: {lines[0]}"
    return ""


def others(folder: Path, whole: Path, size: str) -> None:
    """Commands that write one file: it is whole or not there."""
    data = folder / "new.npy"
    import numpy as np

    np.save(data, np.zeros((5, 8, 8), dtype=np.float32))
    for command in (
        ("predict", str(whole), "--data", str(data), "--out"),
        ("export", str(whole), "--to", "embedding-atlas"),
    ):
        for name, (error, kind, stays) in FAULTS.items():
            out = folder / "out"
            out.mkdir()
            target = out / ("file.parquet" if command[0] == "export" else "file.csv")
            armed(out, ALWAYS, error, kind, stays, *command, str(target))
            right = target.read_bytes()
            target.unlink()
            for call in calls(size):
                said = armed(out, call, error, kind, stays, *command, str(target))
                if said.code == 0:
                    fault = "" if target.read_bytes() == right else "exit code 0, another file"
                else:
                    fault = one_sentence(said, error)
                    left = [path.name for path in out.iterdir()]
                    if not fault and left and error != errno.EROFS:
                        fault = f"left behind: {left}"
                tell(f"mwnet {command[0]}: {name}", fault, f"call {call}: {fault}")
                shutil.rmtree(out)
                out.mkdir()
            shutil.rmtree(out)


def tell(kind: str, fault: str, what: str) -> None:
    """Print what was seen, for the process that counts."""
    sys.__stdout__.write(json.dumps([kind, not fault, what]) + "\n")  # pyright: ignore
    sys.__stdout__.flush()  # pyright: ignore


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
