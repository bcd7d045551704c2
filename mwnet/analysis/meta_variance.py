"""Theorem 2: how uniform noise on the meta labels spreads and shortens the meta-gradient."""

import copy
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from torch import Generator, Tensor
from torch.optim import SGD

from mwnet.analysis.base import GHOSH, Analysis, Finding, Run, Runs, grid, labels, of, seeds_of
from mwnet.bilevel import Bilevel
from mwnet.data import Batch
from mwnet.errors import UserError
from mwnet.report.document import markdown_table
from mwnet.report.figures import NEUTRAL, RIGHT, WRONG, figure
from mwnet.seeding import generator
from noise import NOISES, corrupt

RATES = (0.0, 0.2, 0.4, 0.6, 0.8)
SIZES = (1, 4, 16, 64, 256)
DRAWN = 2000
"""Meta batches that are drawn for each rate and size."""
CALLS = 2000
"""Meta-gradients of single samples that are computed at most for a run; 10 samples at least."""


def moments(contributions: Tensor, truth: Tensor, matrix: Tensor) -> tuple[Tensor, float]:
    """Mean and variance of the meta-gradient of one drawn meta sample, exactly.

    The sample is drawn evenly, its label from the row of its true class. A batch of m independent
    draws has the same mean and 1/m of the variance.

    Args:
        contributions: ``(n, K, d)`` meta-gradient of each sample alone with each label.
        truth: ``(n,)`` true labels.
        matrix: ``(K, K)`` transition matrix.

    Returns:
        ``(d,)`` and the trace of the covariance, E ||g - E g||^2.
    """
    rows = matrix[truth] / len(truth)
    center = torch.einsum("nk,nkd->d", rows, contributions)
    second = (rows * contributions.square().sum(-1)).sum()
    return center, float(second - center @ center)


def drawn_gradients(
    contributions: Tensor, truth: Tensor, matrix: Tensor, size: int, batches: int, rng: Generator
) -> Tensor:
    """``(batches, d)`` meta-gradients of meta batches of a size, samples and labels drawn anew."""
    count, classes, _ = contributions.shape
    index = torch.randint(count, (batches * size,), generator=rng)
    given = corrupt(truth[index], matrix, rng)
    cells = (index * classes + given).reshape(batches, size)
    shares = torch.zeros(batches, count * classes, dtype=contributions.dtype)
    shares.scatter_add_(1, cells, torch.full_like(cells, 1, dtype=shares.dtype) / size)
    return shares @ contributions.flatten(0, 1)


def bound(clean: float, rate: float, rho: float, size: int) -> float:
    """Variance with noisy meta labels by Theorem 2, sigma^2 + 2 eta rho^2 / m; never exceeded.

    Args:
        clean: variance of one drawn sample with its true label, so that sigma^2 is its m-th part.
        rate: eta.
        rho: largest norm of the gradient of one sample with one label.
        size: m.
    """
    return clean / size + 2 * rate * rho**2 / size


