"""Estimate how many labels are wrong, which ones, and what they should be, without the truth.

T[c, g] = Pr(given g | true c) is read off where the class is plain: among the samples that are
predicted as c with most confidence, the given labels are those of class c. With out-of-fold
predictions q(g | x) the true class follows from q(g | x) = sum_c p(c | x) T[c, g].
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

TOP = 0.2
"""Share of the samples of a predicted class that are taken for plain."""
LEAST = 20
"""Plain samples at least; classes with fewer predictions are taken together. As many more samples
with the rate of all classes are added to those of each."""
STEPS = 50
"""Steps of EM, each of which raises the likelihood."""
DRAWS = 30
"""Bootstrap draws behind an interval."""
DRAWN = 2_000
"""Samples in a draw at most."""
MANY = 0.05
"""Noise rate from which as many labels are called wrong as there seem to be."""
CLEAN = 0.02
"""Noise rate below which there is no sign of wrong labels."""


@dataclass(frozen=True)
class NoiseEstimate:
    """What is believed about n given labels of K classes.

    Attributes:
        wrong: ``(n,)`` probability that the given label is wrong.
        is_issue: ``(n,)`` whether it is called wrong. With a rate from 5 % these are the n * rate
            labels of lowest quality; below, those that are more probably wrong than right.
        rate: share of wrong labels, in [0, 1].
        interval: 90 % bootstrap interval of the rate.
        precision: expected share of labels that are wrong among those called wrong; None if none
            is.
        matrix: ``(K, K)`` expected number of samples by given class (row) and true class (column).
    """

    wrong: np.ndarray
    is_issue: np.ndarray
    rate: float
    interval: tuple[float, float]
    precision: float | None
    matrix: np.ndarray

    def described(self) -> dict[str, Any]:
        """Return what a summary has of it, as plain values."""
        return {
            "rate": self.rate,
            "interval": list(self.interval),
            "issues": int(self.is_issue.sum()),
            "expected_precision": self.precision,
            "given_by_true": self.matrix.round(2).tolist(),
        }


def estimate_noise(
    given: np.ndarray,
    probabilities: np.ndarray,
    quality: np.ndarray,
    *,
    trusted: np.ndarray | None = None,
) -> NoiseEstimate:
    """Estimate which labels are wrong.

    Trusted labels are right. The others are estimated without them, since samples that somebody
    looked at are no random ones; rate and interval are shares of all.

    Args:
        given: ``(n,)`` class ids.
        probabilities: ``(n, K)`` of the given labels, predicted without having seen the sample.
        quality: ``(n,)`` score, low = suspect.
        trusted: ``(n,)`` whether the label is known to be right; None for no label.

    Source: T from plain samples as by Patrini et al., CVPR 2017, there from the single most
    confident one; the posterior by EM for known components.

    Examples:
        >>> given = np.array([0] * 50 + [1] * 50)
        >>> sure = np.eye(2)[given] * 0.98 + 0.01
        >>> sure[0] = sure[0, ::-1]
        >>> quality = sure[np.arange(100), given]
        >>> estimate_noise(given, sure, quality).is_issue.nonzero()[0].tolist()
        [0]
    """
    if trusted is not None and trusted.any():
        return _beside_trusted(given, probabilities, quality, trusted)
    q = probabilities.astype(np.float64)
    wrong, true = _posterior(given, q, transition(given, q))
    rate = float(wrong.mean())
    issue = wrong > 0.5
    if rate >= MANY:
        issue = np.zeros(len(q), dtype=bool)
        issue[np.argsort(quality, kind="stable")[: round(rate * len(q))]] = True
    rng = np.random.default_rng(0)
    size = min(len(q), DRAWN)
    spread = np.array([_rate(given, q, rng.integers(0, len(q), size)) for _ in range(DRAWS)])
    # Draws of fewer samples scatter more.
    spread = rate + (spread - spread.mean()) * np.sqrt(size / len(q))
    low, high = np.quantile(spread, (0.05, 0.95)).clip(0, 1)
    matrix = np.zeros((q.shape[1], q.shape[1]))
    np.add.at(matrix, given, true)
    precision = float(wrong[issue].mean()) if issue.any() else None
    return NoiseEstimate(wrong, issue, rate, (float(low), float(high)), precision, matrix)


def _beside_trusted(
    given: np.ndarray, probabilities: np.ndarray, quality: np.ndarray, trusted: np.ndarray
) -> NoiseEstimate:
    """The estimate for the others, and zeros for those that are trusted."""
    wrong, issue = np.zeros(len(given)), np.zeros(len(given), dtype=bool)
    matrix = np.diag(np.bincount(given[trusted], minlength=probabilities.shape[1]).astype(float))
    if trusted.all():
        return NoiseEstimate(wrong, issue, 0.0, (0.0, 0.0), None, matrix)
    rest = estimate_noise(given[~trusted], probabilities[~trusted], quality[~trusted])
    wrong[~trusted], issue[~trusted] = rest.wrong, rest.is_issue
    share = float((~trusted).mean())
    low, high = rest.interval
    return NoiseEstimate(
        wrong, issue, share * rest.rate, (share * low, share * high), rest.precision,
        matrix + rest.matrix,
    )  # fmt: skip


def transition(given: np.ndarray, q: np.ndarray) -> np.ndarray:
    """Estimate ``(K, K)`` Pr(given | true) from the plain samples of each class.

    A class that happens to have no wrong label among its few plain samples may have some elsewhere:
    ``LEAST`` more samples are added to each, with the rate of all classes together.
    """
    classes = q.shape[1]
    predicted = q.argmax(1)
    of_class = [np.flatnonzero(predicted == label) for label in range(classes)]
    few = [label for label in range(classes) if len(of_class[label]) < LEAST]
    plain = [_plainest(members, q) for members in of_class]
    of_few = _plainest(np.flatnonzero(np.isin(predicted, few)), q)
    counts = np.zeros((classes, classes))
    for label in set(range(classes)) - set(few):
        counts[label] = np.bincount(given[plain[label]], minlength=classes)
    wrong_of_few = int((given[of_few] != predicted[of_few]).sum())
    wrong = counts.sum() - np.trace(counts) + wrong_of_few
    rate = (wrong + 0.5) / (counts.sum() + len(of_few) + 1)
    matrix = counts + LEAST * _even(rate, classes)
    matrix /= matrix.sum(1, keepdims=True)
    # Classes with few predictions have one rate, spread over the other classes alike.
    rate_of_few = (wrong_of_few + LEAST * rate) / (len(of_few) + LEAST)
    matrix[few] = _even(rate_of_few, classes)[few]
    return matrix


def _plainest(members: np.ndarray, q: np.ndarray) -> np.ndarray:
    """Those of some samples that are predicted with most confidence."""
    order = np.argsort(-q[members].max(1), kind="stable")
    return members[order[: max(LEAST, int(TOP * len(members)))]]


def _even(rate: float, classes: int) -> np.ndarray:
    """``(K, K)`` of symmetric noise: a rate that is spread over the other classes alike."""
    matrix = np.full((classes, classes), rate / max(1, classes - 1))
    np.fill_diagonal(matrix, 1 - rate)
    return matrix


def _posterior(given: np.ndarray, q: np.ndarray, t: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """``(n,)`` Pr(wrong | x, given) and ``(n, K)`` Pr(true | x, given)."""
    p = q.copy()
    for _ in range(STEPS):
        p *= (q / np.maximum(p @ t, 1e-9)) @ t.T
        p /= p.sum(1, keepdims=True)
    joint = p * t[:, given].T
    total = joint.sum(1, keepdims=True)
    true = np.where(total > 1e-12, joint / np.maximum(total, 1e-12), p)
    return 1 - true[np.arange(len(given)), given], true


def _rate(given: np.ndarray, q: np.ndarray, drawn: np.ndarray) -> float:
    """The estimated rate in a bootstrap draw."""
    given, q = given[drawn], q[drawn]
    return float(_posterior(given, q, transition(given, q))[0].mean())
