"""Time and memory of a large table: what `python train.py --data x.parquet --epochs 1` takes.

    python -m benchmarks.own_data [--rows 1000000] [--json FILE]

Makes a parquet file of 90 numeric columns (a third with missing cells, some skewed, some whole) and
10 columns of categories with 2 to 38 values, 5 classes, a fifth of the labels drawn anew. A fresh
process trains RMNW-Net on it with the default network and options, without figures. Seconds of a
stage are without those of stages within it; CPU seconds count all threads, and tell what the stage
takes where other work runs beside it. The peak is of resident memory, from the start of the process
to its end, Python and torch included.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

NUMBERS, CATEGORIES, CLASSES = 90, 10, 5
CHUNK = 100_000
STAGES = {
    "reading": "mwnet.builders.experiment.load_source",
    "division into parts": "mwnet.builders.dataset.split",
    "preparing features": "mwnet.data.source.Source.prepared",
    "training": "mwnet.training.trainer.Trainer.fit",
    "scoring": "mwnet.builders.experiment.Experiment.score",
    "other measurements": "mwnet.builders.experiment.Experiment.metrics",
    "digest of the data": "mwnet.builders.experiment.Experiment.identity",
    "writing": "mwnet.runs.outputs.write",
    "printing": "mwnet.runs.console.conclude",
}


def make(path: Path, rows: int) -> None:
    """Write the table, some rows at a time."""
    import pandas as pd
    import pyarrow as pa
    from pyarrow import parquet

    rng = np.random.default_rng(0)
    centres = rng.normal(size=(CLASSES, NUMBERS)) / 2
    of_class = [rng.dirichlet(np.ones(2 + 4 * place), CLASSES) for place in range(CATEGORIES)]
    writer = None
    for start in range(0, rows, CHUNK):
        n = min(CHUNK, rows - start)
        truth = rng.integers(0, CLASSES, n)
        x = centres[truth] + rng.normal(size=(n, NUMBERS))
        columns: dict[str, Any] = {}
        for place in range(NUMBERS):
            values = np.exp(x[:, place]) if place % 5 == 1 else x[:, place]
            values = np.round(10 * values) if place % 5 == 2 else values
            if place % 3 == 0:
                values = np.where(rng.random(n) < 0.03, np.nan, values)
            columns[f"number {place}"] = values
        for place, shares in enumerate(of_class):
            drawn = (shares.cumsum(1)[truth] < rng.random(n)[:, None]).sum(1)
            columns[f"category {place}"] = [f"value {value}" for value in drawn]
        wrong = rng.random(n) < 0.2
        given = np.where(wrong, rng.integers(0, CLASSES, n), truth)
        columns["label"] = [f"class {label}" for label in given]
        part = pa.Table.from_pandas(pd.DataFrame(columns), preserve_index=False)
        writer = writer or parquet.ParquetWriter(path, part.schema)
        writer.write_table(part)
    assert writer is not None
    writer.close()


def now() -> np.ndarray:
    """Wall and CPU seconds."""
    return np.array([time.perf_counter(), time.process_time()])


def peak() -> float:
    """Highest resident memory in MiB since it was last measured anew."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1024


def watched(argv: list[str]) -> dict[str, Any]:
    """Train in this process; return seconds of each stage and the peak."""
    started = now()
    from mwnet.__main__ import train
    from mwnet.core import memory

    seconds: dict[str, np.ndarray] = {}
    reached: dict[str, float] = {}
    inside = [np.zeros(2)]
    peaks: list[float] = []

    def timed(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            begun = now()
            inside.append(np.zeros(2))
            try:
                return function(*args, **kwargs)
            finally:
                took = now() - begun
                seconds[name] = seconds.get(name, 0.0) + took - inside.pop()
                inside[-1] += took
                reached[name] = max(reached.get(name, 0.0), peak())

        return call

    def anew(device: Any) -> None:
        peaks.append(peak())
        memory.start_measuring(device)

    with ExitStack() as stack:
        for name, target in STAGES.items():
            place, attribute = target.rsplit(".", 1)
            owner = _found(place)
            original = getattr(owner, attribute)
            stack.enter_context(patch.object(owner, attribute, timed(name, original)))
        stack.enter_context(patch("mwnet.runs.run.start_measuring", anew))
        code = train(argv)
    assert code == 0
    total = now() - started
    seconds["imports and the rest"] = total - inside[0]
    peaks.append(peak())
    return {
        "seconds": {name: took.tolist() for name, took in seconds.items()},
        "reached": reached,
        "total": total.tolist(),
        "peak_mib": max(peaks),
    }


def _found(path: str) -> Any:
    """A module, or a class in one."""
    import importlib

    try:
        return importlib.import_module(path)
    except ModuleNotFoundError:
        module, name = path.rsplit(".", 1)
        return getattr(importlib.import_module(module), name)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    args, more = parser.parse_known_args()
    if args.child:
        data, out, report = args.child
        argv = ["--data", data, "--out", out, "--method", "mwnet", "--epochs", "1"]
        found = watched([*argv, "--no-figures", *more])
        Path(report).write_text(json.dumps(found))
        return
    with tempfile.TemporaryDirectory() as folder:
        data, out, report = (Path(folder) / name for name in ("x.parquet", "run", "report.json"))
        begun = time.perf_counter()
        make(data, args.rows)
        print(
            f"{args.rows:,} rows, {data.stat().st_size / 2**20:.0f} MiB of parquet, made in ",
            end="",
        )
        print(f"{time.perf_counter() - begun:.0f} s", flush=True)
        child = [sys.executable, "-m", "benchmarks.own_data", "--child", data, out, report, *more]
        subprocess.run(child, check=True)
        found = json.loads(report.read_text())
        summary = json.loads((out / "summary.json").read_text())
    print("\n| stage | seconds | CPU seconds | rows a second | memory reached, MiB |")
    print("|---|---|---|---|---|")
    rows = {name: (*took, found["reached"].get(name)) for name, took in found["seconds"].items()}
    rows["**in all**"] = (*found["total"], found["peak_mib"])
    for name, (wall, cpu, reached) in rows.items():
        rate = f"{args.rows / wall:,.0f}" if wall > 0.05 else ""
        memory = "" if reached is None else f"{reached:.0f}"
        print(f"| {name} | {wall:.1f} | {cpu:.1f} | {rate} | {memory} |")
    versions = ", ".join(f"{name} {version}" for name, version in summary["versions"].items())
    print(
        f"\n{summary['model']}, {summary['steps']} steps, test agreement "
        f"{summary['test_accuracy']['last']:.4f}; {summary['threads']} threads of "
        f"{os.cpu_count()} CPUs, {versions}"
    )
    if args.json:
        args.json.write_text(json.dumps({"rows": args.rows, **found}, indent=2) + "\n")


if __name__ == "__main__":
    main()
