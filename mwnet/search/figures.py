"""The found loss beside hand-made ones, and how the search went."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from mwnet.losses import LOSSES
from mwnet.losses.loss_file import TaylorLoss
from mwnet.losses.taylor import taylor
from mwnet.runs.canvas import NEUTRAL, RIGHT, WRONG, figure

if TYPE_CHECKING:
    from mwnet.search.loop import Compared, Generation

# The panels of the Taylor-loss paper's Figure 1, with the hyper-parameters that it prints or means.
PANELS: tuple[tuple[tuple[str, dict[str, Any]], ...], ...] = (
    (("ce", {}), ("mae", {}), ("label-smoothing", {"epsilon": 0.2})),
    (("gce", {"q": 0.7}), ("sce", {"alpha": 0.1, "beta": 1.0, "A": -4.0})),
)
COLORS = (RIGHT, WRONG, "#009e73")


def losses(path: Path, found: TaylorLoss, num_classes: int) -> None:
    """Figure 1 of the paper, and what each loss does to a sample of ``num_classes`` classes.

    The first three panels are binary: the loss of a sample labelled class 0 against the predicted
    probability of class 1. The fourth is the L1 norm of the gradient at the logits against the
    probability of the label, where the other classes share the rest evenly; each loss relative to
    its own largest, since a factor is a matter of the learning rate.
    """
    own = partial(taylor, theta=found.theta, eta=found.eta)
    panels = [
        [(name, partial(LOSSES[name], **options)) for name, options in panel] for panel in PANELS
    ] + [[("found", own)]]
    p = torch.linspace(0.002, 0.998, 250, dtype=torch.float64)
    binary = torch.stack([1 - p, p], 1).log()
    zeros = torch.zeros(len(p), dtype=torch.int64)
    with figure(path, 15, 3.6, columns=4) as (_, axes):
        for ax, panel in zip(axes, panels, strict=False):
            colors = ["black"] if len(panel) == 1 else COLORS
            for (name, loss), color in zip(panel, colors, strict=False):
                ax.plot(p, loss(binary, zeros), label=name, color=color, lw=2)
            ax.set_xlabel("predicted probability of class 1")
            ax.legend()
        axes[0].set_ylabel("loss, the label is class 0")
        axes[0].set_title("two classes")
        styles = {"ce": RIGHT, "mae": WRONG, "gce": "#009e73", "found": "black"}
        for name, loss in (entry for panel in panels for entry in panel):
            if name in styles:
                norms = gradient_norms(loss, p, num_classes)
                axes[3].plot(p, norms / norms.max(), label=name, color=styles[name], lw=2)
        axes[3].axvline(1 / num_classes, color=NEUTRAL, lw=1, ls=":")
        axes[3].set_title(f"{num_classes} classes (dotted: a guess)")
        axes[3].set_xlabel("predicted probability of the label")
        axes[3].set_ylabel("gradient at the logits, relative")
        axes[3].legend()


def gradient_norms(loss: Callable[[Tensor, Tensor], Tensor], p: Tensor, num_classes: int) -> Tensor:
    """L1 norm of the gradient at the logits where the label has probability p, ``(n,)``."""
    others = ((1 - p) / (num_classes - 1)).log()
    logits = torch.cat([p.log()[:, None], others[:, None].expand(-1, num_classes - 1)], 1)
    logits.requires_grad_()
    labels = torch.zeros(len(p), dtype=torch.int64)
    (gradient,) = torch.autograd.grad(loss(logits, labels).sum(), logits)
    return gradient.abs().sum(1)


def fitness(path: Path, history: "list[Generation]", table: "list[Compared]") -> None:
    """Best and median of each generation, over what hand-made losses reach on fresh seeds."""
    with figure(path, 7, 4.2) as (_, (axes,)):
        numbers = [generation.number + 1 for generation in history]
        nan = float("nan")
        for name, color in (("best", "black"), ("median", NEUTRAL)):
            values = [getattr(generation, name) for generation in history]
            heights = [nan if value is None else 100 * value for value in values]
            axes.plot(
                numbers, heights, color=color, lw=2, marker=".", label=f"{name} of a generation"
            )
        chosen = table[0]
        axes.axhline(100 * chosen.fitness, color="black", ls="--", lw=1, label="found, fresh seeds")
        hand_made = {result.name: result.fitness for result in table[1:] if result.fitness >= 0}
        marked = [name for name in ("ce", "gce", "mae") if name in hand_made]
        if hand_made:
            top = max(hand_made, key=lambda name: hand_made[name])
            marked = [name for name in marked if name != top]
            axes.axhline(
                100 * hand_made[top],
                color=WRONG,
                ls="--",
                lw=1,
                label=f"{top}, fresh seeds: the best",
            )
        for name, color in zip(marked, (RIGHT, "#009e73", "#cc79a7"), strict=False):
            axes.axhline(
                100 * hand_made[name], color=color, ls=":", lw=1.5, label=f"{name}, fresh seeds"
            )
        axes.set_xlabel("generation")
        axes.set_ylabel("clean validation accuracy [%]")
        axes.set_title("the search")
        axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5))
