"""Odd circumstances: places, environments, clocks, readers that go away, many runs at once."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.faults.commands import ROOT, SMALL, Said, outside, started
from benchmarks.faults.kills import outcome
from benchmarks.faults.long_runs import grows, many_at_once
from benchmarks.faults.point import Point, Size

ARGV = ("train", "--epochs=2", *SMALL)
PLACES = (
    "with spaces", "quo'te\"s", "图 ñ", "-dash", "semi;colon & $HOME", "a" * 200, "new\nline",
    "per%cent {brace} [x]*",
)  # fmt: skip
GERMAN = "de_DE.UTF-8"
JUMPING = """
import random, sys, time
draws, real = random.Random(0), time.time
time.time = lambda: real() - 10_000 * draws.random()
time.time_ns = lambda: int(time.time() * 1e9)
from mwnet.__main__ import main
sys.exit(main(sys.argv[1:]))
"""
"""Runs a command whose clock jumps by hours, mostly backwards, from one look to the next."""
IN_GERMAN = f"""
import locale, sys
locale.setlocale(locale.LC_ALL, "{GERMAN}")
assert locale.str(1.5) == "1,5"
from mwnet.__main__ import main
sys.exit(main(sys.argv[1:]))
"""
"""Runs a command in a program that has chosen decimal commas, as one with windows does."""


def run(point: Point, size: Size, seed: int) -> None:
    """Train in every circumstance."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        whole = folder / "whole"
        outside(*ARGV, "--out", str(whole))
        right = outcome(whole)
        places(point, folder, right, size)
        environments(point, folder, right)
        programs(point, folder, right)
        closed_outputs(point, folder, right)
        many_at_once(point, folder, 8 if size == "quick" else 200)
        grows(point, folder, 300 if size == "quick" else 10_000)
    if size == "quick":
        point.passed_over.append("10,000 epochs and 200 runs at once: not in --quick.")
    point.passed_over.append("A slow disk.")


def kept(point: Point, kind: str, what: str, said: Said, out: Path, right: Any) -> None:
    """Count a run, which survives if its files are those of a run in an ordinary place."""
    same = said.code == 0 and outcome(out) == right
    point.saw(kind, same, f"{what}: exit code {said.code}: {said.err[-200:]}")


def places(point: Point, folder: Path, right: Any, size: Size) -> None:
    """Write into folders with odd names."""
    for place in PLACES if size == "full" else PLACES[:6]:
        (folder / place).mkdir()
        said = outside(*ARGV, f"--out={place}/run", cwd=folder)
        kept(point, "odd paths", repr(place[:20]), said, folder / place / "run", right)


def environments(point: Point, folder: Path, right: Any) -> None:
    """Train with variables that are odd or missing, and with a home that is read-only."""
    cases: dict[str, dict[str, str | None]] = {
        "no HOME": {"HOME": None, "MWNET_CACHE": None, "XDG_CACHE_HOME": None},
        "a HOME that is not there": {"HOME": "/nowhere", "MWNET_CACHE": None},
        "ASCII": {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii"},
        "no TMPDIR": {"TMPDIR": "/nowhere"},
        "another time zone": {"TZ": "Asia/Kathmandu"},
    }
    with read_only(folder / "home") as home:
        if home is None:
            point.passed_over.append("A read-only HOME: this machine lets nobody mount one.")
        else:
            cases["a read-only HOME"] = {"HOME": str(home), "MWNET_CACHE": None}
        for what, variables in cases.items():
            said = outside(*ARGV, "--out", str(folder / what), cwd=ROOT, **variables)
            kept(point, "odd environments", what, said, folder / what, right)


@contextmanager
def read_only(home: Path) -> Iterator[Path | None]:
    """A folder that even root cannot write to; None where nothing can be mounted."""
    home.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "ro", "none", str(home)]
    if os.name != "posix" or subprocess.run(mount, capture_output=True, check=False).returncode:
        yield None
        return
    try:
        yield home
    finally:
        subprocess.run(["umount", str(home)], check=False)


def programs(point: Point, folder: Path, right: Any) -> None:
    """Train in a process whose clock jumps, and in one that writes decimal commas."""
    said = program(JUMPING, *ARGV, "--out", str(folder / "jumps"))
    kept(point, "a clock that jumps backwards", "a run", said, folder / "jumps", right)
    locales = folder / "locales"
    locales.mkdir()
    make = ["localedef", "-i", "de_DE", "-f", "UTF-8", str(locales / GERMAN)]
    if (
        not shutil.which("localedef")
        or subprocess.run(make, capture_output=True, check=False).returncode
    ):
        point.passed_over.append("Decimal commas: this machine has no German locale.")
        return
    said = program(IN_GERMAN, *ARGV, "--out", str(folder / "komma"), LOCPATH=str(locales))
    kept(point, "decimal commas", "a run", said, folder / "komma", right)


def program(text: str, *argv: str, **more: str) -> Said:
    """Run a short program with arguments."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **more}
    done = subprocess.run(
        [sys.executable, "-c", text, *argv],
        cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=600,
    )  # fmt: skip
    return Said(done.returncode, done.stdout, done.stderr)


def closed_outputs(point: Point, folder: Path, right: Any) -> None:
    """Readers that go away after a line or at once, and outputs that are closed from the start."""
    for what, argv in {
        "train | head -1": [*ARGV, "--out", str(folder / "head")],
        "--help | head -1": ["train", "--help"],
        "cache | head -1": ["cache"],
    }.items():
        process = started(*argv)
        assert process.stdout is not None
        assert process.stderr is not None
        if what.startswith("train"):
            process.stdout.readline()
        process.stdout.close()
        err = process.stderr.read()
        code = process.wait(timeout=120)
        ended = code in (0, 128 + signal.SIGPIPE) and "Traceback" not in err
        point.saw("a reader that goes away", ended, f"{what}: {code} {err[-200:]}")
    for what, closed in {
        "stdout": ">&-",
        "stderr": "2>&-",
        "stdin": "<&-",
        "all": ">&- 2>&- <&-",
    }.items():
        out = folder / f"closed {what}"
        line = f'exec "$0" -m mwnet "$@" {closed}'
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        done = subprocess.run(
            ["bash", "-c", line, sys.executable, *ARGV, "--out", str(out)],
            cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=600,
        )  # fmt: skip
        said = Said(done.returncode, done.stdout, done.stderr)
        kept(point, "closed from the start", what, said, out, right)
