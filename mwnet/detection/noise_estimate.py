"""Estimate how many labels are wrong, which ones, and what they should be, without the truth.

``mwnet.noise.plain`` says how probable it is that a label is wrong.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from mwnet.noise.plain import plain_matrix, posterior

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

    Source: T from plain samples, Patrini et al., CVPR 2017; the posterior by EM for known
    components.

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
    wrong, true = posterior(given, q, plain_matrix(given, q))
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


def _rate(given: np.ndarray, q: np.ndarray, drawn: np.ndarray) -> float:
    """The estimated rate in a bootstrap draw."""
    given, q = given[drawn], q[drawn]
    return float(posterior(given, q, plain_matrix(given, q))[0].mean())
