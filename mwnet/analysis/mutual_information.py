"""Which information measure orders classifiers on noisy labels as on clean ones: MI or DMI?"""

from collections.abc import Callable, Iterator
from itertools import combinations, product
from pathlib import Path

import numpy as np
import torch
from matplotlib.axes import Axes
from numpy.typing import NDArray
from torch import Tensor

import noise
from mwnet.analysis.base import LI, Analysis, Finding, Run, Runs, grid, seeds_of
from mwnet.errors import UserError
from mwnet.experiment import Experiment
from mwnet.methods.base import predict
from mwnet.report.document import markdown_table
from mwnet.report.figures import figure
from mwnet.seeding import generator

Array = NDArray[np.float64]
COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")  # Okabe and Ito
DRAWS = 20


def joint(probabilities: Array, given: NDArray[np.int64]) -> Array:
    """``(K, K)`` joint distribution Q of prediction (rows) and label (columns); eq. 22.

    Args:
        probabilities: ``(n, K)``, those with which the randomised classifier h maps x to a class.
        given: ``(n,)`` labels.
    """
    return probabilities.T @ np.eye(probabilities.shape[1])[given] / len(given)


def mutual_information(q: Array) -> Array:
    """Shannon's MI of ``(..., K, K)`` joint distributions, nats; eq. 24."""
    apart = q.sum(-1, keepdims=True) * q.sum(-2, keepdims=True)
    positive = q > 0
    ratio = np.where(positive, q, 1) / np.where(positive, apart, 1)
    return (q * np.log(ratio)).sum((-2, -1))


def log_dmi(q: Array) -> Array:
    """Logarithm of DMI = |det Q| of ``(..., K, K)`` joint distributions; eq. 27."""
    return np.linalg.slogdet(q).logabsdet


def reversal() -> tuple[Array, Array, Array]:
    """Two classifiers of two even classes and a T for which MI reverses its order; eq. 26.

    Of all h with Pr(h = 1 | y) in tenths and symmetric T with a rate in tenths, those with the
    widest margin.

    Returns:
        ``(2, 2)`` Q of h and of h', with MI(h, Y) > MI(h', Y) but MI(h, Y~) < MI(h', Y~), and T.
    """
    tenths = np.arange(11) / 10
    qs = np.array([[[1 - a, 1 - b], [a, b]] for a, b in product(tenths, tenths)]) / 2
    clean = mutual_information(qs)
    best, found = 0.0, (qs[0], qs[0], np.eye(2))
    for rate in (0.1, 0.2, 0.3, 0.4):
        t = np.array([[1 - rate, rate], [rate, 1 - rate]])
        noisy = mutual_information(qs @ t)
        margin = np.minimum(clean[:, None] - clean, noisy - noisy[:, None])
        first, second = np.unravel_index(margin.argmax(), margin.shape)
        if margin[first, second] > best:
            best, found = float(margin[first, second]), (qs[first], qs[second], t)
    return found


def random_joints(rng: np.random.Generator, classes: int, count: int) -> Array:
    """``(count, K, K)`` Q of even classes, right with a probability drawn for each class."""
    wrong = rng.uniform(size=(count, 1, classes))
    errors = rng.dirichlet(np.ones(classes), (count, classes)).swapaxes(1, 2)
    return ((1 - wrong) * np.eye(classes) + wrong * errors) / classes


def agreement(clean: Array, noisy: Array, pairs: list[tuple[int, int]]) -> int:
    """How many pairs of ``(m,)`` values have the same order in both."""
    return sum(np.sign(clean[a] - clean[b]) == np.sign(noisy[a] - noisy[b]) for a, b in pairs)


MEASURES: dict[str, Callable[[Array], Array]] = {"MI": mutual_information, "DMI": log_dmi}
KINDS = {"uniform": (0.2, 0.4, 0.6), "flip2": (0.2, 0.4, 0.6), "flip": (0.1, 0.2, 0.3, 0.4)}


def reversed_share(kind: str, rate: float, classes: int = 10, matrices: int = 10) -> list[float]:
    """Share of random pairs of classifiers that change order, by MI and by DMI."""
    rng, pairs = np.random.default_rng(0), [(a, a + 1) for a in range(0, 200, 2)]
    kept = np.zeros(2)
    for draw in range(matrices):
        matrix = noise.NOISES[kind](classes, rate, generator(0, "matrix", draw)).numpy()
        qs = random_joints(rng, classes, 200)
        kept += [agreement(m(qs), m(qs @ matrix), pairs) for m in MEASURES.values()]
    return (1 - kept / (matrices * len(pairs))).tolist()


def without_noise(experiment: Experiment, run: Run) -> tuple[Array, Tensor]:
    """Transition matrix of a run, and the labels of all samples before its noise.

    Raises:
        UserError: the run has no noise of one matrix for all samples.
    """
    if experiment.matrix is None:
        raise UserError(
            f"{run.folder} has no transition matrix: take runs with added noise that depends on "
            "the class alone, such as uniform or flip2"
        )
    return experiment.matrix.numpy(), experiment.source.labels


