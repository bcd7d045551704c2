"""Is learning infeasible from the rate on at which a wrong class is the majority?"""

from itertools import pairwise
from pathlib import Path
from statistics import mean, stdev

import torch
from scipy.stats import t

from mwnet.core.errors import UserError
from mwnet.noise import NOISES
from mwnet.reproduce.claims.base import (
    GHOSH,
    METHODS,
    Analysis,
    Finding,
    Run,
    Runs,
    grid,
    labels,
    of,
    seeds_of,
    verdict,
)
from mwnet.reproduce.document import markdown_table
from mwnet.reproduce.tables.statistics import spread
from mwnet.runs.canvas import NEUTRAL, PALETTE, figure

NEAR = 0.005
"""Rates are printed with two digits: 0.67 stands for two thirds, on whichever side it lies."""

NEAR_CHANCE = 1.5
"""Times chance below which nothing counts as learnt."""


def limit(noise: str, classes: int, dataset: str = "") -> float:
    """Compute the lowest rate at which a wrong label is as likely as the true class.

    Matrices are linear in the rate: T = (1 - rate) I + rate S. Let D be the diagonal of S and O the
    largest other entry of a row. The row reaches the limit where 1 - rate (1 - D) = rate O.

    Args:
        noise: a name in ``NOISES`` other than none.
        classes: K.
        dataset: its name, for noise with a map of classes.

    Returns:
        1 / (1 - D + O) of the first row that reaches it: 1/2 for flip, 2/3 for flip2, 1 for
        uniform.
    """
    full = NOISES[noise](classes, 1.0, torch.Generator().manual_seed(0), dataset=dataset)
    own = full.diagonal()
    others = full.clone().fill_diagonal_(0.0).amax(1)
    return float((1 / (1 - own + others)).min())


def examine(runs: Runs, path: Path) -> Finding:
    """Measure accuracy by rate, noise and method, and compare with the limits."""
    rows = labels(runs)[0]
    panels = list(dict.fromkeys(map(_panel, runs)))
    lines = [["noise", "rate", "against the limit", *(f"{row}, accuracy in %" for row in rows)]]
    at_limit, into, elsewhere, nothing = {}, [], [], []
    with figure(path, 3.6 * len(panels) + 2.2, 3.8, len(panels)) as (canvas, axes):
        for axis, (dataset, name) in zip(axes, panels, strict=True):
            own = [run for run in runs if _panel(run) == (dataset, name)]
            classes = len(own[0].classes)
            bound = limit(name, classes, dataset)
            several = len({dataset for dataset, _ in panels}) > 1
            label = f"{dataset}, {name}" if several else name
            by_rate = {rate: [run for run in own if _rate(run) == rate] for rate in _rates(own)}
            for place, row in enumerate(rows):
                seen = {rate: _of_row(at, row) for rate, at in by_rate.items() if _of_row(at, row)}
                if seen:
                    middle = [mean(values) for values in seen.values()]
                    errors = [stdev(each) if len(each) > 1 else 0.0 for each in seen.values()]
                    style = {"color": PALETTE[place % len(PALETTE)], "capsize": 3, "label": row}
                    axis.errorbar(list(seen), middle, errors, fmt="o-", **style)
            axis.axvline(bound, color="black", ls="--", label="limit")
            axis.axhline(1 / classes, color=NEUTRAL, ls=":", label="1/K, chance")
            axis.set_title(f"{label}, limit {bound:.3g}")
            axis.set_xlabel("noise rate")
            axis.set_ylim(0, 1)
            for rate, at in by_rate.items():
                cells = [spread(_of_row(at, row), scale=100, digits=2) for row in rows]
                lines.append([label, f"{rate:g}", side(rate, bound), *cells])
                if side(rate, bound) == "at":
                    at_limit[label] = mean(run.accuracy for run in at) * classes
                    if says_nothing(name, classes, rate, dataset):
                        nothing.append(_nothing(at, classes))
            means = {rate: mean(run.accuracy for run in at) for rate, at in by_rate.items()}
            for end, fall in falls(means):
                (into if side(end, bound) == "at" else elsewhere).append(100 * fall)
        axes[0].set_ylabel("test accuracy")
        handles = {
            label: handle
            for axis in axes
            for handle, label in zip(*axis.get_legend_handles_labels(), strict=True)
        }
        canvas.legend(handles.values(), handles, loc="outside right center", fontsize=9)
    kinds = sorted({run.summary["test_labels"] for run in runs})
    legend = LEGEND.format(kinds=" or ".join(kinds))
    body = "\n\n".join([markdown_table(lines), *nothing, legend])
    return Finding(f"{_sentence(at_limit, into, elsewhere)} ({seeds_of(runs)}).", body)


