"""How time and memory grow with rows, classes, batch and width.

    python -m benchmarks.growth [--most-rows 1000000] [--only rows,classes]

Each line is a run of ``mwnet train --data x.npz`` in a fresh process, with figures and the review
page: two epochs, one for each round, on normal clusters with a fifth of the labels drawn anew. A
slope is that between a line and the one before: 1 where ten times as much takes ten times as long.
Training and the rest are CPU seconds without imports. The peak is of resident memory, with Python
and torch.
"""

import argparse
import json
import math
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.own_data import now, peak

FEATURES = 20
CELLS: dict[str, tuple[str, list[int]]] = {
    "rows": ("1: a step is a batch, and all else is done once a row", [10**3, 10**4, 10**5, 10**6]),
    "classes": ("at most 1: a row has K probabilities", [2, 10, 100, 1000]),
    "batch": ("at most 0: the same rows in fewer steps", [32, 256, 2048]),
    "width": ("at most 2: a layer has width x width weights", [64, 256, 1024]),
}
FIXED = {"rows": 20_000, "classes": 5, "batch": 256, "width": 128}


def make(path: Path, rows: int, classes: int) -> None:
    """Write samples and labels."""
    rng = np.random.default_rng(0)
    truth = rng.integers(0, classes, rows)
    centres = rng.normal(size=(classes, FEATURES)).astype(np.float32)
    x = centres[truth] + rng.normal(size=(rows, FEATURES)).astype(np.float32)
    wrong = rng.random(rows) < 0.2
    np.savez(path, x=x, y=np.where(wrong, rng.integers(0, classes, rows), truth))


def watched(data: str, out: str, batch: str, width: str, more: list[str]) -> dict[str, float]:
    """Train in this process; return CPU seconds of training and of the rest, and the peak."""
    from unittest.mock import patch

    from mwnet.__main__ import train
    from mwnet.reviewing import from_run  # noqa: F401  # imports count for no line
    from mwnet.runs import figures  # noqa: F401
    from mwnet.training.trainer import Trainer

    seconds = {"training": 0.0}
    fit = Trainer.fit

    def timed(*args: Any, **kwargs: Any) -> Any:
        begun = now()[1]
        try:
            return fit(*args, **kwargs)
        finally:
            seconds["training"] += now()[1] - begun

    argv = ["--data", data, "--out", out, "--epochs", "2", "--epoch-steps", "1000000"]
    argv += ["--batch-size", batch, "--model.width", width, "--threads", "1", "--no-tensorboard"]
    begun = now()[1]
    with patch.object(Trainer, "fit", timed):
        assert train([*argv, *more]) == 0
    seconds["rest"] = now()[1] - begun - seconds["training"]
    return {**seconds, "peak": peak()}


def lines(name: str, values: list[int], more: list[str]) -> Iterator[str]:
    """Run a sweep, and yield a row of the table for each value."""
    before: tuple[int, dict[str, float]] | None = None
    for value in values:
        sizes = {**FIXED, name: value}
        with tempfile.TemporaryDirectory() as folder:
            data, out = Path(folder) / "x.npz", Path(folder) / "run"
            make(data, sizes["rows"], sizes["classes"])
            child = ["--child", data, out, str(sizes["batch"]), str(sizes["width"]), *more]
            done = subprocess.run(
                [sys.executable, "-m", "benchmarks.growth", *child],
                check=True,
                capture_output=True,
                text=True,
            )
            found = json.loads(done.stdout.splitlines()[-1])
        cells = [name, f"{value:,}"]
        for what in ("training", "rest", "peak"):
            digits = 0 if what == "peak" else 1
            slope = ""
            if before is not None and min(found[what], before[1][what]) > 0:
                ratio = math.log(found[what] / before[1][what]) / math.log(value / before[0])
                slope = f" ({ratio:+.2f})"
            cells.append(f"{found[what]:,.{digits}f}{slope}")
        before = value, found
        yield f"| {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--most-rows", type=int, default=10**6)
    parser.add_argument("--only", default=",".join(CELLS))
    parser.add_argument("--child", nargs=4, help=argparse.SUPPRESS)
    args, more = parser.parse_known_args()
    if args.child:
        data, out, batch, width = args.child
        found = watched(data, out, batch, width, more)
        print(json.dumps(found))
        return
    print("| grows | to | training, s (slope) | the rest, s (slope) | peak, MiB (slope) |")
    print("|---|---|---|---|---|")
    for name in args.only.split(","):
        values = [value for value in CELLS[name][1] if name != "rows" or value <= args.most_rows]
        for line in lines(name, values, more):
            print(line, flush=True)
    print()
    for name in args.only.split(","):
        print(f"- slope of {name}: {CELLS[name][0]}")


if __name__ == "__main__":
    main()
