"""The command of the campaign; see ``benchmarks.faults``."""

import argparse
import dataclasses
import importlib
import json
import sys
from pathlib import Path

from benchmarks.faults import report
from benchmarks.faults.mended import MENDED
from benchmarks.faults.point import Point, measured
from mwnet.core.files import write_text

POINTS = {
    "kills": (
        "Kills and signals",
        "A run is killed at random moments and resumed until it is done. Every file equals that of "
        "a run never killed, byte for byte; of summaries and checkpoints everything but times.",
    ),
    "disks": (
        "Disks",
        "A write, flush or rename fails at the k-th call. The command ends with code 2 and a "
        "sentence with the reason, leaves nothing half-written, and a run goes on from its last "
        "checkpoint. "
        "Damaged checkpoints and networks are refused. A run folder has one process at a time.",
    ),
    "hostile": (
        "Hostile files",
        "No code of a file runs (a marker file would show it). Every file is read, or refused by "
        "name in one sentence.",
    ),
    "fuzz": (
        "Fuzzing",
        "Files that hypothesis makes, nearly right ones: each is read to a result that makes "
        "sense, or refused in one sentence. A refused command leaves no folder.",
    ),
    "bad_input": (
        "Bad input",
        "Exit code 2, or ValueError in Python, with one sentence that names the culprit and a "
        "remedy. No traceback, no folder. The twin of a bad input, which is right, passes.",
    ),
    "numbers": (
        "Numbers",
        "Odd numbers give finite results or one sentence. The same seed gives the same files.",
    ),
    "truth": (
        "Truth cannot leak",
        "True labels are swapped for others. Parameters and scores stay the same to the bit.",
    ),
    "circumstances": (
        "Long runs and odd circumstances",
        "The files are those of a run in an ordinary place. Memory and open files do not grow.",
    ),
    "supply": (
        "Supply",
        "Every dependency has a free licence and no known weakness, and has wheels for every "
        "Python that setup.py allows.",
    ),
}


def main() -> int:
    """Run the campaign; returns 1 if something was lost."""
    parser = argparse.ArgumentParser("python -m benchmarks.faults", description=report.__doc__)
    parser.add_argument("--quick", action="store_true", help="minutes instead of hours")
    parser.add_argument("--only", help=f"points with commas between: {','.join(POINTS)}")
    parser.add_argument("--seed", type=int, default=0, help="of every draw")
    parser.add_argument("--keep", type=Path, default=Path("runs/faults"), help="of the figures")
    parser.add_argument("--report", action="store_true", help="write the page from --keep")
    options = parser.parse_args()
    names = options.only.split(",") if options.only else list(POINTS)
    unknown = [name for name in names if name not in POINTS]
    if unknown:
        parser.error(f"unknown point '{unknown[0]}' (known: {', '.join(POINTS)})")
    size = "quick" if options.quick else "full"
    options.keep.mkdir(parents=True, exist_ok=True)
    lost = 0
    for name in [] if options.report else names:
        print(name, flush=True)
        point = Point(name, *POINTS[name])
        campaign = importlib.import_module(f"benchmarks.faults.{name}").run
        measured(point, campaign, size, options.seed)
        tried = sum(point.tried.values())
        print(f"  {tried} tried, {len(point.lost)} lost, {point.seconds:.0f} s", flush=True)
        write_text(options.keep / f"{name}.json", json.dumps(dataclasses.asdict(point), indent=1))
        lost += len(point.lost)
    if options.report or not options.only:
        kept = [options.keep / f"{name}.json" for name in POINTS]
        points = [Point(**json.loads(path.read_text())) for path in kept if path.exists()]
        for point in points:
            point.mended = MENDED.get(point.name, [])
        report.write(points, size, options.seed)
    return int(lost > 0)


if __name__ == "__main__":
    sys.exit(main())