def probabilities(experiment: Experiment, ids: Tensor) -> Array:
    """``(m, K)`` float64 class probabilities of samples."""
    logits = predict(experiment.method, experiment.pixels, ids)
    return logits.double().softmax(1).cpu().numpy()


class Group:
    """Classifiers on the same test samples and noise, which can be compared.

    Attributes:
        column: label of the noise, of the first of them.
        matrix: ``(K, K)`` T.
        truth: ``(n,)`` test labels.
        predictions: ``(n, K)`` of each classifier.
    """

    def __init__(self, column: str, matrix: Array, truth: Tensor) -> None:
        self.column, self.matrix, self.truth = column, matrix, truth
        self.predictions: list[Array] = []

    def pairs(self) -> list[tuple[int, int]]:
        """Every pair of classifiers."""
        return list(combinations(range(len(self.predictions)), 2))

    def values(self, measure: str) -> tuple[Array, Array]:
        """``(m,)`` of the classifiers, on clean and on noisy labels: exactly, from Q and Q T."""
        qs = np.array([joint(p, self.truth.numpy()) for p in self.predictions])
        return MEASURES[measure](qs), MEASURES[measure](qs @ self.matrix)

    def sampled(self, measure: str) -> Iterator[Array]:
        """``(m,)`` with one draw of a noisy label for each sample; ``DRAWS`` times."""
        for draw in range(DRAWS):
            rng = generator(0, "fresh noise", draw)
            given = noise.corrupt(self.truth, torch.from_numpy(self.matrix), rng).numpy()
            yield MEASURES[measure](np.array([joint(p, given) for p in self.predictions]))


def examine(runs: Runs, path: Path) -> Finding:
    """An example, random classifiers, and trained ones on test samples with fresh noise."""
    groups = _groups(runs)
    shares = {kind: [reversed_share(kind, rate) for rate in KINDS[kind]] for kind in KINDS}
    with figure(path, 12.6, 4.0, 3) as (_, axes):
        columns = list(dict.fromkeys(group.column for group in groups))
        _draw(axes[0], "MI", groups, columns)
        _draw(axes[1], "DMI", groups, columns)
        for color, (kind, of_kind) in zip(COLORS, shares.items(), strict=False):
            mi, dmi = (100 * np.array(of_kind).T).tolist()
            axes[2].plot(KINDS[kind], mi, "o-", color=color, label=f"MI, {kind}")
            axes[2].plot(KINDS[kind], dmi, "o--", color=color, label=f"DMI, {kind}", mfc="white")
        axes[2].set(xlabel="noise rate", ylabel="pairs whose order is reversed [%]")
        axes[2].set_title("random classifiers of 10 classes")
        axes[2].set_ylim(top=1.5 * axes[2].get_ylim()[1])
        axes[2].legend(ncols=2, loc="upper left", fontsize=9)
    lines = [["noise", "pairs", *(f"{m}{how}" for how in ("", ", sampled") for m in MEASURES)]]
    counts = {column: _counts([g for g in groups if g.column == column]) for column in columns}
    for column, (pairs, exact, sampled) in counts.items():
        lines.append([column, str(pairs), *map(str, exact), *(f"{s:.1f}" for s in sampled)])
    body = [markdown_table(lines), LEGEND, _random_table(shares), _example()]
    return Finding(_sentence(runs, groups, counts, shares), "\n\n".join(body))


LEGEND = (
    "Pairs of trained classifiers with the same data and noise that have the same order on noisy "
    "as on clean test labels. *Sampled*: one noisy label drawn for each test sample instead of the "
    f"exact joint distribution Q T, mean over {DRAWS} draws. h is randomised: it maps x to a class "
    "with its softmax probability. In the figure a line joins classifiers that share test "
    "samples and noise: where it falls, the order is reversed."
)


def _groups(runs: Runs) -> list[Group]:
    found: dict[tuple, Group] = {}
    for run in runs:
        experiment = run.experiment()
        matrix, before = without_noise(experiment, run)
        ids = experiment.parts.test
        truth = before[ids]
        key = (matrix.tobytes(), ids.numpy().tobytes(), truth.numpy().tobytes())
        group = found.setdefault(key, Group(run.column, matrix, truth))
        group.predictions.append(probabilities(experiment, ids))
    return list(found.values())


def _counts(groups: list[Group]) -> tuple[int, list[int], list[float]]:
    """Pairs, and for each measure how many keep their order, exactly and as sampled."""
    exact, sampled = [], []
    for measure in MEASURES:
        values = [(g, *g.values(measure)) for g in groups]
        exact.append(sum(agreement(clean, noisy, g.pairs()) for g, clean, noisy in values))
        drawn = [agreement(c, s, g.pairs()) for g, c, _ in values for s in g.sampled(measure)]
        sampled.append(sum(drawn) / DRAWS)
    return sum(len(g.pairs()) for g in groups), exact, sampled


