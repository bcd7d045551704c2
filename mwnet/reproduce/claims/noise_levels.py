"""Does a loss that was found at 80 % noise also serve at lower rates?"""

from pathlib import Path
from statistics import mean, stdev

import numpy as np

from mwnet.reproduce.claims.base import (
    GAO,
    Analysis,
    Finding,
    Runs,
    accuracies,
    grid,
    labels,
    of,
    seeds_of,
    verdict,
)
from mwnet.reproduce.document import markdown_table
from mwnet.reproduce.tables.statistics import spread
from mwnet.runs.canvas import PALETTE, figure

FOUND = "Taylor"
USUAL = "the recipe's weight decay"
SETTINGS = {"": {}, ", no weight decay": {"weight_decay": 0.0}}
FOUND_AT = 0.8
"""Noise rate at which it was found."""


def examine(runs: Runs, path: Path) -> Finding:
    """Measure accuracy of each loss against the noise rate, with and without weight decay."""
    rows, columns = labels(runs)
    settings = list(dict.fromkeys(parted(column)[1] for column in columns))
    problems = list(dict.fromkeys(parted(column)[0] for column in columns))
    lines = [["training", "loss", *problems, "mean"]]
    places = [["training", f"{FOUND}, against the others", *problems]]
    better: dict[str, list[bool]] = {}
    with figure(path, 4.4 * len(settings) + 1.8, 4, len(settings)) as (_, axes):
        for axis, setting in zip(axes, settings, strict=True):
            own = [column for column in columns if parted(column)[1] == setting]
            rates = [of(runs, column=column)[0].summary["noise"]["rate"] for column in own]
            values = {row: [accuracies(runs, row, column) for column in own] for row in rows}
            means = {row: [mean(seeds) for seeds in values[row]] for row in rows}
            for row, color in zip(rows, PALETTE, strict=False):
                middle = 100 * np.array(means[row])
                band = 100 * np.array([stdev(x) if len(x) > 1 else 0.0 for x in values[row]])
                width = 2.6 if row == FOUND else 1.5
                axis.plot(rates, middle, "o-", color=color, lw=width, ms=4, label=row)
                axis.fill_between(
                    rates, middle - band, middle + band, color=color, alpha=0.13, lw=0
                )
                cells = [spread(seeds, scale=100, digits=2) for seeds in values[row]]
                lines.append([setting, row, *cells, f"{100 * mean(means[row]):.2f}"])
            axis.set_xlabel("rate of the added noise")
            axis.set_ylim(0, 101)
            axis.set_title(setting)
            if FOUND in means and len(means) > 1:
                ranks, gaps = ranks_and_gaps(means, FOUND)
                places.append([setting, f"place of {len(rows)}", *map(str, ranks)])
                places.append([setting, "points ahead", *(f"{-100 * x + 0.0:+.2f}" for x in gaps)])
                better[setting] = [
                    rank <= len(rows) / 2
                    for rank, rate in zip(ranks, rates, strict=True)
                    if rate != FOUND_AT
                ]
        axes[0].set_ylabel("test accuracy [%]")
        axes[-1].legend(loc="center left", bbox_to_anchor=(1.01, 0.5))
    tables = "\n\n".join(markdown_table(table) for table in (lines, places) if len(table) > 1)
    measured = f"{told(better, len(rows))} ({seeds_of(runs)})."
    return Finding(measured, f"{tables}\n\n{LEGEND}")


LEGEND = (
    "Test accuracy after the last epoch in %, mean ± standard deviation over seeds (the bands of "
    "the figure). All losses have their default hyper-parameters and one training schedule; "
    f"*{FOUND}* is what `--loss taylor` is, found at 80 % symmetric noise on MNIST without weight "
    "decay. The recipe of digits has 0.01, which keeps cross entropy from learning most wrong "
    "labels by heart; the setting without it was added after the first had been seen. "
    "*Points ahead*: of the best other loss, below 0 where it is behind."
)


def parted(column: str) -> tuple[str, str]:
    """Separate a label into what was trained on and the setting it was trained with."""
    problem, _, setting = column.partition(", ")
    return problem, setting or USUAL


def ranks_and_gaps(scores: dict[str, list[float]], name: str) -> tuple[list[int], list[float]]:
    """Rank an entry in each problem (1 is best), and measure its gap to the best other entry.

    Args:
        scores: by name, one for each problem; high is good.
        name: of the entry.

    Returns:
        Ranks (ties share the better one), and the best other score minus its own, below 0 where
        it is ahead.
    """
    others = [values for key, values in scores.items() if key != name]
    ranks = [1 + sum(other[i] > own for other in others) for i, own in enumerate(scores[name])]
    gaps = [max(other[i] for other in others) - own for i, own in enumerate(scores[name])]
    return ranks, gaps


def told(better: dict[str, list[bool]], losses: int) -> str:
    """Write the verdict: whether the loss is in the better half, by setting and other rate."""
    known = {setting: rates for setting, rates in better.items() if rates}
    if not known:
        return f"No run of {FOUND} beside other losses at another rate than {FOUND_AT:g}"
    mostly = [sum(rates) > len(rates) / 2 for rates in known.values()]
    counts = [
        f"at {sum(rates)} of {len(rates)} other rates with {setting}"
        for setting, rates in known.items()
    ]
    return (
        f"{verdict(mostly).capitalize()} here: by mean accuracy the loss found at a "
        f"rate of {FOUND_AT:g} is in the better half of {losses} losses {' and '.join(counts)}"
    )


ANALYSIS = Analysis(
    title="A loss found at 80 % noise, at other rates",
    source=f"{GAO}, Figure 3 and section 3.2, generalisation across noise levels",
    claim=(
        "The loss that was found at 80 % symmetric noise tends to be competitive at other noise "
        "rates too."
    ),
    examine=examine,
    grid=grid(
        {"dataset": "digits", "method": "erm", "meta_size": 0, "noise": "symmetric"},
        {
            f"symmetric {rate:g}{setting}": {"noise_rate": rate, **options}
            for setting, options in SETTINGS.items()
            for rate in (0.0, 0.2, 0.4, 0.6, 0.8)
        },
        {
            "CE": {"loss": "ce"},
            "GCE": {"loss": "gce"},
            "SCE": {"loss": "sce"},
            "MAE": {"loss": "mae"},
            "label smoothing": {"loss": "label-smoothing"},
            FOUND: {"loss": "taylor"},
        },
        range(3),
    ),
)
