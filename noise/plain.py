"""Estimate which classes were given for which, and which given labels are right, without the truth.

T[c, g] = Pr(given g | true c) is read off where the class is plain: among the samples that are
predicted as c with most confidence, the given labels are those of class c. With predictions
q(g | x) of the *given* label, by what has not seen the sample, the true class follows from
q(g | x) = sum_c p(c | x) T[c, g].
"""

import numpy as np

TOP = 0.2
"""Share of the samples of a predicted class that are taken for plain."""
LEAST = 20
"""Plain samples at least; classes with fewer predictions are taken together. As many more samples
with the rate of all classes are added to those of each."""
STEPS = 50
"""Steps of EM, each of which raises the likelihood."""


def plain_matrix(given: np.ndarray, q: np.ndarray) -> np.ndarray:
    """Estimate ``(K, K)`` Pr(given | true) from the plain samples of each class.

    A class that happens to have no wrong label among its few plain samples may have some elsewhere:
    ``LEAST`` more samples are added to each, with the rate of all classes together.

    Args:
        given: ``(n,)`` class ids.
        q: ``(n, K)`` float64 probabilities of the given label.

    Source: Patrini et al., CVPR 2017, there from the single most confident sample.
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


def posterior(given: np.ndarray, q: np.ndarray, t: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return ``(n,)`` Pr(wrong | x, given) and ``(n, K)`` Pr(true | x, given), by EM.

    Args:
        given: ``(n,)`` class ids.
        q: ``(n, K)`` float64 probabilities of the given label.
        t: ``(K, K)`` Pr(given | true).

    Examples:
        >>> q = np.array([[0.7, 0.3], [0.3, 0.7]])
        >>> t = np.array([[0.7, 0.3], [0.3, 0.7]])
        >>> posterior(np.array([0, 0]), q, t)[0].round(2)
        array([0.01, 0.94])
    """
    p = q.copy()
    for _ in range(STEPS):
        p *= (q / np.maximum(p @ t, 1e-9)) @ t.T
        p /= p.sum(1, keepdims=True)
    joint = p * t[:, given].T
    total = joint.sum(1, keepdims=True)
    true = np.where(total > 1e-12, joint / np.maximum(total, 1e-12), p)
    return 1 - true[np.arange(len(given)), given], true
