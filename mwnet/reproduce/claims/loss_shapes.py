"""Shapes of hand-made and found losses: their slope at large errors and their minimum."""

from functools import partial
from pathlib import Path

import torch
from scipy.optimize import minimize_scalar
from torch import Tensor

from mwnet.config.recipes import RECIPES
from mwnet.losses import LOSSES, Loss
from mwnet.losses.loss_file import TaylorLoss, read_loss
from mwnet.losses.taylor import taylor
from mwnet.reproduce.claims.base import GAO, Analysis, Finding, Runs
from mwnet.reproduce.document import markdown_table
from mwnet.runs.canvas import PALETTE, figure

CLASSES = (2, 10)
"""The paper draws two classes; the found losses come from data of ten."""
WRONG_AT = 0.01
"""Probability of the given label that counts as a large error."""
HAND_MADE = (
    {"CE": "ce", "MAE": "mae", "label smoothing": "label-smoothing"},
    {"GCE": "gce", "SCE": "sce"},
)
LINES = tuple(zip(PALETTE, ("-", "-", "--"), strict=False))


def shipped() -> dict[str, TaylorLoss]:
    """Return the found losses that come with the package, by name of their file."""
    return {path.stem: read_loss(path) for path in sorted((RECIPES / "losses").glob("*.yaml"))}


def panels() -> list[dict[str, Loss]]:
    """Return losses by label, as in the three panels of the paper's Figure 1."""
    hand_made = [{label: LOSSES[name] for label, name in panel.items()} for panel in HAND_MADE]
    found = {
        name: partial(taylor, theta=loss.theta, eta=loss.eta) for name, loss in shipped().items()
    }
    return [*hand_made, found]


def along(loss: Loss, p: Tensor, num_classes: int) -> Tensor:
    """Compute the loss where the label has probability p and the others share the rest evenly.

    Args:
        loss: ``(logits, labels)`` -> losses.
        p: ``(n,)`` float64 in (0, 1); differentiable.
        num_classes: K.

    Returns:
        ``(n,)`` losses.
    """
    rest = ((1 - p) / (num_classes - 1)).log()
    logits = torch.cat([p.log()[:, None], rest[:, None].expand(-1, num_classes - 1)], 1)
    return loss(logits, torch.zeros(len(p), dtype=torch.int64))


def scaled(loss: Loss, p: Tensor, num_classes: int) -> tuple[Tensor, Tensor]:
    """Compute ``(n,)`` losses scaled to [0, 1] over p from 0.01 to 1, and ``(n,)`` slopes."""
    grid = torch.linspace(WRONG_AT, 1 - 1e-9, 2001, dtype=torch.float64)
    values = along(loss, grid, num_classes)
    low, high = values.min(), values.max()
    p = p.detach().clone().requires_grad_()
    own = along(loss, p, num_classes)
    (slope,) = torch.autograd.grad(own.sum(), p)
    return (own.detach() - low) / (high - low), slope / (high - low)


def lowest_at(loss: Loss, num_classes: int) -> float:
    """Find the probability of the given label in (0, 1) at which the loss is lowest."""
    grid = torch.linspace(1e-9, 1 - 1e-9, 2001, dtype=torch.float64)
    best = int(along(loss, grid, num_classes).argmin())
    bounds = (float(grid[max(best - 1, 0)]), float(grid[min(best + 1, len(grid) - 1)]))

    def value(p: float) -> float:
        return float(along(loss, torch.tensor([p], dtype=torch.float64), num_classes))

    found = minimize_scalar(value, bounds=bounds, method="bounded", options={"xatol": 1e-9})
    return min((float(grid[best]), float(found.x)), key=value)


def steepness(loss: Loss, num_classes: int) -> float:
    """Compute |slope| of the scaled loss at p = 0.01; 1 is a straight line from p = 0.01 to 1."""
    at = torch.tensor([WRONG_AT], dtype=torch.float64)
    return float(scaled(loss, at, num_classes)[1].abs())


