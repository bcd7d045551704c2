"""Are RMNW-Net's weights in a tighter range than MW-Net's, and what is a higher AUC worth?"""

from pathlib import Path
from statistics import mean

import numpy as np

from mwnet.analysis.base import GHOSH, Analysis, Finding, Run, Runs, grid, labels, of, seeds_of
from mwnet.benchmark.statistics import spread
from mwnet.report.document import markdown_table
from mwnet.report.figures import figure


def examine(runs: Runs, path: Path) -> Finding:
    """Spread of the weights, detection and accuracy, by method and noise."""
    rows, columns = labels(runs)
    weights = {run.folder: _weights(run) for run in runs}
    with figure(path, 3.4 * len(columns) + 0.6, 3.6, len(columns)) as (_, axes):
        for axis, column in zip(axes, columns, strict=True):
            own = {row: of(runs, row=row, column=column) for row in rows}
            boxes = {
                row: np.concatenate([weights[run.folder] for run in of_row])
                for row, of_row in own.items()
                if of_row
            }
            axis.boxplot(
                list(boxes.values()), whis=(5, 95), showfliers=False, tick_labels=list(boxes)
            )
            axis.set_ylim(0, 1)
            axis.set_title(column)
        axes[0].set_ylabel("weight of a training sample")
    lines = [["noise", "method", "90 % of weights", "share left", "AUC", "accuracy in %"]]
    for column in columns:
        for row in rows:
            of_both = of(runs, row=row, column=column)
            if of_both:
                lines.append([column, row, *_line(of_both, weights)])
    return Finding(_sentence(runs, weights), markdown_table(lines) + f"\n\n{LEGEND}")


LEGEND = (
    "Mean ± standard deviation over seeds, last epoch. *90 % of weights*: distance between the "
    "5th and the 95th percentile of the weights of all training samples. *Share left*: effective "
    "sample size (sum of weights)² / sum of squared weights, as a share of the samples."
)


def width(weights: np.ndarray) -> float:
    """Distance between the 5th and the 95th percentile."""
    low, high = np.percentile(weights, [5, 95])
    return float(high - low)


def _weights(run: Run) -> np.ndarray:
    lines = (run.folder / "label_quality.csv").read_text().splitlines()
    place = lines[0].split(",").index("weight")
    # Only names and classes, which come first, may hold commas.
    from_the_end = place - len(lines[0].split(","))
    return np.array([float(line.split(",")[from_the_end]) for line in lines[1:]])


def _line(own: Runs, weights: dict[Path, np.ndarray]) -> list[str]:
    widths = [width(weights[run.folder]) for run in own]
    shares = [run.summary["weights"]["effective_share"] for run in own]
    aucs = [run.auc for run in own if run.auc is not None]
    accuracies = [run.accuracy for run in own]
    return [
        spread(widths, digits=3),
        spread(shares, digits=3),
        spread(aucs, digits=4),
        spread(accuracies, scale=100, digits=2),
    ]


def _sentence(runs: Runs, weights: dict[Path, np.ndarray]) -> str:
    parts = []
    for row in labels(runs)[0]:
        own = of(runs, row=row)
        within = mean(width(weights[run.folder]) for run in own)
        auc = spread([run.auc for run in own if run.auc is not None], digits=4)
        parts.append(
            f"{row}: 90 % of the weights within {within:.3f}, AUC {auc}, accuracy "
            f"{mean(run.accuracy for run in own):.2%}"
        )
    return f"Means over all noise ({seeds_of(runs)}): {'; '.join(parts)}."


ANALYSIS = Analysis(
    title="How far the weights spread",
    source=f"{GHOSH}, section 4.1, corrupted sample detection",
    claim=(
        "RMNW-Net's weights lie in a tighter range than MW-Net's, which may be why its higher AUC "
        "brings no higher accuracy."
    ),
    examine=examine,
    grid=grid(
        {"dataset": "digits"},
        {
            "uniform 0.4": {"noise": "uniform", "noise_rate": 0.4},
            "flip2 0.4": {"noise": "flip2", "noise_rate": 0.4},
        },
        {
            "MW-Net*": {"method": "mwnet"},
            "MNW-Net": {"method": "mwnet", "meta_noisy": True},
            "RMNW-Net": {"method": "mwnet", "meta_loss": "mae", "meta_noisy": True},
        },
        range(5),
    ),
    takes_runs=True,
)
