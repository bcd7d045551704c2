"""Odd circumstances: places, environments, readers that go away, long runs."""

import os
import signal
import tempfile
import time
from pathlib import Path

from benchmarks.faults.commands import SMALL, outside, started
from benchmarks.faults.kills import outcome
from benchmarks.faults.point import Point, Size

ARGV = ("train", "--epochs=2", *SMALL)
GROWTH = 8.0
"""MiB that a long run may grow by after its first tenth."""


def run(point: Point, size: Size, seed: int) -> None:
    """Train in every circumstance."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        whole = folder / "whole"
        outside(*ARGV, "--out", str(whole))
        right = outcome(whole)
        home = folder / "home"
        home.mkdir()
        home.chmod(0o500)
        places = ["with spaces", "quo'te\"s", "图 ñ", "-dash", "semi;colon & $HOME", "a" * 200]
        for place in places if size == "full" else places[:3]:
            (folder / place).mkdir()
            said = outside(*ARGV, f"--out={place}/run", cwd=folder)
            out = folder / place / "run"
            same = said.code == 0 and outcome(out) == right
            point.saw("odd paths", same, f"{place}: {said.err[-200:]}")
        for what, variables in {
            "no HOME": {"HOME": None, "MWNET_CACHE": None, "XDG_CACHE_HOME": None},
            "a HOME that cannot be written": {"HOME": str(home), "MWNET_CACHE": None},
            "a HOME that is not there": {"HOME": "/nowhere", "MWNET_CACHE": None},
            "decimal commas": {"LC_ALL": "de_DE.UTF-8"},
            "ASCII": {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii"},
            "no TMPDIR": {"TMPDIR": "/nowhere"},
            "another time zone": {"TZ": "Asia/Kathmandu"},
        }.items():
            out = folder / what
            said = outside(*ARGV, "--out", str(out), **variables)
            same = said.code == 0 and outcome(out) == right
            point.saw("odd environments", same, f"{what}: {said.err[-200:]}")
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
        grows(point, folder, 200 if size == "quick" else 10_000)
    if size == "quick":
        point.passed_over.append("10,000 epochs, 1,000,000 rows, 200 runs at once: not in --quick.")
    point.passed_over.append(
        "A clock that jumps backwards was not tried: runs measure monotonically."
    )


def grows(point: Point, folder: Path, epochs: int) -> None:
    """Watch memory and open files of a long run."""
    argv = ["train", "--method=erm", f"--epochs={epochs}", "--train-size=100", *SMALL[:6]]
    process = started(*argv, "--out", str(folder / "long"), "--eval-every=10")
    seen: list[tuple[float, int]] = []
    metrics = folder / "long" / "last.pt"
    while process.poll() is None:
        time.sleep(0.25)
        if not metrics.exists():
            continue
        try:
            pages = int(Path(f"/proc/{process.pid}/statm").read_text().split()[1])
            files = len(list(Path(f"/proc/{process.pid}/fd").iterdir()))
        except (OSError, IndexError):
            break
        seen.append((pages * os.sysconf("SC_PAGE_SIZE") / 2**20, files))
    _, err = process.communicate()
    point.saw("a long run", process.returncode == 0, err[-300:])
    if len(seen) < 10:
        point.passed_over.append("The growth of memory: the run was too short to be watched.")
        return
    early, late = seen[len(seen) // 4], seen[-len(seen) // 4]
    growth, more = late[0] - early[0], late[1] - early[1]
    point.notes.append(
        f"{epochs} epochs: {growth:+.1f} MiB and {more:+d} open files between the first and the "
        "last quarter."
    )
    point.saw("memory of a long run", growth < GROWTH, f"grew by {growth:.1f} MiB")
    point.saw("open files of a long run", more <= 1, f"{more} more")