def contributions_of(run: Run) -> tuple[Tensor, Tensor]:
    """``(n, K, d)`` meta-gradients dM/dTheta of single meta samples, and ``(n,)`` true labels.

    At the trained networks in float64, for one training batch, with the paper's look-ahead (a plain
    gradient step) at the run's first learning rate; its schedule may have ended at zero. In eval
    mode, so that with batch norm too a meta batch is the mean of its samples.
    """
    experiment = run.experiment()
    method: Any = experiment.method
    problem = getattr(method, "problem", None)
    if not isinstance(problem, Bilevel) or not len(experiment.parts.meta):
        raise UserError(f"{run.folder}: only --method mwnet with a meta set has this meta-gradient")
    if experiment.truth is None:
        raise UserError(f"{run.folder}: the clean meta-gradient needs true labels, here are none")
    problem = replace(
        problem,
        classifier=copy.deepcopy(problem.classifier).double().eval(),
        weight_net=copy.deepcopy(problem.weight_net).double(),
        virtual_step="sgd",
    )
    optimizer = SGD(problem.classifier.parameters(), lr=experiment.config.lr)
    classes = experiment.source.num_classes
    meta = experiment.parts.meta
    order = torch.randperm(len(meta), generator=generator(run.seed, "meta variance", "samples"))
    ids = meta[order[: max(10, CALLS // classes)]]
    x = experiment.pixels.take(ids.to(experiment.device)).double()
    train = experiment.train[0]
    batch = Batch(train.index, train.x.double(), train.y)
    rows = []
    for i in range(len(ids)):
        for label in range(classes):
            given = torch.full((1,), label, device=x.device)
            alone = Batch(ids[i : i + 1], x[i : i + 1], given)
            theta = method.engine(problem, optimizer, batch, alone).theta
            rows.append(torch.cat([part.flatten() for part in theta]).cpu())
    return torch.stack(rows).reshape(len(ids), classes, -1), experiment.truth[ids]


@dataclass(frozen=True)
class Measured:
    """A run's numbers for one rate; variances are relative to that of one clean sample.

    Attributes:
        rate: of the noise.
        variance: of one drawn sample, exactly.
        stated: the same by Theorem 2.
        length: of the expected gradient, relative to the clean one.
        off: distance of the expected gradient from 1 - rate times the clean one, relative to it.
        drawn: variance over drawn batches by size.
        length_drawn: of the mean over the largest drawn batches, relative to the clean gradient.
    """

    rate: float
    variance: float
    stated: float
    length: float
    off: float
    drawn: dict[int, float]
    length_drawn: float

    def slowdown(self, *, stated: bool = False) -> float:
        """Theorem 2's factor sigma-hat / ((1 - eta) sigma)."""
        return (self.stated if stated else self.variance) ** 0.5 / (1 - self.rate)

    def gap(self) -> float:
        """Largest relative difference of a drawn variance from the exact one."""
        return max(abs(drawn * size / self.variance - 1) for size, drawn in self.drawn.items())


def measure(contributions: Tensor, truth: Tensor, seed: int) -> dict[float, Measured]:
    """All numbers of one run by rate."""
    classes = contributions.shape[1]
    rho = float(contributions.norm(dim=-1).max())
    clean, unit = moments(contributions, truth, torch.eye(classes, dtype=torch.float64))
    if not unit > 0:  # NaN as well
        raise UserError("all meta-gradients are equal: the weight net or the classifier is stuck")
    found = {}
    for rate in RATES:
        matrix = NOISES["uniform"](classes, rate, Generator())
        expected, variance = moments(contributions, truth, matrix)
        drawn, center = {}, clean
        for size in SIZES:
            rng = generator(seed, "meta variance", rate, size)
            samples = drawn_gradients(contributions, truth, matrix, size, DRAWN, rng)
            drawn[size] = float(samples.var(0).sum()) / unit
            center = samples.mean(0)
        found[rate] = Measured(
            rate=rate,
            variance=variance / unit,
            stated=bound(unit, rate, rho, 1) / unit,
            length=float(expected.norm() / clean.norm()),
            off=float((expected - (1 - rate) * clean).norm() / clean.norm()),
            drawn=drawn,
            length_drawn=float(center.norm() / clean.norm()),
        )
    return found


def examine(runs: Runs, path: Path) -> Finding:
    """Variance by size of the meta batch and rate, length of the expectation, and the slowdown."""
    rows = labels(runs)[0]
    found = {
        row: [measure(*contributions_of(run), run.seed) for run in of(runs, row=row)]
        for row in rows
    }
    _draw(found, path)
    heading = ["networks", "rate", "variance", "by the theorem", "largest gap of drawn batches"]
    lines = [[*heading, "length of the mean", "slowdown", "slowdown by the theorem"]]
    for row, of_row in found.items():
        lines += [[row, f"{rate:g}", *_line([one[rate] for one in of_row])] for rate in RATES]
    return Finding(_sentence(runs, found), f"{markdown_table(lines)}\n\n{LEGEND}")


def _line(of_rate: list[Measured]) -> list[str]:
    return [
        f"{mean(one.variance for one in of_rate):.3f}",
        f"{mean(one.stated for one in of_rate):.2f}",
        f"{max(one.gap() for one in of_rate):.1%}",
        f"{mean(one.length for one in of_rate):.4f}",
        f"{mean(one.slowdown() for one in of_rate):.2f}",
        f"{mean(one.slowdown(stated=True) for one in of_rate):.2f}",
    ]


def _sentence(runs: Runs, found: dict[str, list[dict[float, Measured]]]) -> str:
    rate = 0.4
    told = [
        f"{mean(one[rate].variance for one in of_row):.3f} times ({row}; "
        f"{mean(one[rate].stated for one in of_row):.2f} times by the theorem)"
        for row, of_row in found.items()
    ]
    everything = [
        measured for of_row in found.values() for one in of_row for measured in one.values()
    ]
    above = sum(one.variance > one.stated * (1 + 1e-9) for one in everything)
    return (
        f"At a rate of {rate:g} ({seeds_of(runs)}) the variance of the meta-gradient is "
        f"{' and '.join(told)} that with clean labels; it is above the theorem's in {above} of "
        f"{len(everything)} cases; over {DRAWN} drawn meta batches of {SIZES[0]} to {SIZES[-1]} "
        f"samples it is within {max(one.gap() for one in everything):.1%} of the exact one divided "
        f"by m; the expected gradient is 1 - η times the clean one up to "
        f"{max(one.off for one in everything):.0e} of its length."
    )


LEGEND = (
    "Means over seeds. *Variance*: the trace of the covariance of the meta-gradient dM/dTheta over "
    "drawn meta batches, relative to that with clean labels, for samples and labels drawn "
    "independently; both fall as 1/m, so the ratio is the same for every m. *By the theorem*: "
    "(sigma² + 2 eta rho² / m) / sigma² with rho the largest norm of the gradient of a single "
    "sample with any label. *Length of the mean*: of the expected gradient, relative to the clean "
    "one; *slowdown*: sigma-hat / ((1 - eta) sigma), the factor in the theorem's rate of "
    "convergence. For one training batch."
)


def _draw(found: dict[str, list[dict[float, Measured]]], path: Path) -> None:
    with figure(path, 12.6, 3.9 * len(found), 3, len(found)) as (_, axes):
        for place, (row, of_row) in enumerate(found.items()):
            variance, length, slowdown = axes[3 * place : 3 * place + 3]
            _draw_variance(variance, of_row)
            _draw_length(length, of_row)
            for stated, color, label in ((False, RIGHT, "exact"), (True, WRONG, "theorem")):
                values = [
                    mean(one[rate].slowdown(stated=stated) for one in of_row) for rate in RATES
                ]
                slowdown.semilogy(RATES, values, "o-", color=color, label=label)
            slowdown.semilogy(RATES, [1 / (1 - rate) for rate in RATES], "k:", label="1 / (1 - η)")
            slowdown.set_ylabel(r"$\hat\sigma\,/\,((1 - \eta)\,\sigma)$")
            slowdown.set_title(f"{row}: slowdown")
            variance.set_title(f"{row}: variance of the meta-gradient")
            length.set_title(f"{row}: expected meta-gradient")
            for axis in (length, slowdown):
                axis.set_xlabel("noise rate η of the meta labels")
                axis.legend(fontsize=9)


def _draw_variance(axis: Axes, of_row: list[dict[float, Measured]]) -> None:
    sizes = np.array(SIZES)
    for rate, color in zip(RATES[::2], (NEUTRAL, RIGHT, WRONG), strict=True):
        of_rate = [one[rate] for one in of_row]
        drawn = [mean(one.drawn[size] for one in of_rate) for size in SIZES]
        axis.loglog(sizes, drawn, "o", color=color, label=f"η = {rate:g}")
        exact = mean(one.variance for one in of_rate) / sizes
        axis.loglog(sizes, exact, color=color, lw=1.5)
        if rate:
            stated = mean(one.stated for one in of_rate) / sizes
            axis.loglog(sizes, stated, "--", color=color)
    axis.set_xlabel("meta batch size m")
    axis.set_ylabel("variance [that of one clean sample]")
    for style, label in (("o", "drawn batches"), ("-", "exact"), ("--", "theorem")):
        axis.plot([], [], style, color="black", lw=1.5, label=label)
    axis.set_ylim(axis.get_ylim()[0] / 10, None)
    axis.legend(fontsize=9, loc="lower left", ncols=2)


def _draw_length(axis: Axes, of_row: list[dict[float, Measured]]) -> None:
    drawn = [mean(one[rate].length_drawn for one in of_row) for rate in RATES]
    expected = [mean(one[rate].length for one in of_row) for rate in RATES]
    axis.plot(RATES, drawn, "x", color=WRONG, ms=8, label="mean of drawn batches")
    axis.plot(RATES, expected, "o", color=RIGHT, mfc="none", label="expected")
    axis.plot([0, 1], [1, 0], color="black", lw=1, label="1 - η")
    axis.set_ylabel("length [that of the clean gradient]")


ANALYSIS = Analysis(
    title="What noisy meta labels do to the meta-gradient",
    source=f"{GHOSH}, Theorem 2",
    claim=(
        "With a symmetric meta loss and uniform noise of rate eta on the meta labels the weighting "
        "network still converges, with sigma-hat / (1 - eta) in the place of sigma in the rate, "
        "where sigma-hat² = sigma² + 2 eta rho² / m is the variance of drawing a meta batch of m "
        "samples and rho bounds their gradients: large meta batches make up for noisy labels."
    ),
    examine=examine,
    grid=grid(
        {"dataset": "digits", "method": "mwnet", "meta_loss": "mae", "meta_noisy": True},
        {"uniform 0.4": {"noise": "uniform", "noise_rate": 0.4}},
        {"after 2 epochs": {"epochs": 2}, "trained": {}},
        range(3),
    ),
    takes_runs=True,
)
