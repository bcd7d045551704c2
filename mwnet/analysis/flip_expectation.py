"""Flip noise: the expected meta-gradient for fixed target classes, and over all of them."""

import copy
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from torch import Tensor, nn

from mwnet.analysis.base import GHOSH, Analysis, Finding, Run, Runs, grid, seeds_of
from mwnet.errors import UserError
from mwnet.losses import LOSSES, Loss
from mwnet.report.document import markdown_table
from mwnet.report.figures import RIGHT, WRONG, figure
from mwnet.seeding import generator
from noise import NOISES

DRAWS = 10
"""Random target classes for each run."""
RATES = (0.15, 0.3, 0.45)  # the first two are the paper's for flip
CURVE = np.linspace(0, 0.6, 25)
TARGETS = {"flip": 1, "flip2": 2}
ALL = "flip{K-1}"
Gradients = dict[str, list[Tensor]]


def shrinkage(rate: float, classes: int) -> float:
    """The constant 1 - rate K / (K - 1) of a symmetric loss in expectation over target classes."""
    return 1 - rate * classes / (classes - 1)


def mean_over_targets(classes: int, targets: int) -> Tensor:
    """``(K, K)`` mean of flip matrices of rate 1, each row over all choices of its targets."""
    matrix = torch.zeros(classes, classes, dtype=torch.float64)
    for row in range(classes):
        others = [column for column in range(classes) if column != row]
        chosen = torch.tensor(list(combinations(others, targets)))
        counts = chosen.flatten().bincount(minlength=classes)
        matrix[row] = counts / len(chosen) / targets
    return matrix


def expected_gradient(network: nn.Module, x: Tensor, rows: Tensor, loss: Loss) -> Tensor:
    """The gradient of the mean loss in the parameters, in expectation over the labels.

    Args:
        network: x -> ``(n, K)`` logits, in eval mode.
        x: ``(n, ...)`` samples.
        rows: ``(n, K)`` Pr(label of the sample is j).
        loss: per sample.

    Returns:
        ``(d,)``, all parameters in order.
    """
    parameters = [p for p in network.parameters() if p.requires_grad]
    total = [torch.zeros_like(p) for p in parameters]
    for part, weights in zip(x.split(100), rows.split(100), strict=True):
        logits = network(part)
        losses = [
            loss(logits, torch.full_like(weights[:, 0], j).long()) for j in range(len(rows[0]))
        ]
        objective = (weights * torch.stack(losses, 1)).sum() / len(x)
        gradients = torch.autograd.grad(objective, parameters, materialize_grads=True)
        total = [so_far + new for so_far, new in zip(total, gradients, strict=True)]
    return torch.cat([gradient.flatten() for gradient in total])


def compare(clean: Tensor, flipped: Tensor, rate: float) -> tuple[float, float]:
    """Cosine and ratio of lengths of the noisy gradient to the clean one.

    Args:
        clean: ``(d,)``, with true labels.
        flipped: ``(d,)``, with every label flipped; expectations are linear in the rate.
        rate: probability of a flip.
    """
    noisy = (1 - rate) * clean + rate * flipped
    lengths = float(noisy.norm()), float(clean.norm())
    return float(noisy @ clean) / (lengths[0] * lengths[1]), lengths[0] / lengths[1]


def gradients(run: Run, loss: str) -> tuple[Gradients, int]:
    """Gradients of a run's meta samples by what labels they have, and the number of classes.

    ``clean``: one with the true labels; ``flip`` and ``flip2``: with all labels flipped, one for
    each draw of targets; their ``expectation`` over all targets; and ``flip{K-1}``.
    """
    experiment = run.experiment()
    if experiment.truth is None:
        raise UserError(f"{run.folder}: gradients of clean labels need true labels, here are none")
    classes, parts = experiment.source.num_classes, experiment.parts
    if classes <= max(TARGETS.values()):
        raise UserError(f"{run.folder}: flip2 needs 3 classes, and there are {classes}")
    network = copy.deepcopy(experiment.method.learner.network).double().eval()
    ids = parts.meta if len(parts.meta) else parts.train[:1000]
    truth = experiment.truth[ids]
    x = experiment.pixels.take(ids.to(experiment.device)).double()

    def of_matrix(matrix: Tensor) -> Tensor:
        rows = matrix[truth].to(experiment.device)
        return expected_gradient(network, x, rows, LOSSES[loss]).cpu()

    found = {"clean": [of_matrix(torch.eye(classes, dtype=torch.float64))]}
    for name, targets in TARGETS.items():
        rng = generator(run.seed, "flip targets", name)
        found[name] = [of_matrix(NOISES[name](classes, 1.0, rng)) for _ in range(DRAWS)]
        found[f"{name}, expectation"] = [of_matrix(mean_over_targets(classes, targets))]
    found[ALL] = [of_matrix(NOISES["symmetric"](classes, 1.0, torch.Generator()))]
    return found, classes


def examine(runs: Runs, path: Path) -> Finding:
    """Angle and length of the expected noisy gradient, by loss, noise and rate."""
    found = {loss: [gradients(run, loss) for run in runs] for loss in ("mae", "ce")}
    _draw(found, path)
    kinds = [kind for name in TARGETS for kind in (name, f"{name}, expectation")] + [ALL]
    lines = [["loss", "labels", *(f"rate {rate:g}" for rate in RATES)]]
    for loss, of_runs in found.items():
        for kind in kinds:
            cells = [_cell(*_compared(of_runs, kind, rate)) for rate in RATES]
            lines.append([loss.upper(), kind if kind not in TARGETS else f"{kind}, fixed", *cells])
    classes = sorted({classes for _, classes in found["mae"]})
    for number in classes:
        constants = [f"{shrinkage(rate, number):.4f}" for rate in RATES]
        lines.append(["", f"1 - ηK/(K - 1), K = {number}", *constants])
    return Finding(_sentence(runs, found), f"{markdown_table(lines)}\n\n{LEGEND}")


