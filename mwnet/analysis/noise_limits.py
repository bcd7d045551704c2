"""Is learning infeasible from the rate on at which a wrong class is the majority?"""

from pathlib import Path
from statistics import mean, stdev

import torch

from mwnet.analysis.base import GHOSH, Analysis, Finding, Run, Runs, grid, labels, of, seeds_of
from mwnet.benchmark.statistics import spread
from mwnet.report.document import markdown_table
from mwnet.report.figures import NEUTRAL, RIGHT, WRONG, figure
from noise import NOISES

COLORS = (WRONG, RIGHT, "#009e73", "#cc79a7", "#e69f00", "#56b4e9")  # Okabe and Ito
NEAR = 0.005
"""Rates are printed with two digits: 0.67 stands for two thirds, on whichever side it lies."""


def limit(noise: str, classes: int, dataset: str = "") -> float:
    """The lowest rate at which the true class is no longer alone in being the likeliest label.

    Matrices are linear in the rate, T = (1 - rate) I + rate S, so with D the diagonal of S and O
    the largest entry beside it a row reaches the limit where 1 - rate (1 - D) = rate O.

    Args:
        noise: a name in ``NOISES`` other than none.
        classes: K.
        dataset: its name, for noise with a map of classes.

    Returns:
        1 / (1 - D + O), of the first row that reaches it: 1/2 for flip, 2/3 for flip2, 1 for
        uniform.
    """
    full = NOISES[noise](classes, 1.0, torch.Generator().manual_seed(0), dataset=dataset)
    own = full.diagonal()
    others = full.clone().fill_diagonal_(0.0).amax(1)
    return float((1 / (1 - own + others)).min())


def examine(runs: Runs, path: Path) -> Finding:
    """Accuracy by rate, noise and method, and the limits."""
    rows = labels(runs)[0]
    names = list(dict.fromkeys(_noise(run)[0] for run in runs))
    classes, dataset = len(runs[0].summary["classes"]), runs[0].summary["dataset"]
    limits = {name: limit(name, classes, dataset) for name in names}
    lines = [["noise", "rate", "against the limit", *(f"{row}, accuracy in %" for row in rows)]]
    told = []
    with figure(path, 3.6 * len(names) + 0.4, 3.8, len(names)) as (_, axes):
        for axis, name in zip(axes, names, strict=True):
            own = [run for run in runs if _noise(run)[0] == name]
            rates = sorted({_noise(run)[1] for run in own})
            values = {
                (row, rate): [
                    run.summary["test_accuracy"]["last"]
                    for run in of(own, row=row)
                    if _noise(run)[1] == rate
                ]
                for row in rows
                for rate in rates
            }
            for row, color in zip(rows, COLORS, strict=False):
                there = [rate for rate in rates if values[row, rate]]
                means = [mean(values[row, rate]) for rate in there]
                errors = [_deviation(values[row, rate]) for rate in there]
                axis.errorbar(there, means, errors, fmt="o-", color=color, capsize=3, label=row)
            axis.axvline(limits[name], color="black", ls="--", label="limit")
            axis.axhline(1 / classes, color=NEUTRAL, ls=":", label="1/K, chance")
            axis.set_title(f"{name}, limit {limits[name]:.3g}")
            axis.set_xlabel("noise rate")
            axis.set_ylim(0, 1)
            for rate in rates:
                accuracies = [spread(values[row, rate], scale=100, digits=2) for row in rows]
                lines.append([name, f"{rate:g}", side(rate, limits[name]), *accuracies])
            told.append(_part(name, limits[name], rows, values))
        axes[0].set_ylabel("test accuracy")
        axes[0].legend(loc="lower left", bbox_to_anchor=(0, 0.12), fontsize=9)
    sentence = f"Mean accuracy ({seeds_of(runs)}) {'; '.join(told)}; chance is {1 / classes:.3g}."
    return Finding(sentence, markdown_table(lines) + f"\n\n{LEGEND}")


LEGEND = (
    "Mean ± standard deviation over seeds, last epoch, clean test labels. *Limit*: the rate from "
    "which on, in some row of the transition matrix, a wrong class is at least as probable as the "
    "true one; uniform noise draws among all classes, the true one included, so it reaches its "
    "limit at 1, where labels say nothing."
)


def side(rate: float, of_limit: float) -> str:
    """Where a rate lies: below, at or above the limit."""
    if abs(rate - of_limit) < NEAR:
        return "at"
    return "below" if rate < of_limit else "above"


def _noise(run: Run) -> tuple[str, float]:
    return run.summary["noise"]["name"], run.summary["noise"]["rate"]


def _deviation(values: list[float]) -> float:
    return stdev(values) if len(values) > 1 else 0.0


def _part(
    name: str, of_limit: float, rows: list[str], values: dict[tuple[str, float], list[float]]
) -> str:
    """The last rate below the limit, and all from there on."""
    rates = sorted({rate for _, rate in values})
    below = [rate for rate in rates if side(rate, of_limit) == "below"][-1:]
    beyond = [rate for rate in rates if side(rate, of_limit) != "below"]
    parts = []
    for row in rows:
        at = [
            f"{mean(values[row, rate]):.1%} at {rate:g}"
            for rate in below + beyond
            if values[row, rate]
        ]
        parts.append(f"{row} {', '.join(at)}")
    return f"with {name} (limit {of_limit:.3g}): {'; '.join(parts)}"


RATES = {
    "flip": (0.3, 0.45, 0.5, 0.55),
    "flip2": (0.5, 0.6, 0.67, 0.75),
    "uniform": (0.8, 0.9, 0.95, 1.0),
}

ANALYSIS = Analysis(
    title="From which rate on learning is infeasible",
    source=f"{GHOSH}, section 4, noise rate",
    claim=(
        "With flip, flip2 and uniform noise from rates of 0.50, 0.67 and 1.0 on a noisy class is "
        "the majority, which makes learning infeasible."
    ),
    examine=examine,
    grid=grid(
        {"dataset": "digits"},
        {
            f"{name} {rate}": {"noise": name, "noise_rate": rate}
            for name, rates in RATES.items()
            for rate in rates
        },
        {
            "plain training": {"method": "erm"},
            "RMNW-Net": {"method": "mwnet", "meta_loss": "mae", "meta_noisy": True},
        },
        range(3),
    ),
)
