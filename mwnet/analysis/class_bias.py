"""Does label noise hurt the hard classes most, on other data and other noise than in the paper?"""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray
from torch import Tensor

from mwnet.analysis.base import LI, Analysis, Finding, Run, Runs, grid, labels, of, seeds_of
from mwnet.benchmark.statistics import spread
from mwnet.detection import Scored
from mwnet.experiment import Experiment
from mwnet.methods.base import predict
from mwnet.report.document import markdown_table
from mwnet.report.figures import NEUTRAL, RIGHT, WRONG, figure

Array = NDArray[np.float64]


def watch(experiment: Experiment, _: Scored) -> dict[str, Any]:
    """Right predictions and samples of each class in the test part."""
    ids = experiment.parts.test
    truth = experiment.source.labels if experiment.truth is None else experiment.truth
    predicted = predict(experiment.method, experiment.pixels, ids).argmax(1).cpu()
    return {"test_classes": by_class(predicted, truth[ids], experiment.source.num_classes)}


def by_class(predicted: Tensor, truth: Tensor, classes: int) -> dict[str, list[int]]:
    """How many samples of each class there are (``all``), and how many are ``right``.

    Args:
        predicted: ``(n,)`` int64 classes.
        truth: ``(n,)`` int64 classes.
        classes: K, the length of both lists.
    """
    right = truth[predicted == truth]
    return {
        "right": right.bincount(minlength=classes).tolist(),
        "all": truth.bincount(minlength=classes).tolist(),
    }


def gap(accuracies: Array) -> float:
    """Best less worst class of ``(K,)`` accuracies; NaN is a class without samples."""
    return float(np.nanmax(accuracies) - np.nanmin(accuracies))


def chance_gap(accuracy: float, counts: Array, draws: int = 2000) -> float:
    """Expected gap of classes that are all alike, from the finite number of samples alone.

    Args:
        accuracy: of every class, in [0, 1].
        counts: ``(K,)`` samples of each class; those with none are left out.
        draws: of the binomial numbers of right predictions.
    """
    counts = counts[counts > 0]
    right = np.random.default_rng(0).binomial(
        counts.astype(np.int64), accuracy, (draws, len(counts))
    )
    return float(np.ptp(right / counts, axis=1).mean())


def examine(runs: Runs, path: Path) -> Finding:
    """Accuracy of every class over the epochs, by loss and noise."""
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
    parts = [_gaps(runs), _drops(runs), LEGEND]
    return Finding(_sentence(runs), "\n\n".join(filter(None, parts)))


LEGEND = (
    "Points of test accuracy against true labels, mean ± standard deviation over seeds. *Gap*: "
    "best less worst class; *by chance*: what it would be if all classes had the same accuracy, "
    "with as many test samples as there are. *Best epoch*: that of the highest test accuracy. "
    "*Lost*: from clean labels to noise after the last epoch, same loss and seed, by the mean over "
    "classes, by the worst class (which may be another one with noise), and by the *hard* class: "
    "the worst one on clean labels over the *other* seeds, so that the luck of a seed does not "
    "choose it. *Share*: of all that is lost, how much by the hard class; an even share is one "
    "over the number of classes. The figure has means over seeds; hardest and easiest are those "
    "at its end."
)


def _accuracies(run: Run) -> Array:
    """``(epochs, K)``; NaN for a class without test samples."""
    counts = [line["test_classes"] for line in run.history]
    right, total = (np.array([of[key] for of in counts], float) for key in ("right", "all"))
    return right / np.where(total > 0, total, np.nan)


def _last(run: Run) -> Array:
    return _accuracies(run)[-1]


def _best(run: Run) -> Array:
    return _accuracies(run)[run.summary["test_accuracy"]["best_epoch"] - 1]


def _by_chance(run: Run) -> float:
    counts = np.array(run.history[-1]["test_classes"]["all"], float)
    return chance_gap(float(np.nanmean(_last(run))), counts)


def _draw(axis: Axes, own: Runs) -> None:
    curves = np.mean([_accuracies(run) for run in own], axis=0)
    names, epochs = own[0].summary["classes"], np.arange(1, len(curves) + 1)
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
    for column in labels(runs)[1]:
        for row in labels(runs)[0]:
            if own := of(runs, row=row, column=column):
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


def lost(clean: Array, noisy: Array) -> tuple[float, float]:
    """What the mean of ``(K,)`` accuracies loses with noise, and what the worst class loses."""
    mean = float(np.nanmean(clean) - np.nanmean(noisy))
    return mean, float(np.nanmin(clean) - np.nanmin(noisy))


