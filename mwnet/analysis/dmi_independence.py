"""Does eq. 32 hold: is a trained classifier's output independent of the noisy label, given Y?"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray
from scipy.sparse import csr_array

import noise
from mwnet.analysis.base import LI, Analysis, Finding, Run, Runs, grid, labels, of, seeds_of
from mwnet.analysis.mutual_information import joint, log_dmi, probabilities, without_noise
from mwnet.benchmark.statistics import spread
from mwnet.report.document import markdown_table
from mwnet.report.figures import RIGHT, WRONG, figure
from mwnet.seeding import generator

Array = NDArray[np.float64]
Labels = NDArray[np.int64]
PERMUTATIONS = 200


def joint_of_three(probabilities: Array, truth: Labels, given: Labels) -> Array:
    """``(K, K, K)`` joint distribution of Y, Y~ and h(X), in this order.

    Args:
        probabilities: ``(n, K)``, those with which the randomised h maps x to a class.
        truth: ``(n,)`` true labels.
        given: ``(n,)`` noisy labels.
    """
    n, classes = probabilities.shape
    cells = (np.full(n, 1 / n), (truth * classes + given, np.arange(n)))
    sums = csr_array(cells, shape=(classes**2, n)) @ probabilities
    return sums.reshape(classes, classes, classes)


def conditional_information(q: Array) -> float:
    """I(h(X); Y~ | Y) of a ``(K, K, K)`` joint distribution of Y, Y~ and h(X); nats, 0 or more.

    sum q(y, y~, h) log[ q(y, y~, h) q(y) / (q(y, y~) q(y, h)) ]; 0 if and only if h(X) and Y~ are
    independent given Y.
    """
    apart = q.sum(2, keepdims=True) * q.sum(1, keepdims=True)
    positive = q > 0
    ratio = np.where(positive, q * q.sum((1, 2), keepdims=True), 1) / np.where(positive, apart, 1)
    return float((q * np.log(ratio)).sum())


def permuted_within(truth: Labels, given: Labels, rng: np.random.Generator) -> Labels:
    """``(n,)`` noisy labels in a random order among the samples of each true class."""
    out = np.empty_like(given)
    out[np.argsort(truth, kind="stable")] = given[np.lexsort((rng.random(len(truth)), truth))]
    return out


@dataclass(frozen=True)
class Estimate:
    """A plug-in estimate, and those of labels that were permuted within each true class.

    Attributes:
        value: the estimate.
        null: ``(PERMUTATIONS,)`` what it is if h(X) and Y~ are independent given Y.
    """

    value: float
    null: Array

    @property
    def excess(self) -> float:
        """The estimate less the mean of the null, which is its bias."""
        return self.value - float(self.null.mean())

    @property
    def high(self) -> float:
        """95th percentile of the null."""
        return float(np.percentile(self.null, 95))

    @property
    def significant(self) -> bool:
        """Whether the estimate is above the 95th percentile of the null."""
        return self.value > self.high


def measure(
    probabilities: Array, truth: Labels, given: Labels, matrix: Array, permutations: int
) -> dict[str, Estimate]:
    """Conditional mutual information, and how far eq. 32 is off.

    Args:
        probabilities: ``(n, K)`` of the classifier.
        truth: ``(n,)`` true labels.
        given: ``(n,)`` noisy labels.
        matrix: ``(K, K)`` T with which they were drawn.
        permutations: of the null.

    Returns:
        ``information``: I(h(X); Y~ | Y), nats; ``ratio``: log of DMI(h, Y~) over
        DMI(h, Y) |det T|, nats, which is 0 if eq. 32 holds.
    """
    rng = np.random.default_rng(0)
    expected = log_dmi(joint(probabilities, truth)) + log_dmi(matrix)
    information, ratios = [], []
    for labels_now in (
        given,
        *(permuted_within(truth, given, rng) for _ in range(permutations)),
    ):
        q = joint_of_three(probabilities, truth, labels_now)
        information.append(conditional_information(q))
        ratios.append(float(log_dmi(q.sum(0)) - expected))
    return {
        name: Estimate(values[0], np.array(values[1:]))
        for name, values in (("information", information), ("ratio", ratios))
    }


PARTS = {"training": WRONG, "held out": RIGHT}
Measured = dict[Path, dict[str, dict[str, Estimate]]]


def _measure(run: Run) -> dict[str, dict[str, Estimate]]:
    """Training samples with the labels that were seen, test samples with fresh noise."""
    experiment = run.experiment()
    matrix, before = without_noise(experiment, run)
    out: dict[str, Any] = {}
    for part, ids in (("training", experiment.parts.train), ("held out", experiment.parts.test)):
        truth = before[ids]
        if part == "training":
            given = experiment.labels.cpu()[ids]
        else:
            assert experiment.matrix is not None  # without_noise() has looked
            given = noise.corrupt(truth, experiment.matrix, generator(run.seed, "fresh noise"))
        arguments = probabilities(experiment, ids), truth.numpy(), given.numpy(), matrix
        out[part] = measure(*arguments, PERMUTATIONS)
    return out


def examine(runs: Runs, path: Path) -> Finding:
    """Dependence on seen and on fresh noisy labels, and the error of eq. 32, by row and noise."""
    found = {run.folder: _measure(run) for run in runs}
    rows, columns = labels(runs)
    names = {"information": "I(h; Y~ | Y) [nats]", "ratio": "log DMI ratio [nats]"}
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
    "within each true class; the estimate itself is biased upwards. In brackets the runs above the "
    "95th percentile of their null. *Ratio*: log of DMI(h, Y~) over DMI(h, Y) |det T|, which eq. "
    "32 says is 0, less the mean of its null. Training samples have the labels that the "
    "classifier has seen; held-out ones are test samples with fresh noise from the same T, where "
    "independence holds by construction. h is randomised: it maps x to a class with its softmax "
    "probability. Bars in the figure are from the 5th to the 95th percentile of the null, mean "
    "over seeds. The default runs have no DMI loss, which learns nothing from scratch.\n\n"
    "So eq. 32 holds for the distribution of new samples, for which a trained classifier is a "
    "fixed function; where the excess is above 0 it does not hold for the empirical distribution "
    "of the training samples, which is what the loss is computed on."
)


def _draw(axis: Axes, own: Runs, rows: list[str], found: Measured, what: str) -> None:
    first = labels(own)[0][0]
    for shift, (part, color) in zip((-0.18, 0.18), PARTS.items(), strict=True):
        for place, row in enumerate(rows):
            estimates = [found[run.folder][part][what] for run in of(own, row=row)]
            if not estimates:
                continue
            low, high = np.mean([np.percentile(e.null, [5, 95]) for e in estimates], axis=0)
            band = "null, 5 to 95 %" if row == first else None
            axis.bar(place + shift, high - low, 0.3, low, color=color, alpha=0.3, lw=0, label=band)
            places = place + shift + np.linspace(-0.08, 0.08, len(estimates))
            label = f"{part} samples" if row == first else None
            axis.plot(places, [e.value for e in estimates], "o", ms=4, color=color, label=label)
    axis.use_sticky_edges = False  # a margin below the bars too
    axis.autoscale_view()
    if what == "ratio":
        axis.axhline(0, color="black", lw=0.8)
    else:
        axis.set_yscale("log")
        estimates = [found[run.folder][part][what] for run in own for part in PARTS]
        axis.set_ylim(bottom=0.7 * min(min(e.value, *e.null) for e in estimates))
    axis.grid(axis="x", visible=False)
    axis.set_xticks(range(len(rows)), [row.replace(", ", "\n") for row in rows], fontsize=8)


def _table(runs: Runs, found: Measured) -> str:
    heading = [f"{what}, {part}" for what in ("excess [nats]", "log ratio") for part in PARTS]
    lines = [["noise", "classifier", *heading]]
    for column in labels(runs)[1]:
        for row in labels(runs)[0]:
            if own := of(runs, row=row, column=column):
                cells = [
                    _cell(own, found, what, p) for what in ("information", "ratio") for p in PARTS
                ]
                lines.append([column, row, *cells])
    return markdown_table(lines)


def _cell(own: Runs, found: Measured, what: str, part: str) -> str:
    estimates = [found[run.folder][part][what] for run in own]
    text = spread([e.excess for e in estimates], digits=3 if what == "information" else 2)
    return f"{text} ({sum(e.significant for e in estimates)} of {len(own)})"


def _sentence(runs: Runs, found: Measured) -> str:
    parts = []
    for row in labels(runs)[0]:
        own = of(runs, row=row)
        of_row = {part: [found[run.folder][part] for run in own] for part in PARTS}
        excess, ratio = (
            float(np.mean([measured[what].excess for measured in of_row["training"]]))
            for what in ("information", "ratio")
        )
        seen, fresh = (
            sum(measured["information"].significant for measured in of_row[part]) for part in PARTS
        )
        times = float(np.exp(ratio))
        parts.append(
            f"{row}: {excess:.3f} nats more ({seen} and {fresh} of {len(own)} runs), DMI(h, Y~) "
            f"{times:{',.0f' if times >= 100 else '.2f'}} times as high"
        )
    return (
        "I(h(X); Y~ | Y) and DMI(h, Y~) on training samples, compared with noisy labels permuted "
        "within each true class, which makes them independent of h(X) given Y (mean over all "
        f"noise, {seeds_of(runs)}; "
        "in brackets how many runs have the information above the 95th percentile of the "
        f"permuted, and how many on held-out samples with fresh noise): {'; '.join(parts)}."
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
        {
            "uniform 0.4": {"noise": "uniform", "noise_rate": 0.4},
            "flip2 0.4": {"noise": "flip2", "noise_rate": 0.4},
        },
        {
            "CE, 5 epochs": {"loss": "ce", "epochs": 5},
            "CE": {"loss": "ce"},
            "CE, 120 epochs, no decay": {"loss": "ce", "epochs": 120, "weight_decay": 0.0},
            "GCE": {"loss": "gce"},
            "RMNW-Net": {"method": "mwnet", "meta_loss": "mae", "meta_noisy": True},
        },
        range(3),
    ),
    takes_runs=True,
)
