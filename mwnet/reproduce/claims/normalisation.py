"""Eq. 5 and Taylor losses: ranges of the bare polynomials, and training with and without eq. 5."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean

import numpy as np
from matplotlib.axes import Axes

from mwnet.losses import taylor_range
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
)
from mwnet.reproduce.claims.loss_shapes import shipped
from mwnet.reproduce.claims.noise_levels import SETTINGS, parted
from mwnet.reproduce.document import markdown_table
from mwnet.reproduce.tables.statistics import spread
from mwnet.runs.canvas import NEUTRAL, PALETTE, figure
from mwnet.search.space import Space

CLASSES = 10
"""Of the default data. Nothing switches eq. 5 off, but an eta that is the polynomial's own range at
this many classes does the same; a report on other data says how far from it the runs are."""


def raw_range(theta: Sequence[float], num_classes: int) -> float:
    """Compute f_max - f_min of eq. 4 averaged over classes, the range of the loss without eq. 5."""
    lowest, highest = taylor_range(tuple(theta), num_classes)
    return highest - lowest


def candidates_ranges(num_classes: int, count: int = 128) -> np.ndarray:
    """Compute ``(count,)`` raw ranges of the first candidates of a search with default settings."""
    rng = np.random.default_rng(0)
    space = Space(4)
    thetas = [space.theta(rng.normal(size=len(space.free))) for _ in range(count)]
    return np.array([raw_range(theta, num_classes) for theta in thetas])


def lasts(before: Sequence[float], after: Sequence[float]) -> bool:
    """Say whether every difference after has the sign of the mean difference before."""
    return all(difference * mean(before) > 0 for difference in after)


FOUND = shipped()
# Label of a row -> which loss, and its eta.
ROWS = {
    f"{name}, eta {eta:.4g}": (name, eta)
    for name, loss in FOUND.items()
    for eta in (1.0, raw_range(loss.theta, CLASSES))
}


def examine(runs: Runs, path: Path) -> Finding:
    """Measure ranges of losses and random polynomials, and accuracy with both ranges."""
    rows, columns = labels(runs)
    classes = len(runs[0].classes)
    ranges = {name: raw_range(loss.theta, classes) for name, loss in FOUND.items()}
    random = candidates_ranges(classes)
    colors = dict(zip(FOUND, PALETTE, strict=False))
    by_setting: dict[str, list[str]] = {}
    for column in columns:
        by_setting.setdefault(parted(column)[1], []).append(column)
    lines = [["training", "loss", "eta", "eta / range", *_rates(columns)]]
    with figure(path, 4 + 3.6 * len(by_setting), 3.8, 1 + len(by_setting)) as (canvas, axes):
        _draw_ranges(axes[0], ranges, random, classes, colors)
        for axis, (setting, own) in zip(axes[1:], by_setting.items(), strict=True):
            for row in rows:
                name, eta = ROWS[row]
                values = [accuracies(runs, row, column) for column in own]
                cells = [spread(seeds, scale=100, digits=2) for seeds in values]
                lines.append([setting, name, f"{eta:.3f}", f"{eta / ranges[name]:.3f}", *cells])
                means = [100 * mean(seeds) for seeds in values]
                style = {"color": colors[name], "lw": 1.8, "ms": 5, "label": row}
                axis.plot(_rates(own), means, "o-" if eta == 1 else "s--", **style)
            gains = [spread(_gains(runs, column), scale=100, digits=2) for column in own]
            lines.append([setting, "gain", "", "", *gains])
            axis.set_title(setting)
            axis.set_xticks(range(len(own)), [rate.removeprefix("lr ") for rate in _rates(own)])
            axis.set_xlabel("learning rate")
            axis.set_ylim(0, 100)
        axes[1].set_ylabel("test accuracy [%]")
        canvas.legend(*axes[1].get_legend_handles_labels(), loc="outside right center", fontsize=8)
    told = [_ranges_told(classes, ranges, random), _training_told(runs, by_setting, ranges)]
    return Finding(
        "; ".join(told) + f" ({seeds_of(runs)}).", markdown_table(lines) + f"\n\n{LEGEND}"
    )


LEGEND = (
    "Test accuracy after the last epoch in %, mean ± standard deviation over seeds. *Eta / range*: "
    "of the range without eq. 5; a line where it is 1 is training without eq. 5: subtracting f_min "
    "changes no gradient, and eta = f_max - f_min divides out, so eq. 5 is a factor eta / (f_max - "
    "f_min) on every gradient and nothing else. For SGD with momentum this factor on the loss is "
    "the same factor on the learning rate together with its inverse on the weight decay; without "
    "weight decay it is a learning rate and no more. *Gain*: points of accuracy of the larger eta "
    "over eta 1, mean over the losses. *Random polynomials*: drawn as the first "
    "generation of a search with its default start and spread."
)


def _rates(columns: list[str]) -> list[str]:
    return list(dict.fromkeys(parted(column)[0] for column in columns))


def _draw_ranges(
    axis: Axes,
    ranges: dict[str, float],
    random: np.ndarray,
    classes: int,
    colors: Mapping[str, str],
) -> None:
    ends = np.log10([min(random.min(), *ranges.values()), max(random.max(), *ranges.values())])
    bins = np.logspace(ends[0] - 0.02, ends[1] + 0.02, 25).tolist()
    counts = axis.hist(random, bins=bins, color=NEUTRAL, alpha=0.5, label="random polynomials")[0]
    axis.set_ylim(0, 1.7 * float(np.max(counts)))
    for name, value in ranges.items():
        axis.axvline(value, color=colors[name], lw=2, label=name)
    axis.axvline(1, color="black", lw=1, ls=":", label="eq. 5 with eta 1")
    axis.set_xscale("log")
    axis.locator_params(axis="y", integer=True)
    axis.set_xlabel(f"range of the loss without eq. 5, {classes} classes")
    axis.set_ylabel("polynomials")
    axis.legend(fontsize=8, frameon=True, framealpha=1, edgecolor="none", loc="upper left")


def _ranges_told(classes: int, ranges: dict[str, float], random: np.ndarray) -> str:
    low, high = np.percentile(random, [5, 95])
    values = list(ranges.values())
    verdict = "Holds" if high > 2 * low else "Hardly matters"
    return (
        f"{verdict}: at {classes} classes the range without eq. 5 is {low:.3f} to {high:.3f} for "
        f"90 % of {len(random)} random polynomials and {min(values):.2f} to {max(values):.2f} for "
        f"the {len(values)} shipped losses, and eta with it"
    )


def _gains(runs: Runs, column: str) -> list[float]:
    """Compute accuracy without eq. 5 minus accuracy with eta 1, mean over losses, for each seed."""
    seeds: dict[int, dict[bool, list[float]]] = {}
    for run in of(runs, column=column):
        seeds.setdefault(run.seed, {True: [], False: []})[ROWS[run.row][1] == 1].append(
            run.accuracy
        )
    both = [sides for sides in seeds.values() if all(sides.values())]
    return [mean(sides[False]) - mean(sides[True]) for sides in both]


def _training_told(runs: Runs, by_setting: dict[str, list[str]], ranges: dict[str, float]) -> str:
    """Write how the range changes accuracy, and at how many learning rates without weight decay."""
    own = [row for row in labels(runs)[0] if ROWS[row][1] != 1]
    bare = all(abs(ROWS[row][1] / ranges[ROWS[row][0]] - 1) < 1e-6 for row in own)
    without = "without eq. 5" if bare else f"with their range at {CLASSES} classes as eta"
    gains = {
        setting: {parted(column)[0]: seeds for column in columns if (seeds := _gains(runs, column))}
        for setting, columns in by_setting.items()
    }
    told = [
        f"{_from_to([100 * mean(seeds) for seeds in found.values()])} with {setting}"
        for setting, found in gains.items()
        if found
    ]
    if not told:
        return f"no loss was trained both with eta 1 and {without}"
    sentence = f"training {without} changes mean accuracy by {' and '.join(told)}"
    if len(told) == 2:
        first, second = gains.values()
        alike = [rate for rate in first.keys() & second.keys() if lasts(first[rate], second[rate])]
        sentence += (
            f", and its sign stays in every seed without weight decay at {len(alike)} of "
            f"{len(first)} learning rates"
        )
    return sentence


def _from_to(points: list[float]) -> str:
    ends = dict.fromkeys(f"{end:+.1f}" for end in (min(points), max(points)))
    return f"{' to '.join(ends)} points"


def _options(name: str, eta: float) -> dict:
    theta = ",".join(map(repr, FOUND[name].theta))
    return {"loss": "taylor", "loss_options": {"theta": theta, "eta": eta}}


ANALYSIS = Analysis(
    title="Taylor losses with and without normalisation",
    source=f"{GAO}, section 2.5, eq. 5",
    claim=(
        "Eq. 5 prevents learnt losses from having an arbitrary output range; eta decides the range."
    ),
    examine=examine,
    grid=grid(
        {
            "dataset": "digits",
            "method": "erm",
            "meta_size": 0,
            "noise": "symmetric",
            "noise_rate": 0.8,
        },
        {
            f"lr {lr:g}{setting}": {"lr": lr, **options}
            for setting, options in SETTINGS.items()
            for lr in (0.01, 0.05, 0.25)
        },
        {row: _options(*chosen) for row, chosen in ROWS.items()},
        range(3),
    ),
)
