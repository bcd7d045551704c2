"""What a process holds of samples that stay in their file, when several train together.

    python -m benchmarks.mapped [--rows 4000000] [--columns 10] [--processes 2]

Writes an ``.npy`` of float32 features with labels of three classes into a temporary folder, and
trains on it by torchrun: plain training, `mlp2`, 20 steps, then all scores. Each process prints the
memory that it holds at its end, without pages of files. A run on a hundredth of the rows tells what
it would hold without samples.
"""

import argparse
import os
import resource
import sys
import tempfile
from pathlib import Path

import numpy as np

import train
from benchmarks.torchrun import torchrun

FEW = 100
OPTIONS = (
    *("--method", "erm", "--model", "mlp2", "--meta-size", "0", "--max-steps", "20"),
    *("--no-figures", "--no-tensorboard", "--device", "cpu"),
)


def main() -> None:
    """Print the table, or train as one of the processes."""
    if sys.argv[1:2] == ["--child"]:
        sys.exit(child(int(sys.argv[2]), sys.argv[3:]))
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=4_000_000)
    parser.add_argument("--columns", type=int, default=10)
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    print(f"{options.columns} columns, {options.processes} processes")
    print("     rows   MiB of the file   MiB held by each process")
    held = {}
    for rows in (options.rows // FEW, options.rows):
        size, held[rows] = measured(rows, options.columns, options.processes)
        print(f"{rows:9,} {size:15.0f}    {', '.join(map(str, held[rows]))}")
    few, many = sorted(held)
    each = [(b - a) * 2**20 / (many - few) for a, b in zip(held[few], held[many], strict=True)]
    print(f"bytes held for each row more: {', '.join(f'{value:.0f}' for value in each)}")


def measured(rows: int, columns: int, processes: int) -> tuple[float, list[int]]:
    """Train on so many rows; returns the size of the file and what each process held, in MiB."""
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        y = rng.integers(0, 3, rows)
        x = np.lib.format.open_memmap(folder / "x.npy", "w+", np.float32, (rows, columns))
        for start in range(0, rows, 2**18):
            part = y[start : start + 2**18]
            x[start : start + len(part)] = rng.normal(size=(len(part), columns))
            x[start : start + len(part), 0] += 3 * part
        np.save(folder / "y.npy", y)
        files = ["--data", folder / "x.npy", "--labels", folder / "y.npy", "--out", folder / "run"]
        told = torchrun(processes, "benchmarks.mapped", "--child", 0, *files, *OPTIONS)
        lines = sorted(line for line in told.splitlines() if "MiB held" in line)
        return x.nbytes / 2**20, [int(line.split()[-3]) for line in lines]


def child(limit: int, argv: list[str]) -> int:
    """Train, then say what is held; ``limit`` is the MiB that may be held, 0: any."""
    if limit:
        most = limit * 2**20
        resource.setrlimit(resource.RLIMIT_DATA, (most, most))
    code = train.main(argv)
    status = Path("/proc/self/status").read_text().splitlines()
    kib = next(int(line.split()[1]) for line in status if line.startswith("RssAnon"))
    print(f"process {os.environ['RANK']}: {kib // 1024} MiB held", flush=True)
    return code


if __name__ == "__main__":
    main()