def _draw(axis: Axes, measure: str, groups: list[Group], columns: list[str]) -> None:
    for group in groups:
        clean, noisy = group.values(measure)
        color = COLORS[columns.index(group.column) % len(COLORS)]
        first = group is next(g for g in groups if g.column == group.column)
        axis.plot(np.sort(clean), noisy[clean.argsort()], ".-", lw=0.8, color=color)
        axis.lines[-1].set_label(group.column if first else None)
    name, unit = ("MI", " [nats]") if measure == "MI" else ("log DMI", "")
    axis.set(xlabel=f"{name} with clean labels{unit}", ylabel=f"{name} with noisy labels{unit}")
    axis.set_title(f"{measure}, trained classifiers")
    axis.legend()


def _random_table(shares: dict[str, list[list[float]]]) -> str:
    lines = [["noise", "rate", "order reversed by MI", "by DMI"]]
    for kind, of_kind in shares.items():
        for rate, (mi, dmi) in zip(KINDS[kind], of_kind, strict=True):
            lines.append([kind, f"{rate}", f"{mi:.1%}", f"{dmi:.1%}"])
    return f"{markdown_table(lines)}\n\n1,000 random pairs of classifiers of 10 even classes each."


def _example() -> str:
    first, second, t = reversal()
    lines = [["", "Pr(h = 1 given Y = 0, 1)", "MI(h, Y)", "MI(h, Y~)", "DMI(h, Y)", "DMI(h, Y~)"]]
    for name, q in (("h", first), ("h'", second)):
        ones = ", ".join(f"{value:.1f}" for value in q[1] * 2)
        both = np.array([q, q @ t])
        values = [*mutual_information(both), *np.exp(log_dmi(both))]
        lines.append([name, ones, *(f"{value:.4f}" for value in values)])
    return (
        f"{markdown_table(lines)}\n\nAn example for eq. 26: two even classes, labels flipped with "
        f"probability {t[0, 1]:.1f}. DMI falls by the factor |det T| = {np.linalg.det(t):.1f}."
    )


def _sentence(
    runs: Runs,
    groups: list[Group],
    counts: dict[str, tuple[int, list[int], list[float]]],
    shares: dict[str, list[list[float]]],
) -> str:
    total = sum(len(g.pairs()) for g in groups)
    mi, dmi = (sum(exact[m] for _, exact, _ in counts.values()) for m in (0, 1))
    drawn = [sum(sampled[m] for _, _, sampled in counts.values()) for m in (0, 1)]
    error = max(
        float(np.abs(noisy - clean - np.linalg.slogdet(g.matrix).logabsdet).max())
        for g in groups
        for clean, noisy in [g.values("DMI")]
    )
    worst, dmi_worst = (max(share[m] for of in shares.values() for share in of) for m in (0, 1))
    sentence = (
        f"Of random pairs of classifiers up to {worst:.1%} change their order by MI, depending on "
        f"the noise, and up to {dmi_worst:.1%} by DMI"
    )
    if not total:
        return f"{sentence}; no two of the trained classifiers share data and noise."
    return (
        f"{sentence}; of {total} pairs of trained classifiers ({seeds_of(runs)}) MI keeps {mi} and "
        f"DMI {dmi} in order under the exact noise (log DMI falls by log |det T| up to "
        f"{error:.0e}), but with one drawn noisy label for each test sample MI keeps "
        f"{drawn[0] / total:.1%} and DMI {drawn[1] / total:.1%}."
    )


ANALYSIS = Analysis(
    title="Mutual information and its determinant under noise",
    source=f"{LI}, on L_DMI, eqs. 24 to 30",
    claim=(
        "Which of two classifiers has the higher Shannon mutual information with the labels may "
        "change when the labels get noise that depends on the class alone; DMI = |det Q| is "
        "multiplied by |det T|, so its order never changes."
    ),
    examine=examine,
    grid=grid(
        {"dataset": "digits", "method": "erm"},
        {
            "uniform 0.4": {"noise": "uniform", "noise_rate": 0.4},
            "flip2 0.4": {"noise": "flip2", "noise_rate": 0.4},
            "flip 0.3": {"noise": "flip", "noise_rate": 0.3},
        },
        {
            "CE": {"loss": "ce"},
            "CE, 3 epochs": {"loss": "ce", "epochs": 3},
            "CE, 80 epochs, no decay": {"loss": "ce", "epochs": 80, "weight_decay": 0.0},
            "MAE": {"loss": "mae"},
            "SCE": {"loss": "sce"},
            "RMNW-Net": {"method": "mwnet", "meta_loss": "mae", "meta_noisy": True},
        },
        range(3),
    ),
    takes_runs=True,
)
