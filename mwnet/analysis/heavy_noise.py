"""Under heavy noise, how far is RMNW-Net ahead of MNW-Net, whose meta loss is not robust?"""

from pathlib import Path
from statistics import mean

from mwnet.analysis.base import GHOSH, Analysis, Finding, Runs, grid, labels, of, seeds_of
from mwnet.benchmark.statistics import spread
from mwnet.report.document import markdown_table
from mwnet.report.figures import NEUTRAL, RIGHT, WRONG, figure

ROBUST, PLAIN = "RMNW-Net", "MNW-Net"


def examine(runs: Runs, path: Path) -> Finding:
    """Accuracy by method and noise, and what the robust meta loss adds, seed by seed."""
    rows, columns = labels(runs)
    colors = dict(zip(rows, (NEUTRAL, RIGHT, "#009e73", WRONG), strict=False))
    with figure(path, 3.4 * len(columns) + 0.6, 3.6, len(columns)) as (_, axes):
        for axis, column in zip(axes, columns, strict=True):
            for place, row in enumerate(rows):
                values = [100 * value for value in _by_seed(runs, row, column).values()]
                axis.bar(place, mean(values), color=colors[row], alpha=0.45, width=0.7)
                axis.plot([place] * len(values), values, "o", color=colors[row], ms=4)
            axis.set_xticks(range(len(rows)), rows, rotation=20)
            axis.set_ylim(0, 100)
            axis.set_title(column)
        axes[0].set_ylabel("test accuracy [%]")
    lines = [["noise", "method", "accuracy in %", "best epoch", "AUC", f"{ROBUST} ahead by"]]
    for column in columns:
        for row in rows:
            own = [run.summary for run in of(runs, row=row, column=column)]
            last, best = ([each["test_accuracy"][key] for each in own] for key in ("last", "best"))
            accuracies = [spread(values, scale=100, digits=2) for values in (last, best)]
            aucs = [((each["detection_auc"] or {}).get("own") or {}).get("last") for each in own]
            auc = spread([value for value in aucs if value is not None], digits=4)
            lines.append([column, row, *accuracies, auc, _ahead(runs, row, column)])
    return Finding(_sentence(runs), markdown_table(lines) + f"\n\n{LEGEND}")


LEGEND = (
    "Mean ± standard deviation over seeds, after the last epoch; the bars of the figure are these "
    f"means, its dots the seeds. *Best epoch*: accuracy of the epoch with the best test accuracy. "
    f"*{ROBUST} ahead by*: points of accuracy, mean and deviation of the differences between runs "
    "of the same seed."
)


def differences(ours: dict[int, float], theirs: dict[int, float]) -> list[float]:
    """Ours minus theirs, for each seed that both have."""
    return [ours[seed] - theirs[seed] for seed in sorted(ours.keys() & theirs.keys())]


def _by_seed(runs: Runs, row: str, column: str) -> dict[int, float]:
    return {
        run.seed: run.summary["test_accuracy"]["last"] for run in of(runs, row=row, column=column)
    }


def _ahead(runs: Runs, row: str, column: str) -> str:
    if row == ROBUST:
        return ""
    ahead = differences(_by_seed(runs, ROBUST, column), _by_seed(runs, row, column))
    return spread(ahead, scale=100, digits=2)


def _sentence(runs: Runs) -> str:
    rows, columns = labels(runs)
    parts = []
    for column in columns:
        means = [f"{row} {mean(_by_seed(runs, row, column).values()):.2%}" for row in rows]
        part = f"{column}: {', '.join(means)}"
        if {ROBUST, PLAIN} <= set(rows):
            part += f"; {ROBUST} minus {PLAIN} {_ahead(runs, PLAIN, column)} points"
        parts.append(part)
    return f"Test accuracy ({seeds_of(runs)}). {'. '.join(parts)}."


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
        {
            "plain training": {"method": "erm"},
            "MW-Net*": {"method": "mwnet"},
            "MNW-Net": {"method": "mwnet", "meta_noisy": True},
            "RMNW-Net": {"method": "mwnet", "meta_loss": "mae", "meta_noisy": True},
        },
        range(5),
    ),
)
