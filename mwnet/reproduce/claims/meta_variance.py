"""Theorem 2: uniform noise on meta labels adds variance to the meta-gradient and shortens it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

import numpy as np
import torch
from matplotlib.axes import Axes
from torch import Generator, Tensor

from mwnet.core.errors import UserError
from mwnet.core.seeding import generator
from mwnet.noise import NOISES, corrupt
from mwnet.reproduce.claims.base import (
    GHOSH,
    Analysis,
    Finding,
    Runs,
    grid,
    labelled,
    seeds_of,
    verdict,
)
from mwnet.reproduce.claims.meta_gradients import contributions_of
from mwnet.reproduce.document import markdown_table
from mwnet.runs.canvas import NEUTRAL, RIGHT, WRONG, figure

RATES = (0.0, 0.2, 0.4, 0.6, 0.8)
SIZES = (1, 4, 16, 64, 256)
DRAWN = 2000
"""Meta batches that are drawn for each rate and size."""


def moments(contributions: Tensor, truth: Tensor, matrix: Tensor) -> tuple[Tensor, float]:
    """Compute the exact mean and variance of the meta-gradient of one drawn meta sample.

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
    """Draw samples and labels of meta batches; return their ``(batches, d)`` meta-gradients."""
    count, classes, _ = contributions.shape
    index = torch.randint(count, (batches * size,), generator=rng)
    given = corrupt(truth[index], matrix, rng)
    cells = (index * classes + given).reshape(batches, size)
    shares = torch.zeros(batches, count * classes, dtype=contributions.dtype)
    shares.scatter_add_(1, cells, torch.full_like(cells, 1, dtype=shares.dtype) / size)
    return shares @ contributions.flatten(0, 1)


def bound(clean: float, rate: float, rho: float, size: int) -> float:
    """Compute the variance with noisy meta labels by Theorem 2, sigma^2 + 2 eta rho^2 / m.

    A symmetric loss never exceeds it, because its contributions add to zero over the labels.

    Args:
        clean: variance of one drawn sample with its true label, m sigma^2.
        rate: eta.
        rho: largest norm of the gradient of one sample with one label.
        size: m.
    """
    return clean / size + 2 * rate * rho**2 / size


@dataclass(frozen=True)
class Measured:
    """Numbers of a run for one rate; variances are relative to that of one clean sample.

    Attributes:
        rate: of the noise.
        variance: of one drawn sample, exactly.
        stated: the variance that Theorem 2 states.
        length: of the expected gradient, relative to the clean one.
        off: distance of the expected gradient from 1 - rate times the clean one, relative to it.
        drawn: variance over drawn batches by size.
    """

    rate: float
    variance: float
    stated: float
    length: float
    off: float
    drawn: dict[int, float]

    def slowdown(self, *, stated: bool = False) -> float:
        """Compute Theorem 2's factor sigma-hat / ((1 - eta) sigma)."""
        return (self.stated if stated else self.variance) ** 0.5 / (1 - self.rate)

    def gap(self) -> float:
        """Compute the largest relative difference of a drawn variance from the exact one."""
        return max(abs(drawn * size / self.variance - 1) for size, drawn in self.drawn.items())

    def above(self) -> bool:
        """Say whether the exact variance is above the theorem's."""
        return self.variance > self.stated * (1 + 1e-9)


ByRate = dict[float, Measured]


def measure(contributions: Tensor, truth: Tensor, seed: int) -> ByRate:
    """Measure one run at every rate."""
    classes = contributions.shape[1]
    rho = float(contributions.norm(dim=-1).max())
    clean, unit = moments(contributions, truth, torch.eye(classes, dtype=torch.float64))
    if not unit > 0:  # NaN as well
        raise UserError("all meta-gradients are equal: the weight net or the classifier is stuck")
    found = {}
    for rate in RATES:
        matrix = NOISES["uniform"](classes, rate, Generator())
        expected, variance = moments(contributions, truth, matrix)
        drawn = {}
        for size in SIZES:
            rng = generator(seed, "meta variance", rate, size)
            samples = drawn_gradients(contributions, truth, matrix, size, DRAWN, rng)
            drawn[size] = float(samples.var(0).sum()) / unit
        found[rate] = Measured(
            rate=rate,
            variance=variance / unit,
            stated=bound(unit, rate, rho, 1) / unit,
            length=float(expected.norm() / clean.norm()),
            off=float((expected - (1 - rate) * clean).norm() / clean.norm()),
            drawn=drawn,
        )
    return found


def examine(runs: Runs, path: Path) -> Finding:
    """Measure variance by batch size and rate, length of the expectation, and slowdown."""
    found = {
        name: [measure(*contributions_of(run), run.seed) for run in own]
        for name, own in labelled(runs).items()
    }
    _draw(found, path)
    heading = ["networks", "rate", "variance", "by the theorem", "largest gap of drawn batches"]
    lines = [[*heading, "length of the mean", "slowdown", "slowdown by the theorem"]]
    for name, seeds in found.items():
        lines += [[name, f"{rate:g}", *_line([one[rate] for one in seeds])] for rate in RATES]
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


