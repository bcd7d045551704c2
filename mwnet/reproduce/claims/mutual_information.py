"""Which information measure orders classifiers on noisy labels as on clean ones: MI or DMI?"""

from collections.abc import Callable, Iterator
from itertools import combinations
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from torch import Tensor

from mwnet import noise
from mwnet.core.seeding import generator
from mwnet.reproduce.claims.base import LI, METHODS, NOISES, Analysis, Finding, Runs, grid, seeds_of
from mwnet.reproduce.claims.information import (
    Array,
    fresh_labels,
    joint,
    log_dmi,
    mutual_information,
    probabilities,
    reversal,
    without_noise,
)
from mwnet.reproduce.document import markdown_table
from mwnet.runs.canvas import PALETTE, figure

DRAWS = 20


def random_joints(rng: np.random.Generator, classes: int, count: int) -> Array:
    """Draw ``(count, K, K)`` Q of equally large classes, with a random accuracy for each class."""
    wrong = rng.uniform(size=(count, 1, classes))
    errors = rng.dirichlet(np.ones(classes), (count, classes)).swapaxes(1, 2)
    return ((1 - wrong) * np.eye(classes) + wrong * errors) / classes


def agreement(clean: Array, noisy: Array, pairs: list[tuple[int, int]]) -> int:
    """Count the pairs of ``(m,)`` values that both arrays order alike."""
    return sum(np.sign(clean[a] - clean[b]) == np.sign(noisy[a] - noisy[b]) for a, b in pairs)


MEASURES: dict[str, Callable[[Array], Array]] = {"MI": mutual_information, "DMI": log_dmi}
KINDS = {"uniform": (0.2, 0.4, 0.6), "flip2": (0.2, 0.4, 0.6), "flip": (0.1, 0.2, 0.3, 0.4)}


def reversed_share(kind: str, rate: float, classes: int = 10, matrices: int = 10) -> list[float]:
    """Compute the share of random pairs of classifiers that change order, by MI and by DMI."""
    rng, pairs = np.random.default_rng(0), [(a, a + 1) for a in range(0, 200, 2)]
    kept = np.zeros(2)
    for draw in range(matrices):
        matrix = noise.NOISES[kind](classes, rate, generator(0, "matrix", draw)).numpy()
        qs = random_joints(rng, classes, 200)
        kept += [agreement(m(qs), m(qs @ matrix), pairs) for m in MEASURES.values()]
    return (1 - kept / (matrices * len(pairs))).tolist()


class Group:
    """Classifiers that can be compared, on the same test samples and noise.

    Attributes:
        index: number of the group; each has noisy labels of its own.
        column: label of the noise, of the first of them.
        matrix: ``(K, K)`` T.
        truth: ``(n,)`` test labels.
        predictions: ``(n, K)`` of each classifier.
    """

    def __init__(self, index: int, column: str, matrix: Array, truth: Tensor) -> None:
        self.index, self.column, self.matrix, self.truth = index, column, matrix, truth
        self.predictions: list[Array] = []

    def pairs(self) -> list[tuple[int, int]]:
        """Return every pair of classifiers."""
        return list(combinations(range(len(self.predictions)), 2))

    def values(self, measure: str) -> tuple[Array, Array]:
        """Compute the measure of ``(m,)`` classifiers, from Q (clean) and from Q T (noisy)."""
        qs = np.array([joint(p, self.truth.numpy()) for p in self.predictions])
        return MEASURES[measure](qs), MEASURES[measure](qs @ self.matrix)

    def sampled(self, measure: str) -> Iterator[Array]:
        """Compute ``(m,)`` measures with one noisy label drawn for each sample, ``DRAWS`` times."""
        for draw in range(DRAWS):
            given = fresh_labels(self.truth, self.matrix, self.index, draw)
            yield MEASURES[measure](np.array([joint(p, given) for p in self.predictions]))


