"""Is the weight net's sign and shape learnt, or is it luck of the initialisation?

    python -m benchmarks.weight_sign [--seeds 10]

A loss that separates well gives a high AUC to any falling weight curve, so a high AUC alone proves
little. Four runs of RMNW-Net on digits, uniform 40 %, for each seed: as it is; with the weight net
frozen at its random start (`--weight-net-lr 0`); and started so that weights rise with the loss,
their logit by 0.5 or by 1 for each nat.
"""

import argparse

import numpy as np
import torch

from benchmarks.common import train
from mwnet.bilevel.weighting import WeightNet
from mwnet.builders.experiment import Experiment, build
from mwnet.config.flags import parse_training
from mwnet.core.seeding import seeded
from mwnet.methods import MWNet

FLAGS = ["--meta-loss", "mae", "--meta-noisy"]


def rise(experiment: Experiment, slope: float) -> None:
    """Make the weight net favour high losses: its logit is slope times the loss, minus 0.85."""
    assert isinstance(experiment.method, MWNet)
    with torch.no_grad():
        hidden_weight, hidden_bias, out_weight, out_bias = experiment.method.weight_net.parameters()
        hidden_weight.abs_()
        hidden_bias.zero_()
        out_weight.abs_()
        out_weight.mul_(slope / (hidden_weight[:, 0] * out_weight[0]).sum())
        out_bias.fill_(-0.85)


def random_slope(seed: int) -> float:
    """How much the logit of a fresh weight net rises for each nat, between losses 0 and 4."""
    with seeded(seed, "weight net"), torch.no_grad():
        low, high = torch.logit(WeightNet()(torch.tensor([0.0, 4.0])))
    return float(high - low) / 4


def auc(seed: int, *flags: str, slope: float | None = None) -> tuple[float, float]:
    """Detection AUC of the weight net's output before and after training."""
    experiment = build(parse_training([*FLAGS, *flags, "--seed", str(seed)]))
    if slope is not None:
        rise(experiment, slope)
    before = own_auc(experiment)
    train(experiment)
    return before, own_auc(experiment)


def own_auc(experiment: Experiment) -> float:
    """AUC of the weight net's output over the training samples."""
    scored = experiment.score(experiment.data.parts.train)
    return experiment.metrics(scored)["detection_auc"]["own"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=10)
    seeds = range(parser.parse_args().seeds)
    variants = {
        "learnt": auc,
        "frozen at its random start": lambda seed: auc(seed, "--weight-net-lr", "0"),
        "learnt, from a start that rises by 0.5 a nat": lambda seed: auc(seed, slope=0.5),
        "learnt, from a start that rises by 1 a nat": lambda seed: auc(seed, slope=1.0),
    }
    print("| weight net | AUC before training, mean | after: mean | lowest | highest |")
    print("|---|---|---|---|---|")
    for name, run in variants.items():
        before, after = np.array([run(seed) for seed in seeds]).T
        print(
            f"| {name} | {before.mean():.3f} | {after.mean():.4f} | {after.min():.4f} "
            f"| {after.max():.4f} |",
            flush=True,
        )
    print(f"\nn = {len(seeds)} seeds (0 to {len(seeds) - 1}), torch {torch.__version__}")
    slopes = np.array([random_slope(seed) for seed in range(1000)])
    print(
        f"slopes of the logit in 1,000 random starts: mean {slopes.mean():.2f}, standard deviation "
        f"{slopes.std():.2f}, highest {slopes.max():.2f}"
    )


if __name__ == "__main__":
    main()
