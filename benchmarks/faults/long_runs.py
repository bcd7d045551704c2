"""A run of many epochs, whose memory and files are watched, and many runs in one folder."""

import os
import time
from pathlib import Path

from benchmarks.faults.commands import SMALL, started
from benchmarks.faults.kills import outcome
from benchmarks.faults.point import Point

GROWTH = 8.0
"""MiB that a long run may grow by between its first and its last quarter."""
AT_ONCE = 20
"""Processes that run at the same moment; the others wait, since memory is small."""


def grows(point: Point, folder: Path, epochs: int) -> None:
    """Watch memory and open files of a long run on the digits."""
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


def many_at_once(point: Point, folder: Path, count: int) -> None:
    """Start ``count`` runs that name their folders themselves, in one ``runs/``.

    Every fourth has the options of the one before: both want a folder of one name. Each run that
    ends with 0 has a whole folder of its own; who is refused says so in one sentence.
    """
    place = folder / "many"
    place.mkdir()
    argv = ("train", "--epochs=1", *SMALL)
    started(*argv, "--seed=0", "--out=alone", cwd=place).communicate()
    waiting = [f"--seed={number // 4 * 3 + min(number % 4, 2)}" for number in range(count)]
    running, ended = [], 0
    while waiting or running:
        while waiting and len(running) < AT_ONCE:
            seed = waiting.pop()
            running.append((seed, started(*argv, seed, cwd=place)))
        seed, process = running.pop(0)
        _, err = process.communicate(timeout=900)
        refused = process.returncode == 2 and len(err.strip().splitlines()) == 1
        ended += process.returncode == 0
        point.saw("many runs at once", process.returncode == 0 or refused, f"{seed}: {err[-200:]}")
    folders = sorted((place / "runs").iterdir())
    done = [each for each in folders if (each / "summary.json").exists()]
    point.saw(
        "a folder for each of them",
        len(folders) == len(done) == ended and not list(place.rglob("*.tmp")),
        f"{len(folders)} folders, {len(done)} finished, {ended} runs",
    )
    right = outcome(place / "alone")
    for each in folders:
        if "-seed0-" in f"{each.name}-":
            point.saw("their files", outcome(each) == right, f"{each.name} differs")
    point.notes.append(
        f"{count} runs in one runs/, {min(count, AT_ONCE)} of them at the same time."
    )
