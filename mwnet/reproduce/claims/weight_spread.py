"""Do RMNW-Net's weights have a smaller range than MW-Net's, and does a higher AUC help accuracy?"""

from dataclasses import dataclass
from pathlib import Path
from statistics import mean

import numpy as np
from scipy.stats import rankdata

from mwnet.reproduce.claims.base import (
    GHOSH,
    METHODS,
    NOISES,
    Analysis,
    Finding,
    Run,
    Runs,
    grid,
    groups,
    labels,
    seeds_of,
)
from mwnet.reproduce.document import markdown_table
from mwnet.reproduce.tables.statistics import spread
from mwnet.runs.canvas import PALETTE, figure

ROBUST, CLEAN = "RMNW-Net", "MW-Net*"


@dataclass(frozen=True)
class Spread:
    """The spread of a run's weights over its training samples.

    Attributes:
        run: the run.
        relative: ``(n,)`` weights over their mean.
        wrong_over_right: mean weight of wrong labels over that of right ones, if both are known.
    """

    run: Run
    relative: np.ndarray
    wrong_over_right: float | None

    @property
    def width(self) -> float:
        """The distance between the 5th and the 95th percentile, in mean weights."""
        return width(self.relative)


def width(weights: np.ndarray) -> float:
    """Compute (95th - 5th percentile) / mean of weights; 0 if all weights are 0."""
    low, high = np.percentile(weights, [5, 95])
    return float((high - low) / weights.mean()) if weights.any() else 0.0


def wrong_over_right(weights: np.ndarray, right: np.ndarray) -> float | None:
    """Compute the ratio of mean weights of wrong and right labels; None if one kind is missing."""
    if right.all() or not weights[right].any():
        return None
    return float(weights[~right].mean() / weights[right].mean())


def rank_correlation(pairs: list[tuple[float | None, float]]) -> float | None:
    """Compute Spearman's correlation of the known pairs; None for under three or equal values."""
    known = [(x, y) for x, y in pairs if x is not None]
    first, second = ({pair[side] for pair in known} for side in (0, 1))
    if len(known) < 3 or min(len(first), len(second)) < 2:
        return None
    return float(np.corrcoef(*(rankdata(side) for side in zip(*known, strict=True)))[0, 1])


def examine(runs: Runs, path: Path) -> Finding:
    """Measure spread of the weights, detection and accuracy, by method and noise."""
    rows, columns = labels(runs)
    spreads = [_spread(run) for run in runs]
    colors = {row: PALETTE[place % len(PALETTE)] for place, row in enumerate(rows)}
    with figure(path, 3.4 * len(columns) + 2.2, 6.4, len(columns), 2) as (canvas, axes):
        for column, box, dots in zip(columns, axes, axes[len(columns) :], strict=False):
            for place, row in enumerate(rows):
                own = [one for one in spreads if (one.run.row, one.run.column) == (row, column)]
                if own:
                    weights = np.concatenate([one.relative for one in own])
                    box.boxplot(
                        weights,
                        positions=[place],
                        widths=0.6,
                        whis=(5, 95),
                        showfliers=False,
                        patch_artist=True,
                        boxprops={"facecolor": colors[row], "alpha": 0.5},
                        medianprops={"color": "black"},
                    )
                known = [one.run for one in own if one.run.auc is not None]
                points = [run.auc for run in known], [100 * run.accuracy for run in known]
                dots.plot(*points, "o", color=colors[row], ms=5, label=row)
            box.set_title(column)
            box.set_xticks([])
            box.set_ylim(bottom=0)
            dots.set_xlim(-0.05, 1.05)
            dots.set_xlabel("AUC of the weights")
        axes[0].set_ylabel("weight / mean weight")
        axes[len(columns)].set_ylabel("test accuracy [%]")
        handles = axes[len(columns)].get_legend_handles_labels()
        canvas.legend(*handles, loc="outside right center")
    body = f"{_table(spreads)}\n\n{_worth(spreads)}\n\n{LEGEND}"
    return Finding(f"{_sentence(spreads)} ({seeds_of(runs)}).", body)


LEGEND = (
    "Mean ± standard deviation over seeds, last epoch unless the heading says otherwise; the "
    "paper's Table 3 has the AUC of the best epoch. *90 % of weights*: distance between the 5th "
    "and the 95th percentile of the weights of all training samples over their mean, since a "
    "common factor changes nothing where the weights of a batch are divided by their sum; the "
    "boxes and whiskers of the figure are quartiles and these percentiles. *Wrong / right*: mean "
    "weight of the wrong labels over that of the right ones. *Share left*: effective sample size "
    "(sum of weights)² / sum of squared weights, as a share of the samples. The AUC sees nothing "
    "of the weights but their order, and training nothing but their ratios: a wrong order of "
    "nearly equal weights is close to plain training, and a perfect order of nearly equal weights "
    "is too."
)
HEADING = "noise, method, 90 % of weights, wrong / right, share left, AUC, best epoch's AUC"


