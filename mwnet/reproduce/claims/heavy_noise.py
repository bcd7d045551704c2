"""Is RMNW-Net ahead of MNW-Net, whose meta loss is not robust, under heavy noise?"""

from pathlib import Path
from statistics import mean

from mwnet.reproduce.claims.base import (
    GHOSH,
    METHODS,
    Analysis,
    Finding,
    Runs,
    accuracies,
    grid,
    labels,
    of,
    seeds_of,
)
from mwnet.reproduce.document import markdown_table
from mwnet.reproduce.tables.statistics import spread
from mwnet.runs.canvas import PALETTE, figure

ROBUST, PLAIN = "RMNW-Net", "MNW-Net"


def examine(runs: Runs, path: Path) -> Finding:
    """Measure accuracy by method and noise, and the gain by the robust meta loss, seed by seed."""
    rows, columns = labels(runs)
    with figure(path, 3.4 * len(columns) + 0.6, 3.6, len(columns)) as (_, axes):
        for axis, column in zip(axes, columns, strict=True):
            for place, row in enumerate(rows):
                values = [100 * value for value in accuracies(runs, row, column)]
                color = PALETTE[place % len(PALETTE)]
                axis.bar(place, mean(values), color=color, alpha=0.45, width=0.7)
                axis.plot([place] * len(values), values, "o", color=color, ms=4)
            axis.set_xticks(range(len(rows)), rows, rotation=20)
            axis.set_ylim(0, 100)
            axis.set_title(column)
        axes[0].set_ylabel("test accuracy [%]")
    lines = [["noise", "method", "accuracy in %", "best epoch", "AUC", f"{ROBUST} ahead by"]]
    for column in columns:
        for row in rows:
            own = of(runs, row=row, column=column)
            best = [run.summary["test_accuracy"]["best"] for run in own]
            both = (accuracies(runs, row, column), best)
            cells = [spread(values, scale=100, digits=2) for values in both]
            auc = spread([run.auc for run in own if run.auc is not None], digits=4)
            lines.append([column, row, *cells, auc, _ahead(runs, row, column)])
    return Finding(_sentence(runs), markdown_table(lines) + f"\n\n{LEGEND}")


LEGEND = (
    "Mean ± standard deviation over seeds, after the last epoch; the bars of the figure are these "
    f"means, its dots the seeds. *Best epoch*: accuracy of the epoch with the best test accuracy. "
    f"*{ROBUST} ahead by*: points of accuracy, mean and deviation of the differences between runs "
    "of the same seed."
)


def differences(ours: dict[int, float], theirs: dict[int, float]) -> list[float]:
    """Compute our accuracy minus theirs, for each seed that both have."""
    return [ours[seed] - theirs[seed] for seed in sorted(ours.keys() & theirs.keys())]


def _differences(runs: Runs, row: str, column: str) -> list[float]:
    ours, theirs = (
        {run.seed: run.accuracy for run in of(runs, row=name, column=column)}
        for name in (ROBUST, row)
    )
    return differences(ours, theirs)


def _ahead(runs: Runs, row: str, column: str) -> str:
    return "" if row == ROBUST else spread(_differences(runs, row, column), scale=100, digits=2)


def _sentence(runs: Runs) -> str:
    ahead = {column: _differences(runs, PLAIN, column) for column in labels(runs)[1]}
    known = {column: values for column, values in ahead.items() if values}
    if not known:
        return f"No runs of both {ROBUST} and {PLAIN} ({seeds_of(runs)})."
    points = [
        f"{spread(values, scale=100, digits=2)} points at {column}"
        for column, values in known.items()
    ]
    uniform = [values for column, values in known.items() if column.startswith("uniform")]
    verdict = f"{ROBUST} minus {PLAIN} is {' and '.join(points)} ({seeds_of(runs)})"
    if not uniform:
        return f"{verdict}, a noise at which the paper's data sets disagree."
    holds = all(value > 0 for values in uniform for value in values)
    return (
        f"{'Holds' if holds else 'Does not hold in every seed'} here for uniform noise, "
        f"while the paper's data sets disagree on flip2: {verdict}."
    )


ANALYSIS = Analysis(
    title="Heavy noise",
    source=f"{GHOSH}, Figure 2 and section 4.1, robustness under heavy label noise",
    claim=(
        "At 70 % uniform noise RMNW-Net is better than MNW-Net by about 15 points on CIFAR-10 and "
        "1.5 on CIFAR-100; at 50 % flip2 noise MNW-Net is better on CIFAR-10 and RMNW-Net on "
        "CIFAR-100."
    ),
    examine=examine,
    grid=grid(
        {"dataset": "digits"},
        {
            "uniform 0.7": {"noise": "uniform", "noise_rate": 0.7},
            "flip2 0.5": {"noise": "flip2", "noise_rate": 0.5},
        },
        {"plain training": {"method": "erm"}, **METHODS},
        range(5),
    ),
)