def examine(runs: Runs, path: Path) -> Finding:
    """Compare MI and DMI on an example, random classifiers, and trained ones with fresh noise."""
    groups = _groups(runs)
    shares = {kind: [reversed_share(kind, rate) for rate in KINDS[kind]] for kind in KINDS}
    columns = list(dict.fromkeys(group.column for group in groups))
    counts = {column: _counts([g for g in groups if g.column == column]) for column in columns}
    with figure(path, 12.6, 4.0, 3) as (_, axes):
        _draw(axes[0], "MI", groups, columns)
        _draw(axes[1], "DMI", groups, columns)
        for color, (kind, of_kind) in zip(PALETTE, shares.items(), strict=False):
            mi, dmi = (100 * np.array(of_kind).T).tolist()
            axes[2].plot(KINDS[kind], mi, "o-", color=color, label=f"MI, {kind}")
            axes[2].plot(KINDS[kind], dmi, "o--", color=color, label=f"DMI, {kind}", mfc="white")
        axes[2].set(xlabel="noise rate", ylabel="pairs whose order is reversed [%]")
        axes[2].set_title("random classifiers of 10 classes")
        axes[2].set_ylim(top=1.5 * axes[2].get_ylim()[1])
        axes[2].legend(ncols=2, loc="upper left", fontsize=9)
    lines = [["noise", "pairs", "MI, sampled", "DMI, sampled", "MI, exact", "DMI, exact"]]
    for column, (pairs, exact, sampled) in counts.items():
        lines.append([column, str(pairs), *(f"{s:.1f}" for s in sampled), *map(str, exact)])
    body = [markdown_table(lines), LEGEND, _random_table(shares), _example()]
    return Finding(_sentence(runs, counts, shares), "\n\n".join(body))


LEGEND = (
    "Pairs of trained classifiers that have the same order on noisy as on clean test labels. "
    f"*Sampled*: one noisy label drawn for each test sample, mean over {DRAWS} draws. *Exact*: "
    "from the joint distribution Q T that such draws have on average; there DMI keeps every order "
    "by construction, since |det(Q T)| = |det Q| |det T|. Two classifiers are compared if they "
    "share test samples and T. Uniform noise has one T for all seeds, so that runs of different "
    "seeds are pairs too; flip and flip2 draw the wrong classes by the seed, which leaves the "
    "pairs within a seed (unless `--noise-seed` is given). h is randomised: it maps x to a class "
    "with its softmax probability. In the figure (exact) a line joins classifiers that are "
    "compared: where it falls, the order is reversed."
)


def _groups(runs: Runs) -> list[Group]:
    found: dict[tuple, Group] = {}
    for run in runs:
        experiment = run.experiment()
        matrix, before = without_noise(experiment, run)
        ids = experiment.data.parts.test
        truth = before[ids]
        key = (matrix.tobytes(), ids.numpy().tobytes(), truth.numpy().tobytes())
        group = found.setdefault(key, Group(len(found), run.column, matrix, truth))
        group.predictions.append(probabilities(experiment, ids))
    return list(found.values())


def _counts(groups: list[Group]) -> tuple[int, list[int], list[float]]:
    """Count pairs, and for each measure those that keep their order, exactly and as sampled."""
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
        color = PALETTE[columns.index(group.column) % len(PALETTE)]
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


def verdict(mi: bool, dmi: bool) -> str:
    """Say whether the claim holds: MI changed the order of some pair, and DMI of none."""
    return ("does not hold here", "holds in part", "holds")[int(mi) + int(not dmi)]


def _sentence(
    runs: Runs,
    counts: dict[str, tuple[int, list[int], list[float]]],
    shares: dict[str, list[list[float]]],
) -> str:
    total = sum(pairs for pairs, _, _ in counts.values())
    worst = max(share[0] for of_kind in shares.values() for share in of_kind)
    random = (
        f"of random pairs of classifiers up to {worst:.1%} change their order by MI, depending on "
        "the noise"
    )
    if not total:
        return f"No two of the trained classifiers share test samples and T; {random}."
    drawn = [sum(sampled[m] for _, _, sampled in counts.values()) for m in (0, 1)]
    exact = [sum(exact[m] for _, exact, _ in counts.values()) for m in (0, 1)]
    return (
        f"With one noisy label drawn for each test sample MI keeps {drawn[0] / total:.1%} and DMI "
        f"{drawn[1] / total:.1%} of {total} pairs of trained classifiers in order "
        f"({seeds_of(runs)}); by the exact joint distribution the claim "
        f"{verdict(exact[0] < total or worst > 0, exact[1] < total)}: MI keeps {exact[0]} pairs, "
        f"DMI {exact[1]}, which is true by construction, and {random}."
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
        {**NOISES, "flip 0.3": {"noise": "flip", "noise_rate": 0.3}},
        {
            "CE": {"loss": "ce"},
            "CE, 3 epochs": {"loss": "ce", "epochs": 3},
            "CE, 80 epochs, no decay": {"loss": "ce", "epochs": 80, "weight_decay": 0.0},
            "MAE": {"loss": "mae"},
            "SCE": {"loss": "sce"},
            "RMNW-Net": METHODS["RMNW-Net"],
        },
        range(3),
    ),
    takes_runs=True,
)