def _sentence(runs: Runs, found: dict[str, list[ByRate]]) -> str:
    rate = 0.4
    noisy = [m for seeds in found.values() for one in seeds for m in one.values() if m.rate > 0]
    at_rate = {name: [one[rate] for one in seeds] for name, seeds in found.items()}

    def means(number: Callable[[Measured], float], digits: int) -> str:
        return " and ".join(
            f"{mean(map(number, of_rate)):.{digits}f} ({name})" for name, of_rate in at_rate.items()
        )

    above, off = sum(one.above() for one in noisy), max(one.off for one in noisy)
    least = min(one.stated / one.variance for one in noisy)
    limit, slowest = 1 / (1 - rate), max(one.slowdown() for of in at_rate.values() for one in of)
    losses = " and ".join(sorted({str(run.summary["meta_loss"]) for run in runs}))
    return (
        f"The claim {verdict([off < 1e-6, not above])} here ({seeds_of(runs)}, meta loss {losses}):"
        f" the expected meta-gradient is 1 - η times the clean one up to {off:.0e} of its length; "
        f"sigma² + 2 eta rho²/m is {'no' if above else 'a loose' if least > 2 else 'an'} upper "
        f"bound of the variance, exceeded in {above} of {len(noisy)} cases with noise and at least "
        f"{least:.1f} times the variance; noise makes the variance smaller in "
        f"{sum(one.variance < 1 for one in noisy)} of them, at a rate of {rate:g} to "
        f"{means(lambda one: one.variance, 3)} times that with clean labels, so that the slowdown "
        f"sigma-hat/((1 - η)sigma) is {means(Measured.slowdown, 2)}, "
        f"{'below' if slowest < limit else 'not always below'} 1/(1 - η) = {limit:.2f}."
    )


LEGEND = (
    "Means over seeds. *Variance*: the trace of the covariance of the meta-gradient dM/dTheta over "
    "drawn meta batches, relative to that with clean labels, for samples and labels drawn "
    "independently; both fall as 1/m, so the ratio is the same for every m. *By the theorem*: "
    "(sigma² + 2 eta rho² / m) / sigma² with rho the largest norm of dM/dTheta of a single sample "
    "with any label; the paper's assumption bounds the gradient of the meta loss itself. *Gap*: of "
    f"the variance over {DRAWN} drawn meta batches of {SIZES[0]} to {SIZES[-1]} samples from the "
    "exact one divided by m. *Length of the mean*: of the expected gradient, relative to the clean "
    "one; *slowdown*: sigma-hat / ((1 - eta) sigma), the factor in the theorem's rate of "
    "convergence, for the exact variance in the place of sigma-hat² and for the theorem's. For one "
    "training batch."
)


def _draw(found: dict[str, list[ByRate]], path: Path) -> None:
    falling = [1 - rate for rate in RATES]
    with figure(path, 12.6, 3.9 * len(found), 3, len(found)) as (_, axes):
        for place, (name, seeds) in enumerate(found.items()):
            variance, length, slowdown = axes[3 * place : 3 * place + 3]
            by_rate = [[one[rate] for one in seeds] for rate in RATES]
            _draw_variance(variance, seeds)
            variance.set_title(f"{name}: variance of the meta-gradient")
            lengths = [mean(one.length for one in of_rate) for of_rate in by_rate]
            length.plot(RATES, falling, color="black", lw=1, label="1 - η")
            length.plot(RATES, lengths, "o", color=RIGHT, mfc="none", label="expected")
            length.set_ylim(0, None)
            length.set_ylabel("length [that of the clean gradient]")
            length.set_title(f"{name}: expected meta-gradient")
            for stated, color, label in ((False, RIGHT, "exact"), (True, WRONG, "theorem")):
                factors = [mean(one.slowdown(stated=stated) for one in of) for of in by_rate]
                slowdown.semilogy(RATES, factors, "o-", color=color, label=label)
            slowdown.semilogy(RATES, 1 / np.array(falling), "k:", label="1 / (1 - η)")
            slowdown.set_ylabel(r"$\hat\sigma\,/\,((1 - \eta)\,\sigma)$")
            slowdown.set_title(f"{name}: slowdown")
            for axis in (length, slowdown):
                axis.set_xlabel("noise rate η of the meta labels")
                axis.legend(fontsize=9)


def _draw_variance(axis: Axes, of_row: list[ByRate]) -> None:
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


ANALYSIS = Analysis(
    title="What noisy meta labels do to the meta-gradient",
    source=f"{GHOSH}, Theorem 2 and the remark after it",
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