LEGEND = (
    "Mean ± standard deviation over seeds, last epoch, by the {kinds} labels of test data. "
    "*Limit*: the rate from which on, in some row of the transition matrix, a wrong class is at "
    "least as probable as the true one; uniform noise draws among all classes, the true one "
    "included, so it reaches its limit at 1, where labels say nothing."
)


def side(rate: float, of_limit: float) -> str:
    """Say where a rate lies: below, at or above the limit."""
    if abs(rate - of_limit) < NEAR:
        return "at"
    return "below" if rate < of_limit else "above"


def falls(accuracy: dict[float, float]) -> list[tuple[float, float]]:
    """List each step's end rate and the accuracy lost on the step for each 0.01 of the rate."""
    steps = pairwise(sorted(accuracy.items()))
    return [(end, 0.01 * (high - low) / (end - start)) for (start, high), (end, low) in steps]


def says_nothing(noise: str, classes: int, rate: float, dataset: str = "") -> bool:
    """Say whether given and true labels are independent: all rows of the matrix are equal."""
    rows = NOISES[noise](classes, rate, torch.Generator().manual_seed(0), dataset=dataset)
    return bool(torch.allclose(rows, rows[:1].expand_as(rows)))


def interval(values: list[float]) -> tuple[float, float]:
    """Compute Student's 95 % confidence interval of the mean of at least two values."""
    margin = t.ppf(0.975, len(values) - 1) * stdev(values) / len(values) ** 0.5
    return mean(values) - float(margin), mean(values) + float(margin)


def _panel(run: Run) -> tuple[str, str]:
    name = run.summary["noise"]["name"]
    if name not in NOISES or name == "none":
        raise UserError(
            f"{run.folder}: its noise is '{name}', which has no limit known from its rate"
        )
    return run.summary["dataset"], name


def _rate(run: Run) -> float:
    return run.summary["noise"]["rate"]


def _rates(runs: Runs) -> list[float]:
    return sorted(set(map(_rate, runs)))


def _of_row(runs: Runs, row: str) -> list[float]:
    return [run.accuracy for run in of(runs, row=row)]


def _nothing(runs: Runs, classes: int) -> str:
    """Compare accuracy with chance where labels say nothing, and methods with one another."""
    told = []
    for row in labels(runs)[0]:
        values = _of_row(runs, row)
        by_seed = ", ".join(f"{value:.2%}" for value in values)
        ends = [f"{end:.1%}" for end in interval(values)] if len(values) > 1 else []
        told.append(f"{row} {by_seed}" + f" (mean within {' to '.join(ends)})" * bool(ends))
    shares = [run.summary["weights"]["effective_share"] for run in runs]
    return (
        f"Where labels say nothing ({runs[0].column}) accuracy is chance, {1 / classes:.1%} on "
        f"average over many seeds; by seed: {'; '.join(told)}, with 95 % confidence. The effective "
        f"sample size is at least {min(shares):.1%} of the samples in all of these runs: the "
        "closer to 100 %, the closer is a method to plain training of the same seed, luck included."
    )


def _sentence(at_limit: dict[str, float], into: list[float], elsewhere: list[float]) -> str:
    if not at_limit:
        return "No run is at a limit"
    infeasible = [times < NEAR_CHANCE for times in at_limit.values()]
    told = ", ".join(f"{times:.1f} times chance with {name}" for name, times in at_limit.items())
    steps = ""
    if into and elsewhere:
        steps = (
            f"; for each 0.01 of the rate it falls by {_from_to(into)} points on the last step to "
            f"the limit and by {_from_to(elsewhere)} on other steps"
        )
    holds = verdict(infeasible).capitalize()
    return f"{holds} here: at the limit mean accuracy over the methods is {told}{steps}"


def _from_to(values: list[float]) -> str:
    return " to ".join(dict.fromkeys(f"{end:.1f}" for end in (min(values), max(values))))


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
            "RMNW-Net": METHODS["RMNW-Net"],
        },
        range(3),
    ),
    takes_runs=True,
)
