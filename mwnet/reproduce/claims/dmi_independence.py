"""Does eq. 32 hold: is a trained classifier's output independent of the noisy label, given Y?"""

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from scipy.stats import binom

from mwnet.reproduce.claims.base import (
    LI,
    METHODS,
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
from mwnet.reproduce.claims.information import (
    INFORMATION,
    LEVEL,
    RATIO,
    Estimate,
    fresh_labels,
    measure,
    probabilities,
    without_noise,
)
from mwnet.reproduce.document import markdown_table
from mwnet.reproduce.tables.statistics import spread
from mwnet.runs.canvas import RIGHT, WRONG, figure

PERMUTATIONS = 200
DRAWS = 10
TRAINING, HELD_OUT = "training", "held out"
COLORS = {TRAINING: WRONG, HELD_OUT: RIGHT}


Measured = dict[str, list[dict[str, Estimate]]]


def _measure(run: Run) -> Measured:
    """Measure training samples with the labels seen in training, test samples with fresh draws."""
    experiment = run.experiment()
    matrix, before = without_noise(experiment, run)
    train, test = experiment.data.parts.train, experiment.data.parts.test
    seen = experiment.data.labels.cpu()[train].numpy()
    fresh = [
        fresh_labels(before[test], matrix, run.seed, run.row, run.column, draw)
        for draw in range(DRAWS)
    ]
    return {
        part: [
            measure(predicted, before[ids].numpy(), given, matrix, PERMUTATIONS) for given in drawn
        ]
        for part, ids, drawn in ((TRAINING, train, [seen]), (HELD_OUT, test, fresh))
        for predicted in [probabilities(experiment, ids)]
    }


class Estimates:
    """Estimates of one quantity for some runs, on one part of the samples."""

    def __init__(self, runs: Runs, found: dict[Path, Measured], part: str, what: str) -> None:
        self.by_run = [[one[what] for one in found[run.folder][part]] for run in runs]
        self.all = [estimate for own in self.by_run for estimate in own]
        self.significant = sum(estimate.significant for estimate in self.all)

    @property
    def excess(self) -> list[float]:
        """Compute the mean over the draws of the labels, for each run."""
        return [float(np.mean([estimate.excess for estimate in own])) for own in self.by_run]

    def __str__(self) -> str:
        return f"{self.significant} of {len(self.all)}"


def examine(runs: Runs, path: Path) -> Finding:
    """Measure the dependence on seen and fresh noisy labels, and the error of eq. 32."""
    found = {run.folder: _measure(run) for run in runs}
    rows, columns = labels(runs)
    names = {INFORMATION: "I(h; Y~ | Y) [nats]", RATIO: "log DMI ratio less its null [nats]"}
    width = 1.5 + len(columns) * max(3.6, 0.85 * len(rows))
    with figure(path, width, 7.2, len(columns), 2) as (_, axes):
        for i, (what, name) in enumerate(names.items()):
            for j, column in enumerate(columns):
                axis = axes[i * len(columns) + j]
                _draw(axis, of(runs, column=column), rows, found, what)
                axis.set_title(column)
                axis.set_ylabel(name if j == 0 else "")
        axes[len(columns) - 1].legend(loc="upper right", fontsize=8)
    return Finding(_sentence(runs, found), f"{_table(runs, found)}\n\n{LEGEND}")


LEGEND = (
    "Mean ± standard deviation over seeds, after the last epoch. *Excess*: plug-in estimate of "
    f"I(h(X); Y~ | Y) less the mean of its null, {PERMUTATIONS} permutations of the noisy labels "
    "within each true class; the estimate itself is biased upwards. In brackets how many are above "
    "the 95th percentile of their null. *Ratio*: log of DMI(h, Y~) over DMI(h, Y) |det T|, which "
    "eq. 32 says is 0, less the mean of its null; in brackets how many are outside the central "
    "95 % of it, on either side. Training samples have the labels that the classifier has seen; "
    f"held-out ones are test samples with {DRAWS} fresh draws of noise from the same T for each "
    "run, where h(X) and Y~ are independent given Y by construction, so that 5 % are expected in "
    "brackets. h is randomised: it maps x to a class with its softmax probability. Bars in the "
    "figure are from the 5th to the 95th percentile of the null (information) and from the 2.5th "
    "to the 97.5th (ratio, all less the mean of the null), means over seeds and draws.\n\n"
    "Independence given Y suffices for eq. 32 but is not needed: dependence of opposite sign in "
    "two classes can cancel. So the information tells about the assumption and the ratio about "
    "eq. 32. For new samples a trained classifier is a fixed function, and both hold; on training "
    "samples the test is of their empirical distribution, which is what the loss is computed on. "
    "The classifiers are not trained with the DMI loss, which stays at chance on digits when it "
    'starts from random weights (`docs/RESULTS.md`, "Every loss, plain training on digits").'
)


def _draw(axis: Axes, own: Runs, rows: list[str], found: dict[Path, Measured], what: str) -> None:
    first, shown = labels(own)[0][0], []
    for shift, (part, color) in zip((-0.18, 0.18), COLORS.items(), strict=True):
        for place, row in enumerate(rows):
            estimates = Estimates(of(own, row=row), found, part, what).all
            if not estimates:
                continue
            shown += estimates
            # The null of the ratio moves with the drawn share of each wrong label.
            moved = np.array([e.null.mean() if what == RATIO else 0.0 for e in estimates])
            low, high = np.mean([e.band for e in estimates] - moved[:, None], axis=0)
            values = [e.value for e in estimates] - moved
            band = f"null, {part}" if row == first else None
            axis.bar(place + shift, high - low, 0.3, low, color=color, alpha=0.3, lw=0, label=band)
            places = place + shift + np.linspace(-0.1, 0.1, len(estimates))
            label = f"{part} samples" if row == first else None
            size = 4 if part == TRAINING else 2
            axis.plot(places, values, "o", ms=size, color=color, label=label)
    axis.use_sticky_edges = False  # a margin below the bars too
    axis.autoscale_view()
    if what == RATIO:
        axis.axhline(0, color="black", lw=0.8)
    else:
        axis.set_yscale("log")
        lowest = min(min(e.value, *e.null) for e in shown)
        axis.set_ylim(bottom=max(1e-6, 0.7 * lowest))  # rounding can leave 0 or less
    axis.grid(axis="x", visible=False)
    axis.set_xticks(range(len(rows)), [row.replace(", ", "\n") for row in rows], fontsize=8)


def _table(runs: Runs, found: dict[Path, Measured]) -> str:
    heading = [f"{what}, {part}" for what in ("excess [nats]", "log ratio") for part in COLORS]
    lines = [["noise", "classifier", *heading]]
    for (row, column), own in groups(runs).items():
        cells = []
        for what, digits in ((INFORMATION, 3), (RATIO, 2)):
            tests = [Estimates(own, found, part, what) for part in COLORS]
            cells += [f"{spread(one.excess, digits=digits)} ({one})" for one in tests]
        lines.append([column, row, *cells])
    return markdown_table(lines)


def verdict(significant: int, tests: int) -> str:
    """Say whether eq. 32 fails in all tests, in more than chance explains (1 %), or not."""
    if significant == tests:
        return "holds"
    by_chance = float(binom.sf(significant - 1, tests, LEVEL))
    return "holds in part" if by_chance < 0.01 else "does not hold here"


def _sentence(runs: Runs, found: dict[Path, Measured]) -> str:
    information, ratio, held_information, held_ratio = (
        Estimates(runs, found, part, what) for part in COLORS for what in (INFORMATION, RATIO)
    )
    times = {
        row: float(np.exp(np.mean(Estimates(of(runs, row=row), found, TRAINING, RATIO).excess)))
        for row in labels(runs)[0]
    }
    ends = dict.fromkeys((min(times, key=times.__getitem__), max(times, key=times.__getitem__)))
    listed = " to ".join(
        f"{times[row]:{',.0f' if times[row] >= 100 else '.2f'}} ({row})" for row in ends
    )
    return (
        f"On training samples the doubt {verdict(ratio.significant, len(ratio.all))}: DMI(h, Y~) "
        f"over DMI(h, Y) |det T| is outside its null in {ratio} runs (on average {listed} times "
        f"that of the null), and I(h(X); Y~ | Y) above its null in {information}; on held-out "
        "samples with fresh noise, where eq. 32 is true by construction and chance gives 5 %, in "
        f"{held_ratio} and {held_information} draws ({seeds_of(runs)})."
    )


ANALYSIS = Analysis(
    title="Whether a trained classifier is independent of the noise",
    source=f"{LI}, on L_DMI, question about eq. 32",
    claim=(
        "DMI(h(X), Y~) = DMI(h(X), Y) |det T| may not hold, because it needs h(X) to be "
        "independent of Y~ given Y, and h is trained on Y~."
    ),
    examine=examine,
    grid=grid(
        {"dataset": "digits", "method": "erm"},
        NOISES,
        {
            "CE, 5 epochs": {"loss": "ce", "epochs": 5},
            "CE": {"loss": "ce"},
            "CE, 120 epochs, no decay": {"loss": "ce", "epochs": 120, "weight_decay": 0.0},
            "GCE": {"loss": "gce"},
            "RMNW-Net": METHODS["RMNW-Net"],
        },
        range(3),
    ),
    takes_runs=True,
)
