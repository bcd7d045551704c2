"""What it costs to hand out many trainings: to local processes and to tasks of Ray.

    python -m benchmarks.scheduling [--cells 200] [--epochs 5] [--jobs 1000] [--processes 2]

The first table hands out jobs that do nothing (`abs` of a number): seconds until the first result,
jobs a second after that, and what one costs. Ray has it twice: each job a task, and batches of
jobs, as the commands cut them. The second table trains cells of a table of digits, Meta-Weight-Net
with an MAE meta loss on different seeds, one thread each, and says whether the label qualities are
the same bytes.
"""

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any
from unittest.mock import patch

from mwnet.core.scheduling import LOCAL, Place, scheduler
from mwnet.reproduce.tables.cells import Cell, plan
from mwnet.reproduce.tables.runner import run_cells
from mwnet.reproduce.tables.table import Table
from mwnet.runs.folder import QUALITY

OPTIONS: dict[str, Any] = {"meta_loss": "mae", "meta_noisy": True, "device": "cpu"}


def main() -> None:
    """Print the two tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", type=int, default=200)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=1000)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--ray", default=LOCAL, help="a cluster to join; default: one started here")
    options = parser.parse_args()
    here, ray = Place(options.processes), Place(options.processes, options.ray)
    print(f"{'empty jobs':28}{'first [s]':>10}{'jobs a second':>15}{'ms a job':>10}")
    for name, place, task_seconds in (
        ("local processes", here, 1.0),
        ("Ray, each a task", ray, 0.0),
        ("Ray, in batches", ray, 1.0),
    ):
        with patch("mwnet.core.cluster.TASK_SECONDS", task_seconds):
            first, rate = handed_out(place, options.jobs)
        print(f"{name:28}{first:10.2f}{rate:15.0f}{1000 / rate:10.2f}", flush=True)
    print(f"\n{f'{options.cells} cells of digits':28}{'seconds':>10}{'a second':>15}{'same':>10}")
    with tempfile.TemporaryDirectory() as folder:
        found: list[list[bytes]] = []
        for name, place in (("local processes", here), ("Ray", ray)):
            cells = grid(Path(folder) / name, options.cells, options.epochs)
            began = time.perf_counter()
            failed = run_cells(cells, place)
            seconds = time.perf_counter() - began
            if failed:
                raise SystemExit(f"{failed[0].cell}: {failed[0].text}")
            found.append([(cell.folder / QUALITY).read_bytes() for cell in cells])
            same = "yes" if found[-1] == found[0] else "no"
            print(f"{name:28}{seconds:10.1f}{len(cells) / seconds:15.2f}{same:>10}", flush=True)


def handed_out(place: Place, count: int) -> tuple[float, float]:
    """Hand out jobs that do nothing.

    Returns:
        Seconds from nothing to the first result, and results a second once all processes run.
    """
    began = time.perf_counter()
    with scheduler(abs, place) as workers:
        next(results := workers.results(range(20)))
        first = time.perf_counter() - began
        for _ in results:
            pass
        began = time.perf_counter()
        for _ in workers.results(range(count)):
            pass
        return first, count / (time.perf_counter() - began)


def grid(out: Path, count: int, epochs: int) -> list[Cell]:
    """Plan a table of one row and one column, and so many seeds."""
    noise = {"noise": "uniform", "noise_rate": 0.4}
    table = Table(
        command="",
        title="",
        base={**OPTIONS, "epochs": epochs},
        columns={"uniform 0.4": noise},
        rows={"RMNW-Net": {"method": "mwnet"}},
        seeds=tuple(range(count)),
    )
    return plan(table, out)


if __name__ == "__main__":
    main()