def lost_by_hard(clean: list[Array], noisy: list[Array]) -> list[float]:
    """For each seed, what the class loses that is worst on clean labels over the other seeds.

    Args:
        clean: for each seed, ``(K,)`` accuracies; with one seed there are no others.
        noisy: the same with noise.
    """
    out = []
    for seed in range(len(clean)) if len(clean) > 1 else ():
        others = [values for other, values in enumerate(clean) if other != seed]
        hard = int(np.nanargmin(np.mean(others, axis=0)))
        out.append(float(clean[seed][hard] - noisy[seed][hard]))
    return out


def _pairs(runs: Runs, row: str, column: str | None = None) -> list[tuple[Run, Run]]:
    """Runs without and with noise that share loss and seed."""
    own = of(runs, row=row)
    clean = {run.seed: run for run in own if run.summary["noise"]["name"] == "none"}
    noisy = [run for run in of(own, column=column) if run.summary["noise"]["name"] != "none"]
    return [(clean[run.seed], run) for run in noisy if run.seed in clean]


def _lost(pairs: list[tuple[Run, Run]]) -> dict[str, list[float]]:
    """What noise costs the mean of all classes, the worst and the hard one, by seed."""
    clean, noisy = ([_last(pair[side]) for pair in pairs] for side in (0, 1))
    losses = [lost(*pair) for pair in zip(clean, noisy, strict=True)]
    mean, worst = map(list, zip(*losses, strict=True))
    return {"mean": mean, "worst": worst, "hard": lost_by_hard(clean, noisy)}


def _share(pairs: list[tuple[Run, Run]], lost: dict[str, list[float]]) -> str:
    """How much of all that is lost is lost by the hard class, on average."""
    total = sum(lost["mean"]) * int(np.isfinite(_last(pairs[0][0])).sum())
    return f"{sum(lost['hard']) / total:.0%}" if lost["hard"] and total > 0 else "-"


def _drops(runs: Runs) -> str:
    heading = ["noise", "loss", "lost by the mean", "by the worst class", "by the hard class"]
    lines = [[*heading, "share of the hard class"]]
    for column in labels(runs)[1]:
        for row in labels(runs)[0]:
            if pairs := _pairs(runs, row, column):
                lost = _lost(pairs)
                lines.append([column, row, *map(_points, lost.values()), _share(pairs, lost)])
    return markdown_table(lines) if len(lines) > 1 else ""


def _sentence(runs: Runs) -> str:
    gaps, costs = [], []
    for row in labels(runs)[0]:
        points = []
        for column in labels(runs)[1]:
            if own := of(runs, row=row, column=column):
                mean, chance = (
                    100 * float(np.mean([value(run) for run in own]))
                    for value in (lambda run: gap(_last(run)), _by_chance)
                )
                points.append(f"{column} {mean:.1f} ({chance:.1f})")
        gaps.append(f"{row}: {', '.join(points)}")
        costs += _costs(runs, row)
    return (
        f"Points of test accuracy between best and worst class after the last epoch, in brackets "
        f"what chance alone would give ({seeds_of(runs)}): {'; '.join([*gaps, *costs])}."
    )


def _costs(runs: Runs, row: str) -> list[str]:
    """What noise costs the hard class and the mean, over all columns with noise."""
    by_column = [_lost(pairs) for c in labels(runs)[1] if (pairs := _pairs(runs, row, c))]
    known = [lost for lost in by_column if lost["hard"]]
    mean, hard = ([v for lost in known for v in lost[key]] for key in ("mean", "hard"))
    if not hard:
        return []
    more = sum(of_hard > of_mean for of_hard, of_mean in zip(hard, mean, strict=True))
    return [
        f"under {row} noise costs the class that is hardest without it {100 * np.mean(hard):.1f} "
        f"points and the mean {100 * np.mean(mean):.1f}, that class more in {more} of {len(hard)} "
        "runs"
    ]


ANALYSIS = Analysis(
    title="Easy and hard classes under noise",
    source=f"{LI}, on SCE (i), about Wang et al. (ICCV 2019)",
    claim=(
        "With cross-entropy some classes are learnt worse than others, noise makes that worse, and "
        "the under-learning of hard classes is a major cause of the lost accuracy; this was only "
        "seen on CIFAR-10 with 40 % symmetric noise, so does it hold elsewhere?"
    ),
    examine=examine,
    # As little weight decay as in the paper, and long enough that plain training memorises.
    grid=grid(
        {"dataset": "digits", "method": "erm", "weight_decay": 5e-4, "epochs": 60},
        {
            "clean": {"noise": "none", "noise_rate": 0.0},
            "uniform 0.4": {"noise": "uniform", "noise_rate": 0.4},
            "flip2 0.4": {"noise": "flip2", "noise_rate": 0.4},
            "flip 0.3": {"noise": "flip", "noise_rate": 0.3},
        },
        {"CE": {"loss": "ce"}, "SCE": {"loss": "sce"}},
        range(5),
    ),
    watch=watch,
)
