"""Flip noise: the expected meta-gradient for fixed target classes, and over all target classes."""

import copy
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from mwnet.core.seeding import generator
from mwnet.losses import LOSSES, Loss
from mwnet.noise import NOISES
from mwnet.reproduce.claims.base import (
    GHOSH,
    Analysis,
    Finding,
    Run,
    Runs,
    grid,
    seeds_of,
    true_labels,
    verdict,
)
from mwnet.reproduce.document import markdown_table
from mwnet.runs.canvas import PALETTE, RIGHT, WRONG, figure

DRAWS = 10
"""Random target classes for each run."""
RATES = (0.15, 0.3, 0.45)  # the first two are the paper's for flip
CURVE = np.linspace(0, 0.6, 25)
TARGETS = {"flip": 1, "flip2": 2}
ALL = "flip{K-1}"
EQUAL = 1e-6
"""What differs by less, relative to the clean gradient's length, is the same."""


@dataclass(frozen=True)
class Pair:
    """Scalars that describe a clean gradient and the gradient with every label flipped.

    Attributes:
        clean: squared length of the clean gradient.
        both: dot product of the two gradients.
        flipped: squared length of the flipped gradient.
        off: distance of the flipped gradient from -1 / (K - 1) times the clean one, which is what a
            symmetric loss has in expectation over target classes; relative to the clean one's
            length.
    """

    clean: float
    both: float
    flipped: float
    off: float

    def at(self, rate: float) -> tuple[float, float]:
        """Compute cosine and relative length of the noisy gradient, against the clean gradient.

        The noisy gradient is (1 - rate) clean + rate flipped, because expectations are linear in
        the probability of a flip. The cosine is NaN where that sum is zero, as with two classes at
        a rate of 1/2.
        """
        square = (1 - rate) ** 2 * self.clean + rate**2 * self.flipped
        length = max(0.0, (square + 2 * rate * (1 - rate) * self.both) / self.clean) ** 0.5
        along = (1 - rate) + rate * self.both / self.clean
        return along / length if length > EQUAL else float("nan"), length


@dataclass(frozen=True)
class Measured:
    """Pairs of gradients of one run with one loss, by kind of flip, and the number of classes."""

    pairs: dict[str, list[Pair]]
    classes: int


Found = dict[str, list[Measured]]


def shrinkage(rate: float, classes: int) -> float:
    """Compute the factor 1 - rate K / (K - 1) of a symmetric loss in expectation over targets."""
    return 1 - rate * classes / (classes - 1)


def mean_over_targets(classes: int, targets: int) -> Tensor:
    """Compute the ``(K, K)`` mean of flip matrices of rate 1 over all choices of target classes."""
    matrix = torch.zeros(classes, classes, dtype=torch.float64)
    for row in range(classes):
        others = [column for column in range(classes) if column != row]
        chosen = torch.tensor(list(combinations(others, targets)))
        counts = chosen.flatten().bincount(minlength=classes)
        matrix[row] = counts / len(chosen) / targets
    return matrix


