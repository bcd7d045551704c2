"""Does label noise hurt the hard classes most, on other data and other noise than in the paper?"""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from mwnet.builders.experiment import Experiment
from mwnet.detection import Scored
from mwnet.methods.base import predict
from mwnet.reproduce.claims.base import (
    LI,
    NOISES,
    Analysis,
    Finding,
    Run,
    Runs,
    grid,
    groups,
    labels,
    of,
    seeds_of,
)
from mwnet.reproduce.claims.class_accuracy import (
    Array,
    by_class,
    chance_gap,
    gap,
    lost,
    lost_by_hard,
)
from mwnet.reproduce.document import markdown_table
from mwnet.reproduce.tables.statistics import spread
from mwnet.runs.canvas import NEUTRAL, RIGHT, WRONG, figure


def watch(experiment: Experiment, _: Scored) -> dict[str, Any]:
    """Count correct predictions and samples of each class in the test part."""
    ids = experiment.data.parts.test
    truth = (
        experiment.data.source.labels if experiment.data.truth is None else experiment.data.truth
    )
    predicted = predict(experiment.method, experiment.data.pixels, ids).argmax(1).cpu()
    return {"test_classes": by_class(predicted, truth[ids], experiment.data.source.num_classes)}


def examine(runs: Runs, path: Path) -> Finding:
    """Measure the accuracy of every class over the epochs, by loss and noise."""
    rows, columns = labels(runs)
    size = (2.9 * len(columns) + 0.7, 2.7 * len(rows) + 0.4, len(columns), len(rows))
    with figure(path, *size) as (_, axes):
        for axis, (row, column) in zip(axes, [(r, c) for r in rows for c in columns], strict=True):
            axis.set_title(f"{row}, {column}")
            axis.set_ylim(0, 1.02)
            if own := of(runs, row=row, column=column):
                _draw(axis, own)
        for axis in axes[-len(columns) :]:
            axis.set_xlabel("epoch")
        for axis in axes[:: len(columns)]:
            axis.set_ylabel("test accuracy of a class")
    known = all(run.summary["test_labels"] == "true" for run in runs)
    legend = f"Points of test accuracy against {LABELS[known]}. {LEGEND}"
    parts = [_gaps(runs), _drops(runs), legend]
    return Finding(_sentence(runs), "\n\n".join(filter(None, parts)))


LABELS = {True: "true labels", False: "the labels of the data as they are, which may be wrong"}
LEGEND = (
    "Mean ± standard deviation over seeds. *Gap*: best less worst class; *by chance*: what it "
    "would be if all classes had the same accuracy, with as many test samples as there are. *Best "
    "epoch*: that of the highest test accuracy. "
    "*Lost*: from clean labels to noise after the last epoch, same loss and seed, by the mean over "
    "classes, by the worst class (which may be another one with noise), and by the *hard* class: "
    "the worst one on clean labels over the *other* seeds, so that the luck of a seed does not "
    "choose it. *Share*: of all that is lost, how much by the hard class; an even share is one "
    "over the number of classes. The claim has three parts: that the gap is above chance without "
    "noise; that it is further above chance with every noise; and that the hard class, as a major "
    "cause, has more than half of what is lost. The figure has means over seeds; hardest and "
    "easiest are those at its end."
)


def _accuracies(run: Run) -> Array:
    """Return ``(measured epochs, K)`` accuracies; NaN for a class without test samples."""
    counts = [line["test_classes"] for line in run.history]
    right, total = (np.array([of[key] for of in counts], float) for key in ("right", "all"))
    return right / np.where(total > 0, total, np.nan)


def _last(run: Run) -> Array:
    return _accuracies(run)[-1]


def _best(run: Run) -> Array:
    return _accuracies(run)[run.epochs.index(run.summary["test_accuracy"]["best_epoch"])]


def _by_chance(run: Run) -> float:
    counts = np.array(run.history[-1]["test_classes"]["all"], float)
    return chance_gap(float(np.nanmean(_last(run))), counts)


def _draw(axis: Axes, own: Runs) -> None:
    curves = np.mean([_accuracies(run) for run in own], axis=0)
    names, epochs = own[0].summary["classes"], own[0].epochs
    marker = "." if len(curves) < 3 else ""
    axis.plot(epochs, curves, color=NEUTRAL, lw=0.6, alpha=0.5, marker=marker)
    for what, color, chosen in (
        ("easiest", RIGHT, np.nanargmax(curves[-1])),
        ("hardest", WRONG, np.nanargmin(curves[-1])),
    ):
        label = f"{what}: {names[chosen][:14]}".replace("$", r"\$")
        axis.plot(epochs, curves[:, chosen], color=color, lw=1.8, label=label, marker=marker)
    mean = np.nanmean(curves, axis=1)
    axis.plot(epochs, mean, "--", color="black", lw=1.2, label="mean", marker=marker)
    axis.legend(loc="lower right", fontsize=8)


def _points(values: list[float]) -> str:
    return spread(values, scale=100, digits=1)


def _gaps(runs: Runs) -> str:
    heading = ["noise", "loss", "mean of classes", "worst class", "gap", "gap by chance"]
    lines = [[*heading, "worst class, best epoch", "gap, best epoch"]]
    for (row, column), own in groups(runs).items():
        measures = [
            [float(np.nanmean(_last(run))) for run in own],
            [float(np.nanmin(_last(run))) for run in own],
            [gap(_last(run)) for run in own],
            [_by_chance(run) for run in own],
            [float(np.nanmin(_best(run))) for run in own],
            [gap(_best(run)) for run in own],
        ]
        lines.append([column, row, *map(_points, measures)])
    return markdown_table(lines)


