"""What two ways to a cheaper step cost in accuracy, and in finding wrong labels.

    python -m benchmarks.levers [--sets digits,breast_cancer,wine] [--seeds 5] [--mnist FILE.npz]

RMNW-Net with 40 % of the labels drawn anew, on scikit-learn's digits and two of its tables, and on
20,000 images of MNIST where a file has them (arrays `x` and `y`, or those of Keras). Rows: as it
is; with the optimizer's own update as look-ahead, which `--lag` needs; `--lag`; `--meta-source
next-batch`; both. Each number is a mean over seeds with its standard deviation, after the last
epoch. AUC is that of the label-quality weight (`own`) and of the loss. Milliseconds of a step are
means over a run, beside others on one thread.
"""

import argparse
import statistics
import time
from pathlib import Path

import numpy as np
import torch
from sklearn import datasets
from sklearn.preprocessing import StandardScaler

from benchmarks.common import train
from mwnet.builders.experiment import build
from mwnet.config.flags import parse_training
from mwnet.data.source import Source, channels_first

OPTIMIZER = ["--virtual-step", "optimizer"]
NEXT = ["--meta-source", "next-batch"]
ROWS: dict[str, list[str]] = {
    "default": [],
    "look-ahead by the optimizer": OPTIMIZER,
    "lag": [*OPTIMIZER, "--lag"],
    "next batch": NEXT,
    "next batch and lag": [*OPTIMIZER, *NEXT, "--lag"],
}
FLAGS = ["--meta-loss", "mae", "--meta-noisy", "--noise", "uniform", "--noise-rate", "0.4"]
TABLE = [
    *("--model", "tabm", "--batch-size", "32", "--optimizer", "adamw", "--lr", "0.002"),
    *("--weight-decay", "0.01", "--threads", "1"),
    *("--normalisation", "sum", "--weight-net-lr", "0.05", "--meta-interval", "2"),
]
"""The defaults of MWNetClassifier."""
MNIST = ["--batch-size", "100", "--epochs", "20", "--threads", "1"]


def table(name: str) -> Source:
    """One of scikit-learn's tables, standardised."""
    x, y = getattr(datasets, f"load_{name}")(return_X_y=True)
    x = torch.from_numpy(StandardScaler().fit_transform(x)).float()
    labels = torch.from_numpy(y).long()
    classes = tuple(map(str, range(int(labels.max()) + 1)))
    return Source(name, channels_first(x), labels, labels, classes)


def mnist(path: Path) -> Source:
    """20,000 images of a file, drawn once."""
    with np.load(path) as file:
        names = [("x", "y"), ("x_train", "y_train"), ("train_x", "train_y")]
        x, y = next((file[a], file[b]) for a, b in names if a in file)
    chosen = np.random.default_rng(0).permutation(len(y))[:20_000]
    images = torch.from_numpy(x[chosen].reshape(-1, 1, 28, 28))
    labels = torch.from_numpy(y[chosen].astype("int64"))
    return Source("mnist", images, labels, labels, tuple(map(str, range(10))))


def measured(flags: list[str], source: Source | None, seed: int) -> dict[str, float]:
    """Train once; accuracy and AUC in per cent, milliseconds of a step."""
    config = parse_training([*FLAGS, *flags, "--seed", str(seed)])
    experiment = build(config, source)
    start = time.perf_counter()
    train(experiment)
    seconds = time.perf_counter() - start
    line = experiment.metrics(experiment.score(experiment.data.parts.train))
    steps = experiment.method.epochs * len(experiment.train)
    return {
        "accuracy": 100 * line["test_accuracy"],
        "AUC of the weight": 100 * line["detection_auc"]["own"],
        "AUC of the loss": 100 * line["detection_auc"]["loss"],
        "ms": 1e3 * seconds / steps,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sets", default="digits,breast_cancer,wine")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--mnist", type=Path, help="file of images, 20,000 of which are used")
    args = parser.parse_args()
    sets: dict[str, tuple[Source | None, list[str]]] = {
        name: (None, []) if name == "digits" else (table(name), TABLE)
        for name in args.sets.split(",")
    }
    if args.mnist is not None:
        sets["mnist, 20,000"] = (mnist(args.mnist), MNIST)
    torch.set_num_threads(1)
    for name, (source, flags) in sets.items():
        print(f"\n{name}, {args.seeds} seeds\n")
        print("| step | accuracy | AUC of the weight | AUC of the loss | ms |")
        print("|---|---|---|---|---|")
        for row, more in ROWS.items():
            runs = [measured([*flags, *more], source, seed) for seed in range(args.seeds)]
            cells = [row]
            for column in runs[0]:
                values = [run[column] for run in runs]
                mean, sd = statistics.mean(values), statistics.stdev(values) if runs[1:] else 0.0
                cells.append(f"{mean:.1f}" if column == "ms" else f"{mean:.2f} ± {sd:.2f}")
            print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