LEGEND = (
    "Cosine between the expected noisy and the clean gradient in the classifier's parameters w, "
    "with the lowest in brackets where several were drawn, and the ratio of their lengths. "
    f"*Fixed*: {DRAWS} random choices of target classes for each run; expectation over which labels"
    " are flipped, exactly. *Expectation*: also over the target classes, all choices enumerated. "
    f"*{ALL}*: all other classes are targets, which is uniform noise of rate ηK/(K - 1). Samples: "
    "the meta set with its true labels, float64, at the trained network."
)


def _compared(
    of_runs: list[tuple[Gradients, int]], kind: str, rate: float
) -> tuple[list[float], list[float]]:
    """Cosines and ratios of lengths, over runs and draws."""
    pairs = [compare(one["clean"][0], flipped, rate) for one, _ in of_runs for flipped in one[kind]]
    return [pair[0] for pair in pairs], [pair[1] for pair in pairs]


def _cell(cosines: list[float], lengths: list[float]) -> str:
    lowest = f" ({min(cosines):.4f})" if max(cosines) - min(cosines) > 1e-4 else ""
    return f"{np.mean(cosines):.4f}{lowest}, length {np.mean(lengths):.4f}"


def _sentence(runs: Runs, found: dict[str, list[tuple[Gradients, int]]]) -> str:
    rate = RATES[1]
    fixed, lengths = _compared(found["mae"], "flip", rate)
    off = max(
        float((one[kind][0] + one["clean"][0] / (classes - 1)).norm() / one["clean"][0].norm())
        for one, classes in found["mae"]
        for kind in ("flip, expectation", "flip2, expectation", ALL)
    )
    ce, _ = _compared(found["ce"], "flip, expectation", rate)
    return (
        f"At a rate of {rate:g} ({seeds_of(runs)}) the MAE gradient for fixed flip targets has a "
        f"cosine of {np.mean(fixed):.4f} with the clean one (lowest {min(fixed):.4f}) and "
        f"{np.mean(lengths):.3f} of its length; in expectation over the targets of flip and flip2, "
        f"and for {ALL}, it is 1 - ηK/(K - 1) times the clean gradient up to {off * rate:.0e} of "
        f"its length; with cross-entropy that expectation has a cosine of {np.mean(ce):.4f}."
    )


def _draw(found: dict[str, list[tuple[Gradients, int]]], path: Path) -> None:
    colors = {"flip": WRONG, "flip2": RIGHT}
    with figure(path, 9.6, 7.2, len(found), 2) as (_, axes):
        for column, (loss, of_runs) in enumerate(found.items()):
            pair = axes[column], axes[column + len(found)]
            for one, classes in of_runs:
                clean = one["clean"][0]

                for name, color in colors.items():
                    for flipped in one[name]:
                        _curves(pair, clean, flipped, {"color": color, "lw": 0.8, "alpha": 0.45})
                _curves(
                    pair,
                    clean,
                    one["flip, expectation"][0],
                    {"color": "black", "lw": 2.2, "zorder": 5},
                )
                constants = [shrinkage(rate, classes) for rate in CURVE]
                pair[1].plot(CURVE, constants, color="#e69f00", ls="--", lw=1.6, zorder=6)
            pair[0].set_title(f"{loss.upper()}: direction")
            pair[1].set_title(f"{loss.upper()}: length")
            pair[0].set_ylabel("cosine with the clean gradient")
            pair[1].set_ylabel("length relative to the clean gradient")
            for axis in pair:
                axis.set_xlabel("noise rate")
            pair[0].set_ylim(None, 1.02)
            pair[1].set_ylim(0, None)
        for label, color, style in (
            ("flip, fixed targets", WRONG, "-"),
            ("flip2, fixed targets", RIGHT, "-"),
            ("expectation over targets", "black", "-"),
            ("1 - ηK/(K - 1)", "#e69f00", "--"),
        ):
            axes[len(found)].plot([], [], color=color, ls=style, label=label)
        axes[len(found)].legend(loc="lower left")


def _curves(axes: tuple[Axes, Axes], clean: Tensor, flipped: Tensor, style: dict[str, Any]) -> None:
    points = [compare(clean, flipped, rate) for rate in CURVE]
    for axis, values in zip(axes, zip(*points, strict=True), strict=True):
        axis.plot(CURVE, values, **style)


ANALYSIS = Analysis(
    title="Flip noise: fixed target classes, and the expectation over them",
    source=f"{GHOSH}, section 3, remark after Theorem 2",
    claim=(
        "Under flip noise the target class is fixed once drawn, so that even for a symmetric loss "
        "the expected gradient on noisy meta samples is not that of clean ones; in expectation "
        "over the target class it is, up to a constant, and flipping to more classes comes closer "
        "to uniform noise."
    ),
    examine=examine,
    grid=grid(
        {"dataset": "digits"},
        {"flip 0.3": {"noise": "flip", "noise_rate": 0.3}},
        {"RMNW-Net": {"method": "mwnet", "meta_loss": "mae", "meta_noisy": True}},
        range(3),
    ),
    takes_runs=True,
)