def _spread(run: Run) -> Spread:
    experiment = run.experiment()
    scored = experiment.score(experiment.data.parts.train)
    ratio = None
    if experiment.data.truth is not None:
        right = scored.given == experiment.data.truth[experiment.data.parts.train].numpy()
        ratio = wrong_over_right(scored.weight, right)
    average = float(scored.weight.mean()) or 1.0
    return Spread(run, scored.weight / average, ratio)


def _known(values: list[float | None]) -> list[float]:
    return [value for value in values if value is not None]


def _table(spreads: list[Spread]) -> str:
    lines = [[*HEADING.split(", "), "accuracy in %"]]
    for (row, column), runs in groups([one.run for one in spreads]).items():
        own = [one for one in spreads if one.run in runs]
        best = [((run.summary["detection_auc"] or {}).get("own") or {}).get("best") for run in runs]
        shares = [run.summary["weights"]["effective_share"] for run in runs]
        lines.append(
            [
                column,
                row,
                spread([one.width for one in own], digits=3),
                spread(_known([one.wrong_over_right for one in own]), digits=3),
                spread(shares, digits=3),
                spread(_known([run.auc for run in runs]), digits=4),
                spread(_known(best), digits=4),
                spread([run.accuracy for run in runs], scale=100, digits=2),
            ]
        )
    return markdown_table(lines)


def _worth(spreads: list[Spread]) -> str:
    """Say whether accuracy goes with the AUC or with the ratio of the weights, by noise."""
    lines = [["noise", "runs", "AUC and accuracy", "wrong / right and accuracy"]]
    examples = []
    for column in labels([one.run for one in spreads])[1]:
        own = [one for one in spreads if one.run.column == column]
        pairs = (
            [(one.run.auc, one.run.accuracy) for one in own],
            [(one.wrong_over_right, one.run.accuracy) for one in own],
        )
        found = map(rank_correlation, pairs)
        told = ["-" if value is None else f"{value:.2f}" for value in found]
        lines.append([column, str(len(own)), *told])
        known = [one for one in own if one.wrong_over_right is not None]
        if known:
            worst = min(known, key=lambda one: one.run.auc or 0.0)
            examples.append(
                f"At {column} the run with the lowest AUC, {worst.run.auc:.3f}, has "
                f"{worst.run.accuracy:.1%} accuracy: {worst.run.row}, where a wrong label has "
                f"{worst.wrong_over_right:.2f} times the weight of a right one."
            )
    table = markdown_table(lines)
    return "\n\n".join(["Rank correlations over all runs:", table, " ".join(examples)]).strip()


def verdict(tighter: dict[str, list[bool]]) -> str:
    """Say how much of the claim holds, from comparisons by noise and seed."""
    always = [all(seeds) for seeds in tighter.values()]
    return "Holds" if all(always) else "Holds in part" if any(always) else "Does not hold"


def _sentence(spreads: list[Spread]) -> str:
    seen = {(one.run.row, one.run.column, one.run.seed): one for one in spreads}
    pairs = [
        (own, seen[CLEAN, column, seed])
        for (row, column, seed), own in seen.items()
        if row == ROBUST and (CLEAN, column, seed) in seen
    ]
    if not pairs:
        widths = {
            key: mean(one.width for one in spreads if one.run in own)
            for key, own in groups([one.run for one in spreads]).items()
        }
        spans = [f"{row} at {column} {width:.2f}" for (row, column), width in widths.items()]
        return f"90 % of the weights span, in mean weights, {', '.join(spans)}"
    tighter, spans = {}, []
    for column in labels([own.run for own, _ in pairs])[1]:
        there = [pair for pair in pairs if pair[0].run.column == column]
        tighter[column] = [own.width < other.width for own, other in there]
        ours, theirs = (mean(one.width for one in side) for side in zip(*there, strict=True))
        spans.append(f"{ours:.2f} and {theirs:.2f} mean weights at {column}")
    counts = [
        sum(tighter_there for seeds in tighter.values() for tighter_there in seeds),
        sum((own.run.auc or 0.0) > (other.run.auc or 0.0) for own, other in pairs),
        sum(own.run.accuracy > other.run.accuracy for own, other in pairs),
    ]
    return (
        f"{verdict(tighter)} here: of {len(pairs)} pairs of runs of the same noise and seed "
        f"{ROBUST} has the tighter weights in {counts[0]} (90 % of its and {CLEAN}'s span "
        f"{', '.join(spans)}), the higher AUC in {counts[1]} and the higher accuracy in {counts[2]}"
    )


ANALYSIS = Analysis(
    title="How far the weights spread",
    source=f"{GHOSH}, section 4.1, corrupted sample detection",
    claim=(
        "RMNW-Net's weights lie in a tighter range than MW-Net's, which may be why its higher AUC "
        "brings no higher accuracy."
    ),
    examine=examine,
    grid=grid({"dataset": "digits"}, NOISES, METHODS, range(5)),
    takes_runs=True,
)
