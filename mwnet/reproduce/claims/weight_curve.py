"""How does the learnt weighting function develop over training, and does it fall with the loss?"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean
from typing import Any

import matplotlib
import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize

from mwnet.builders.experiment import Experiment
from mwnet.detection import Scored
from mwnet.reproduce.claims.base import (
    GHOSH,
    METHODS,
    NOISES,
    Analysis,
    Finding,
    Run,
    Runs,
    grid,
    labels,
    of,
    seeds_of,
)
from mwnet.reproduce.document import markdown_table
from mwnet.reproduce.tables.statistics import spread
from mwnet.runs.canvas import figure

POINTS = 41


def watch(experiment: Experiment, scored: Scored) -> dict[str, Any]:
    """Record loss and weight at even percentiles of the loss of all training samples."""
    loss, weight = curve(scored.loss, scored.weight)
    return {"weight_curve": {"loss": loss, "weight": weight}}


def curve(
    loss: np.ndarray, weight: np.ndarray, points: int = POINTS
) -> tuple[list[float], list[float]]:
    """Return the samples at even percentiles of the loss, from the lowest loss to the highest.

    Args:
        loss: ``(n,)``, nats.
        weight: ``(n,)``.
        points: how many; 41 is one in each 2.5 %.
    """
    order = np.argsort(loss, kind="stable")
    chosen = order[np.linspace(0, len(order) - 1, points).round().astype(int)]
    return loss[chosen].tolist(), weight[chosen].tolist()


def falls_from(slopes: Mapping[int, float]) -> int | None:
    """Find the first epoch from which on all slopes are below 0; None if there is none."""
    first = None
    for epoch, slope in slopes.items():
        if not slope < 0:
            first = None
        elif first is None:
            first = epoch
    return first


def falling_share(weight: Sequence[float]) -> float:
    """Compute the share of steps along a curve with a falling weight, of those with any change.

    It is 1 for a curve that never rises, and 0 for one that never falls. A constant curve has 0.
    """
    steps = np.diff(weight)
    changes = int((steps != 0).sum())
    return float((steps < 0).sum() / changes) if changes else 0.0


def per_nat(points: dict[str, list[float]]) -> float:
    """Compute the change of the weight per nat of loss, from the 10th to the 90th percentile."""
    low, high = (round(share * (len(points["loss"]) - 1)) for share in (0.1, 0.9))
    rise = points["weight"][high] - points["weight"][low]
    run = points["loss"][high] - points["loss"][low]
    return rise / run if run > 0 else 0.0


def examine(runs: Runs, path: Path) -> Finding:
    """Draw curves by epoch of the first seed; measure when and how far they turn down."""
    rows, columns = labels(runs)
    first = min(run.seed for run in runs)
    epochs = max(run.epochs[-1] for run in runs)
    colors = ScalarMappable(Normalize(1, max(2, epochs)), matplotlib.colormaps["viridis_r"])
    size = (3.3 * len(rows) + 1.2, 2.9 * len(columns) + 0.3)
    with figure(path, *size, len(rows), len(columns)) as (canvas, axes):
        for number, axis in enumerate(axes):
            column, row = columns[number // len(rows)], rows[number % len(rows)]
            for run in of(runs, row=row, column=column):
                for line in run.history if run.seed == first else ():
                    points = line["weight_curve"]
                    color = colors.to_rgba(line["epoch"])
                    axis.plot(points["loss"], points["weight"], color=color, lw=1)
            axis.set_ylim(0, 1)
            axis.set_xlim(left=0)
            axis.set_title(f"{row}, {column}")
            if number % len(rows) == 0:
                axis.set_ylabel("weight of a training sample")
            if number // len(rows) == len(columns) - 1:
                axis.set_xlabel("loss of the sample [nats]")
        canvas.colorbar(colors, ax=list(axes), label="epoch", shrink=0.7)
    lines = [HEADING]
    for column in columns:
        lines += [[column, row, *_line(of(runs, row=row, column=column))] for row in rows]
    return Finding(_sentence(runs), markdown_table(lines) + f"\n\n{LEGEND}")


HEADING = [
    "noise",
    "method",
    "falls at the end",
    "falls from epoch",
    "rank correlation",
    "falling steps",
    "weight per nat",
    "AUC",
]
LEGEND = (
    "The figure is of the first seed, with the loss at every 2.5 % of the training samples. *Falls "
    "at the end*: seeds in which the rank correlation of weight and loss over all training samples "
    "is negative after the last epoch. *Falls from epoch*: the first one since which it has been "
    "negative, for each of these seeds. *Falling steps*: of the steps of the last curve at which "
    "the weight changes, those at which it falls. *Weight per nat*: slope of the last curve "
    "from the 10th to the 90th percentile of the loss. *AUC*: of finding the wrong labels by their "
    "low weight. Mean ± standard deviation over seeds."
)


def _slopes(run: Run) -> dict[int, float]:
    return {line["epoch"]: line["weights"]["slope"] for line in run.history}


def _last(run: Run) -> dict[str, list[float]]:
    return run.history[-1]["weight_curve"]


def _line(own: Runs) -> list[str]:
    turned = [epoch for run in own if (epoch := falls_from(_slopes(run))) is not None]
    return [
        f"{len(turned)} of {len(own)}",
        ", ".join(map(str, turned)) or "-",
        spread([run.history[-1]["weights"]["slope"] for run in own], digits=3),
        spread([falling_share(_last(run)["weight"]) for run in own], scale=100, digits=0) + " %",
        spread([per_nat(_last(run)) for run in own], digits=3),
        spread([run.auc for run in own if run.auc is not None], digits=3),
    ]


def _sentence(runs: Runs) -> str:
    parts, falling = [], 0
    for row in labels(runs)[0]:
        own = of(runs, row=row)
        turned = [epoch for run in own if (epoch := falls_from(_slopes(run))) is not None]
        falling += len(turned)
        since = " to ".join(dict.fromkeys(map(str, (min(turned), max(turned))))) if turned else ""
        told = f"rank correlation negative from epoch {since} on, " * bool(turned)
        share = mean(falling_share(_last(run)["weight"]) for run in own)
        parts.append(f"{row} {len(turned)} of {len(own)} ({told}{share:.0%} of steps falling)")
    verdict = "Does not hold" if 2 * falling <= len(runs) else "Holds in part"
    verdict = "Holds" if falling == len(runs) else verdict
    return (
        f"{verdict} here: the weight falls with the loss after the last epoch in {falling} of "
        f"{len(runs)} runs: {'; '.join(parts)} ({seeds_of(runs)})."
    )


ANALYSIS = Analysis(
    title="The weighting function over training",
    source=f"{GHOSH}, section 3, Meta-Weight-Net",
    claim="Under label noise the learnt weight mostly falls monotonically with the sample's loss.",
    examine=examine,
    watch=watch,
    grid=grid({"dataset": "digits"}, NOISES, METHODS, range(3)),
)