def at_the_label(loss: Loss, num_classes: int) -> float:
    """Compute the loss of a prediction that gives the label all of the probability."""
    logits = torch.full((1, num_classes), -1e9, dtype=torch.float64)
    logits[0, 0] = 0
    return float(loss(logits, torch.zeros(1, dtype=torch.int64)))


def examine(_: Runs, path: Path) -> Finding:
    """Measure curves, steepness at large errors and places of the minima."""
    groups = panels()
    p = torch.linspace(0.001, 0.999, 999, dtype=torch.float64)
    with figure(path, 11, 6.4, 3, len(CLASSES)) as (_, axes):
        for number, axis in enumerate(axes):
            classes, group = CLASSES[number // 3], groups[number % 3]
            for (label, loss), (color, style) in zip(group.items(), LINES, strict=False):
                values = scaled(loss, p, classes)[0]
                axis.plot(p, values, style, color=color, lw=2, label=label)
                lowest = torch.tensor([lowest_at(loss, classes)], dtype=torch.float64)
                bottom = scaled(loss, lowest, classes)[0]
                axis.plot(lowest, bottom, "o", color=color, ms=6, clip_on=False, zorder=3)
            axis.set_xlim(0, 1)
            axis.set_ylim(-0.03, 1.25)
            axis.set_title(f"{classes} classes")
            axis.legend(loc="upper right")
            if number >= 3 * (len(CLASSES) - 1):
                axis.set_xlabel("predicted probability of the given label")
            if number % 3 == 0:
                axis.set_ylabel("loss, scaled")
    lines = [["loss", *(f"{what}, {k} classes" for what in WHAT for k in CLASSES)]]
    every = {label: loss for group in groups for label, loss in group.items()}
    for label, loss in every.items():
        steep = [f"{steepness(loss, k):.2f}" for k in CLASSES]
        lines.append([label, *steep, *(f"{lowest_at(loss, k):.3f}" for k in CLASSES)])
    return Finding(_sentence(every, list(groups[-1])), markdown_table(lines) + f"\n\n{LEGEND}")


WHAT = ("steepness at p = 0.01", "lowest at p")
LEGEND = (
    "p is the predicted probability of the given label, the other classes share the rest evenly. "
    "Every loss is shifted and scaled to go from 0 to 1 over p from 0.01 to 1, since a factor acts "
    "as the learning rate does. *Steepness*: its |slope| at p = 0.01, where a straight line has "
    "1.01; that of CE grows without bound as p goes to 0. *Lowest at p*: the dots of the figure. "
    "Hyper-parameters are the defaults. The found losses are this project's own: the paper's "
    "coefficients were never published."
)


def _sentence(every: dict[str, Loss], found: list[str]) -> str:
    gentle, soft, told = set(found), set(found), []
    for k in CLASSES:
        steep = {label: steepness(loss, k) for label, loss in every.items()}
        gentle &= {label for label in found if steep[label] < steep["CE"]}
        # Eq. 5 puts the minimum over all predictions, also uneven ones, at 0.
        soft &= {label for label in found if at_the_label(every[label], k) > 1e-9}
        own = _range([steep[label] for label in found])
        told.append(f"steepness {own} against {steep['CE']:.2f} with {k} classes")
    both = gentle & soft
    verdict = "Holds" if len(both) == len(found) else "Holds in part"
    verdict = verdict if both else "Does not hold"
    return (
        f"{verdict} for the losses found here, computed without training: {len(gentle)} of "
        f"{len(found)} are less steep at large errors than CE ({', '.join(told)}), and {len(soft)} "
        f"of {len(found)} have a minimum other than all probability on the given label."
    )


def _range(values: list[float]) -> str:
    return f"{min(values):.2f} to {max(values):.2f}" if values else "none"


ANALYSIS = Analysis(
    title="The shapes of the losses",
    source=f"{GAO}, Figure 1 and section 3.2, qualitative analysis",
    claim=(
        "Only the learnt loss combines less aggressive feedback for large errors than cross "
        "entropy gives with minima away from 0 and 1, that is, softer targets."
    ),
    examine=examine,
)
