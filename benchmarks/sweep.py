"""How a recipe is chosen: a grid of options, judged on validation samples, never on test data.

    python -m benchmarks.sweep --seeds 100-105 --rates 0.4,0.6 --grid lr=0.01,0.02,0.05 \\
        --grid weight_net_lr=0.02,0.05 -- --meta-loss mae --meta-noisy

What follows `--` are flags of train.py that all runs share. Each run keeps 200 samples for
validation; printed are the last epoch's accuracy on their true labels and the detection AUC of the
method's own score, means over seeds, and the lowest AUC.
"""

import argparse
import itertools
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import torch

from benchmarks.common import train
from mwnet import detection
from mwnet.builders.experiment import build
from mwnet.config.flags import parse_training


def result(argv: list[str]) -> tuple[float, float]:
    """Validation accuracy and detection AUC after one run of train.py's flags, without files."""
    torch.set_num_threads(1)
    experiment = build(parse_training([*argv, "--validation-size", "200", "--device", "cpu"]))
    truth = experiment.data.truth
    assert truth is not None
    train(experiment)
    validation = experiment.score(experiment.data.parts.validation)
    accuracy = (validation.predicted == truth[experiment.data.parts.validation].numpy()).mean()
    scored = experiment.score(experiment.data.parts.train)
    auc = detection.detection_auc(scored, truth[experiment.data.parts.train].numpy())["own"]
    return float(accuracy), float("nan") if auc is None else auc


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", default="100-105", help="first-last")
    parser.add_argument("--rates", default="0.4,0.6")
    parser.add_argument("--grid", action="append", default=[], help="option=value,value")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("flags", nargs="*", help="flags of train.py, after --")
    args = parser.parse_args()
    first, last = map(int, args.seeds.split("-"))
    axes = [("noise_rate", args.rates), *(axis.split("=") for axis in args.grid)]
    options = [
        [f"--{name.replace('_', '-')}={v}" for v in values.split(",")] for name, values in axes
    ]
    cells = list(itertools.product(*options))
    seeds = [f"--seed={seed}" for seed in range(first, last + 1)]
    tasks = [[*args.flags, *cell, seed] for cell in cells for seed in seeds]
    with ProcessPoolExecutor(args.jobs) as pool:
        results = np.array(list(pool.map(result, tasks))).reshape(len(cells), len(seeds), 2)
    print("| options | validation accuracy | detection AUC | AUC, lowest |")
    print("|---|---|---|---|")
    for cell, runs in zip(cells, results, strict=True):
        accuracy, auc = runs.T
        print(f"| {' '.join(cell)} | {accuracy.mean():.4f} | {auc.mean():.4f} | {auc.min():.4f} |")
    print(f"\nn = {len(seeds)} seeds ({args.seeds}), torch {torch.__version__}")


if __name__ == "__main__":
    main()