def _pairs(runs: Runs, row: str, column: str | None = None) -> list[tuple[Run, Run]]:
    """Pair the runs without and with noise that share loss and seed."""
    own = of(runs, row=row)
    clean = {run.seed: run for run in own if run.summary["noise"]["name"] == "none"}
    noisy = [run for run in of(own, column=column) if run.summary["noise"]["name"] != "none"]
    return [(clean[run.seed], run) for run in noisy if run.seed in clean]


def _lost(pairs: list[tuple[Run, Run]]) -> dict[str, list[float]]:
    """Compute what noise costs the mean of all classes, the worst and the hard one, by seed."""
    clean, noisy = ([_last(pair[side]) for pair in pairs] for side in (0, 1))
    losses = [lost(*pair) for pair in zip(clean, noisy, strict=True)]
    mean, worst = map(list, zip(*losses, strict=True))
    return {"mean": mean, "worst": worst, "hard": lost_by_hard(clean, noisy)}


def _share(pairs: list[tuple[Run, Run]]) -> float | None:
    """Compute the hard class's share of all lost accuracy, on average; None if nothing is lost."""
    lost = _lost(pairs)
    total = sum(lost["mean"]) * int(np.isfinite(_last(pairs[0][0])).sum())
    return sum(lost["hard"]) / total if lost["hard"] and total > 0 else None


def _drops(runs: Runs) -> str:
    heading = ["noise", "loss", "lost by the mean", "by the worst class", "by the hard class"]
    lines = [[*heading, "share of the hard class"]]
    for row, column in groups(runs):
        if pairs := _pairs(runs, row, column):
            share = _share(pairs)
            told = "-" if share is None else f"{share:.0%}"
            lines.append([column, row, *map(_points, _lost(pairs).values()), told])
    return markdown_table(lines) if len(lines) > 1 else ""


def verdict(differ: bool, grows: bool, major: bool) -> str:
    """Say whether the claim holds, by its three parts."""
    parts = differ + grows + major
    return "holds" if parts == 3 else "holds in part" if parts else "does not hold here"


def _mean_gap(own: Runs) -> tuple[float, float]:
    """Compute the gap and the gap by chance alone, in points, as means over runs."""
    gaps = [gap(_last(run)) for run in own]
    return 100 * float(np.mean(gaps)), 100 * float(np.mean([_by_chance(run) for run in own]))


def _sentence(runs: Runs) -> str:
    rows = "; ".join(_of_row(of(runs, row=row), row) for row in labels(runs)[0])
    return f"After the last epoch ({seeds_of(runs)}), in points of test accuracy: {rows}."


def _range(values: list[float]) -> str:
    return " to ".join(dict.fromkeys(f"{value:.1f}" for value in (min(values), max(values))))


def _of_row(own: Runs, row: str) -> str:
    gaps = {column: _mean_gap(of_both) for (_, column), of_both in groups(own).items()}
    pairs = {c: of_both for c in gaps if len(of_both := _pairs(own, row, c)) > 1}
    if not pairs:  # or one seed alone, which leaves no other to choose the hard class by
        listed = ", ".join(f"{gap:.1f} ({chance:.1f}) at {c}" for c, (gap, chance) in gaps.items())
        return f"under {row} best and worst class are apart by (in brackets by chance) {listed}"
    losses = [_lost(of_both) for of_both in pairs.values()]
    mean, hard = ([v for lost in losses for v in lost[key]] for key in ("mean", "hard"))
    clean = next(iter(pairs.values()))[0][0].column
    above = {column: gap - chance for column, (gap, chance) in gaps.items()}
    shares = [100 * (_share(of_both) or 0.0) for of_both in pairs.values()]
    grows = all(above[column] > above[clean] for column in pairs)
    gap, chance = (_range([gaps[column][i] for column in pairs]) for i in (0, 1))
    more = sum(of_hard > of_mean for of_hard, of_mean in zip(hard, mean, strict=True))
    return (
        f"under {row} the claim {verdict(above[clean] > 0, grows, min(shares) > 50)}: best and "
        f"worst class are {gaps[clean][0]:.1f} apart without noise ({gaps[clean][1]:.1f} by chance "
        f"alone) and {gap} with it ({chance}), and the class that is hardest without noise loses "
        f"{100 * np.mean(hard):.1f} to it where the mean of all loses {100 * np.mean(mean):.1f} "
        f"(more in {more} of {len(hard)} runs), {_range(shares)} % of all that is lost "
        f"({100 / len(own[0].classes):.0f} % would be even)"
    )


ANALYSIS = Analysis(
    title="Easy and hard classes under noise",
    source=f"{LI}, on SCE (i), about Wang et al. (ICCV 2019)",
    claim=(
        "With cross-entropy some classes are learnt worse than others, noise makes that worse, and "
        "the under-learning of hard classes is a major cause of the lost accuracy; this was only "
        "seen on CIFAR-10 with 40 % symmetric noise, so does it hold elsewhere?"
    ),
    examine=examine,
    # Less weight decay and more epochs than in the recipe, so that plain training can memorise.
    grid=grid(
        {"dataset": "digits", "method": "erm", "weight_decay": 5e-4, "epochs": 60},
        {
            "clean": {"noise": "none", "noise_rate": 0.0},
            **NOISES,
            "flip 0.3": {"noise": "flip", "noise_rate": 0.3},
        },
        {"CE": {"loss": "ce"}, "SCE": {"loss": "sce"}},
        range(5),
    ),
    watch=watch,
)