def expected_gradient(network: nn.Module, x: Tensor, rows: Tensor, loss: Loss) -> Tensor:
    """Compute the gradient of the mean loss in the parameters, in expectation over the labels.

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


def compare(clean: Tensor, flipped: Tensor, classes: int) -> Pair:
    """Reduce two ``(d,)`` gradients, with true labels and with every label flipped, to a pair."""
    apart = float((flipped + clean / (classes - 1)).norm() / clean.norm())
    return Pair(float(clean @ clean), float(clean @ flipped), float(flipped @ flipped), apart)


def targets_of(classes: int) -> dict[str, int]:
    """Return the kinds of flip noise that exist for a number of classes, with their targets."""
    return {name: targets for name, targets in TARGETS.items() if targets < classes}


def measure(run: Run, loss: str) -> Measured:
    """Compare the gradients of a run's meta samples with true labels and with flipped ones.

    ``flip`` and ``flip2`` have one pair for each draw of target classes; their ``expectation`` is
    over all target classes, and ``flip{K-1}`` has all other classes as targets. Of the gradients
    only the clean one is kept in memory.
    """
    experiment = run.experiment()
    classes, parts = experiment.data.source.num_classes, experiment.data.parts
    network = copy.deepcopy(experiment.method.learner.network).double().eval()
    ids = parts.meta if len(parts.meta) else parts.train[:1000]
    truth = true_labels(run, experiment)[ids]
    x = experiment.data.pixels.take(ids.to(experiment.device)).double()

    def of_matrix(matrix: Tensor) -> Tensor:
        rows = matrix[truth].to(experiment.device)
        return expected_gradient(network, x, rows, LOSSES[loss]).cpu()

    clean = of_matrix(torch.eye(classes, dtype=torch.float64))
    matrices: dict[str, Iterable[Tensor]] = {}
    for name, targets in targets_of(classes).items():
        rng = generator(run.seed, "flip targets", name)
        matrices[name] = [NOISES[name](classes, 1.0, rng) for _ in range(DRAWS)]
        matrices[f"{name}, expectation"] = [mean_over_targets(classes, targets)]
    matrices[ALL] = [NOISES["symmetric"](classes, 1.0, torch.Generator())]
    pairs = {
        kind: [compare(clean, of_matrix(matrix), classes) for matrix in of_kind]
        for kind, of_kind in matrices.items()
    }
    return Measured(pairs, classes)


def examine(runs: Runs, path: Path) -> Finding:
    """Measure angle and length of the expected noisy gradient, by loss, noise and rate."""
    found = {loss: [measure(run, loss) for run in runs] for loss in ("mae", "ce")}
    _draw(found, path)
    most = max(found["mae"], key=lambda one: one.classes)
    lines = [["loss", "labels", *(f"rate {rate:g}" for rate in RATES)]]
    for loss, of_runs in found.items():
        for kind in most.pairs:
            cells = [_cell(*_compared(of_runs, kind, rate)) for rate in RATES]
            lines.append([loss.upper(), kind if kind not in TARGETS else f"{kind}, fixed", *cells])
    for number in sorted({one.classes for one in found["mae"]}):
        constants = [f"{shrinkage(rate, number):.4f}" for rate in RATES]
        lines.append(["", f"1 - ηK/(K - 1), K = {number}", *constants])
    return Finding(_sentence(runs, found), f"{markdown_table(lines)}\n\n{LEGEND}")


LEGEND = (
    "Cosine between the expected noisy and the clean gradient in the classifier's parameters w, "
    "with the lowest in brackets where several were drawn, and the ratio of their lengths. "
    f"*Fixed*: {DRAWS} random choices of target classes for each run; expectation over which labels"
    " are flipped, exactly. *Expectation*: also over the target classes, all choices enumerated. "
    f"*{ALL}*: all other classes are targets, which is uniform noise of rate ηK/(K - 1). Samples: "
    "the meta set with its true labels, float64, at the trained network. With two classes there is "
    "one target, so that all of these are the same, and no flip2."
)


def _compared(of_runs: list[Measured], kind: str, rate: float) -> tuple[list[float], list[float]]:
    """List cosines and ratios of lengths, over the draws of the runs that have this kind."""
    points = [pair.at(rate) for one in of_runs for pair in one.pairs.get(kind, ())]
    return [point[0] for point in points], [point[1] for point in points]


def _cell(cosines: list[float], lengths: list[float]) -> str:
    lowest = f" ({min(cosines):.4f})" if max(cosines) - min(cosines) > 1e-4 else ""
    return f"{np.mean(cosines):.4f}{lowest}, length {np.mean(lengths):.4f}"


def _sentence(runs: Runs, found: Found) -> str:
    rate = RATES[1]
    fixed, lengths = _compared(found["mae"], "flip", rate)
    two, _ = _compared(found["mae"], "flip2", rate)
    off = max(
        pair.off
        for one in found["mae"]
        for kind, pairs in one.pairs.items()
        if kind not in TARGETS
        for pair in pairs
    )
    ce, _ = _compared(found["ce"], "flip, expectation", rate)
    checks, more = [min(fixed) < 1 - EQUAL, off < EQUAL], ""
    if two:
        one, _ = _compared([of for of in found["mae"] if "flip2" in of.pairs], "flip", rate)
        checks.append(float(np.mean(two)) > float(np.mean(one)))
        closer = "closer" if checks[-1] else "no closer"
        more = f"; with two targets (flip2) it is {closer}: {np.mean(two):.4f}"
    return (
        f"The claim {verdict(checks)} here: at a rate of {rate:g} ({seeds_of(runs)}) the MAE "
        f"gradient for fixed flip targets has a cosine of {np.mean(fixed):.4f} with the clean one "
        f"(lowest {min(fixed):.4f}) and {np.mean(lengths):.3f} of its length{more}; in expectation "
        f"over the targets it is 1 - ηK/(K - 1) times the clean gradient up to {off * rate:.0e} of "
        f"its length, while with cross-entropy that expectation has a cosine of {np.mean(ce):.4f}."
    )


def _draw(found: Found, path: Path) -> None:
    styles: dict[str, dict[str, Any]] = {
        "flip": {"color": WRONG, "lw": 0.8, "alpha": 0.45},
        "flip2": {"color": RIGHT, "lw": 0.8, "alpha": 0.45},
        "flip, expectation": {"color": "black", "lw": 2.2, "zorder": 5},
    }
    names = ("flip, fixed targets", "flip2, fixed targets", "expectation over targets")
    with figure(path, 9.6, 7.2, len(found), 2) as (_, axes):
        for column, (loss, of_runs) in enumerate(found.items()):
            direction, length = axes[column], axes[column + len(found)]
            for one in of_runs:
                for kind, style in styles.items():
                    for pair in one.pairs.get(kind, ()):
                        cosines, lengths = zip(*map(pair.at, CURVE), strict=True)
                        direction.plot(CURVE, cosines, **style)
                        length.plot(CURVE, lengths, **style)
                constants = [abs(shrinkage(rate, one.classes)) for rate in CURVE]
                length.plot(CURVE, constants, color=PALETTE[4], ls="--", lw=1.6, zorder=6)
            direction.set_title(f"{loss.upper()}: direction")
            length.set_title(f"{loss.upper()}: length")
            direction.set_ylabel("cosine with the clean gradient")
            length.set_ylabel("length relative to the clean gradient")
            for axis in (direction, length):
                axis.set_xlabel("noise rate")
            direction.set_ylim(None, 1.02)
            length.set_ylim(0, None)
        legend = axes[len(found)]
        drawn = {kind for of_runs in found.values() for one in of_runs for kind in one.pairs}
        for name, (kind, style) in zip(names, styles.items(), strict=True):
            if kind in drawn:
                legend.plot([], [], color=style["color"], label=name)
        legend.plot([], [], color=PALETTE[4], ls="--", label="|1 - ηK/(K - 1)|")
        legend.legend(loc="lower left")


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
