"""Draws every loss for docs/LOSSES.md.

    python -m benchmarks.loss_curves [--out docs/losses]

One picture for each loss: its value and the L1 norm of its gradient in the logits against the
probability p_y of the label, for 10 classes whose other probabilities are equal. Values are means
over a batch of even classes, so that losses of a batch have a curve too. ``figure1.png`` is the
Taylor-loss paper's Figure 1 with the loss that ``taylor`` is by default.
"""

import argparse
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import torch
from matplotlib import pyplot as plt
from torch import Tensor

from mwnet.losses import LOSSES
from mwnet.losses.loss_file import TaylorLoss
from mwnet.losses.taylor import GENERAL
from mwnet.search import figures

CLASSES, EACH = 10, 4
# What is drawn beside the defaults, where a hyper-parameter is what matters.
VARIANTS: dict[str, list[dict[str, Any]]] = {
    "focal": [{"gamma": 0.5}, {"gamma": 2.0}, {"gamma": 5.0}],
    "label-smoothing": [{"epsilon": 0.1}, {"epsilon": 0.4}],
    "gce": [{"q": 0.3}, {"q": 0.7}, {"q": 1.0}],
    "imae": [{"T": 2.0}, {"T": 4.0}, {"T": 4.0, "variant": "paper"}],
    "sce": [{"alpha": 0.1, "beta": 1.0}, {"alpha": 6.0, "beta": 0.1}],
    "gjs": [{"pi": 0.1}, {"pi": 0.5}, {"pi": 0.9}],
    "poly1": [{"epsilon": 1.0}, {"epsilon": 4.0}],
    "cores": [{"beta": 1.0}, {"beta": 2.0}],
    "peer": [{"alpha": 0.5}, {"alpha": 1.0}],
}
NOISY = {"matrix": 0.6 * torch.eye(CLASSES) + 0.04}  # uniform 40 %
VARIANTS |= {"forward": [NOISY], "backward": [NOISY]}


def curve(name: str, options: dict[str, Any], p_y: Tensor) -> tuple[list[float], list[float]]:
    """Mean loss and mean L1 norm of the gradient at each probability of the label."""
    labels = torch.arange(CLASSES).repeat(EACH)
    one_hot = torch.nn.functional.one_hot(labels, CLASSES).double()
    values, norms = [], []
    for p in p_y:
        logits = (p * one_hot + (1 - p) / (CLASSES - 1) * (1 - one_hot)).log().requires_grad_()
        loss = LOSSES[name](logits, labels, **options).mean()
        (gradient,) = torch.autograd.grad(loss, logits)
        values.append(loss.item())
        norms.append(float(gradient.abs().sum()))  # the mean has divided by the batch size
    return values, norms


def label_of(options: dict[str, Any]) -> str:
    if "matrix" in options:
        return "T: uniform 40 %"
    return (
        ", ".join(
            f"{key} = {value:g}" if not isinstance(value, str) else value
            for key, value in options.items()
        )
        or "defaults"
    )


def draw(name: str, path: Path) -> None:
    p_y = torch.linspace(0.005, 0.995, 199, dtype=torch.float64)
    figure, axes = plt.subplots(1, 2, figsize=(7, 2.6), layout="constrained")
    for options in VARIANTS.get(name, [{}]):
        for ax, y in zip(axes, curve(name, options, p_y), strict=True):
            ax.plot(p_y, y, label=label_of(options))
    axes[0].set(title=name, xlabel="probability of the label", ylabel="loss")
    axes[1].set(xlabel="probability of the label", ylabel="gradient in the logits, L1")
    if name == "dmi":
        axes[1].set_yscale("log")
    else:
        axes[1].set_ylim(bottom=0)
    if name in VARIANTS:
        axes[0].legend(frameon=False, fontsize=8)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("docs/losses"))
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    for name in LOSSES:
        draw(name, args.out / f"{name.replace('+', '-')}.png")
    figures.losses(args.out / "figure1.png", TaylorLoss(GENERAL, 1.0), CLASSES)


if __name__ == "__main__":
    main()
