"""What eq. 5 does to a Taylor loss: ranges of the bare polynomials, training with and without."""

from collections.abc import Sequence
from pathlib import Path
from statistics import mean

import numpy as np

from mwnet.analysis.base import GAO, Analysis, Finding, Run, Runs, grid, labels, of, seeds_of
from mwnet.analysis.loss_shapes import shipped
from mwnet.benchmark.statistics import spread
from mwnet.losses import taylor_range
from mwnet.report.document import markdown_table
from mwnet.report.figures import NEUTRAL, RIGHT, WRONG, figure
from mwnet.search.space import Space

CLASSES = 10
"""Of the default data. Nothing switches eq. 5 off, but an eta that is the polynomial's own range at
this many classes does the same; a report on other data says how far from it the runs are."""
COLORS = (RIGHT, WRONG, "#009e73")


def raw_range(theta: Sequence[float], num_classes: int) -> float:
    """f_max - f_min of eq. 4 averaged over the classes: the range of the loss without eq. 5."""
    lowest, highest = taylor_range(tuple(theta), num_classes)
    return highest - lowest


def candidates_ranges(num_classes: int, count: int = 128) -> np.ndarray:
    """``(count,)`` raw ranges of what a search with its default start and spread tries first."""
    rng = np.random.default_rng(0)
    space = Space(4)
    thetas = [space.theta(rng.normal(size=len(space.free))) for _ in range(count)]
    return np.array([raw_range(theta, num_classes) for theta in thetas])


FOUND = shipped()
# Label of a row -> which loss, and its eta.
ROWS = {
    f"{name}, eta {eta:.4g}": (name, eta)
    for name, loss in FOUND.items()
    for eta in (1.0, raw_range(loss.theta, CLASSES))
}


def examine(runs: Runs, path: Path) -> Finding:
    """Ranges of losses and of random polynomials; accuracy with both ranges by learning rate."""
    rows, columns = labels(runs)
    classes = _classes(runs[0])
    ranges = {name: raw_range(loss.theta, classes) for name, loss in FOUND.items()}
    random = candidates_ranges(classes)
    colors = dict(zip(FOUND, COLORS, strict=False))
    with figure(path, 10.4, 3.8, 2) as (_, (left, right)):
        ends = np.log10([min(random.min(), *ranges.values()), max(random.max(), *ranges.values())])
        bins = np.logspace(ends[0] - 0.02, ends[1] + 0.02, 25).tolist()
        counts = left.hist(random, bins=bins, color=NEUTRAL, alpha=0.5, label="random polynomials")[
            0
        ]
        left.set_ylim(0, 1.7 * max(counts))
        for name, value in ranges.items():
            left.axvline(value, color=colors[name], lw=2, label=name)
        left.axvline(1, color="black", lw=1, ls=":", label="eq. 5 with eta 1")
        left.set_xscale("log")
        left.yaxis.get_major_locator().set_params(integer=True)
        left.set_xlabel(f"range of the loss without eq. 5, {classes} classes")
        left.set_ylabel("polynomials")
        left.legend(fontsize=8)
        for row in rows:
            name, eta = ROWS[row]
            style = "o-" if eta == 1 else "s--"
            means = [100 * mean(_accuracies(runs, row, column)) for column in columns]
            right.plot(
                [column.removeprefix("lr ") for column in columns],
                means,
                style,
                color=colors[name],
                lw=1.8,
                ms=5,
                label=row,
            )
        right.set_xlabel("learning rate")
        right.set_ylabel("test accuracy [%]")
        right.set_ylim(0, 100)
        right.legend(fontsize=8, loc="center left", bbox_to_anchor=(1.01, 0.5))
    lines = [["loss", "eta", "eta / range without eq. 5", *columns]]
    for row in rows:
        name, eta = ROWS[row]
        cells = [spread(_accuracies(runs, row, column), scale=100, digits=2) for column in columns]
        lines.append([name, f"{eta:.3f}", f"{eta / ranges[name]:.3f}", *cells])
    return Finding(_sentence(runs, ranges, random), markdown_table(lines) + f"\n\n{LEGEND}")


LEGEND = (
    "Test accuracy after the last epoch in %, mean ± standard deviation over seeds. A line with "
    "eta / range 1 is training without eq. 5: subtracting f_min changes no gradient, and eta = "
    "f_max - f_min divides out, so eq. 5 is a factor eta / (f_max - f_min) on every gradient and "
    "nothing else. For SGD with momentum this factor on the loss is the same factor on the "
    "learning rate together with its inverse on the weight decay. *Random polynomials*: drawn as "
    "the first generation of a search with its default start and spread."
)


def _classes(run: Run) -> int:
    return np.load(run.folder / "pred_probs.npy", mmap_mode="r").shape[1]


def _accuracies(runs: Runs, row: str, column: str) -> list[float]:
    return [run.summary["test_accuracy"]["last"] for run in of(runs, row=row, column=column)]


def _sentence(runs: Runs, ranges: dict[str, float], random: np.ndarray) -> str:
    rows, columns = labels(runs)
    low, high = np.percentile(random, [5, 95])
    values = list(ranges.values())
    own = [row for row in rows if ROWS[row][1] != 1]
    bare = all(abs(ROWS[row][1] / ranges[ROWS[row][0]] - 1) < 1e-6 for row in own)
    without = "without eq. 5" if bare else f"with their range at {CLASSES} classes instead"
    parts = [
        f"{column} {_mean(runs, column, one=True)} and {_mean(runs, column, one=False)}"
        for column in columns
    ]
    return (
        f"At {_classes(runs[0])} classes the range without eq. 5 is {min(values):.2f} to "
        f"{max(values):.2f} for the {len(values)} shipped losses and {low:.3f} to {high:.3f} for "
        f"90 % of {len(random)} random polynomials; mean accuracy of the shipped losses with eta 1 "
        f"and {without} ({seeds_of(runs)}): {'; '.join(parts)}."
    )


def _mean(runs: Runs, column: str, *, one: bool) -> str:
    rows = [row for row in labels(runs)[0] if (ROWS[row][1] == 1) == one]
    values = [value for row in rows for value in _accuracies(runs, row, column)]
    return f"{mean(values):.2%}" if values else "-"


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
        {f"lr {lr:g}": {"lr": lr} for lr in (0.01, 0.05, 0.25)},
        {row: _options(*chosen) for row, chosen in ROWS.items()},
        range(3),
    ),
)
