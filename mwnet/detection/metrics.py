"""Measure how well a score finds the wrong labels.

Every function takes label quality, one number for each label: low = suspect, as in cleanlab. The
truth about labels is an argument of the functions of this module, and of nothing that trains.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from mwnet.core.errors import UserError
from mwnet.detection.scores import Scored
from mwnet.detection.weights import midranks


def roc_auc(is_wrong: ArrayLike, label_quality: ArrayLike) -> float | None:
    """Compute the area under the ROC curve of finding wrong labels by their low quality.

    Args:
        is_wrong: ``(n,)`` whether each label is wrong.
        label_quality: ``(n,)`` scores, low = suspect.

    Returns:
        The probability that a wrong label has a lower score than a right one, in [0, 1]; ties count
        half. None where all labels are right or all are wrong, or a score is not finite.

    Raises:
        ValueError: the arrays are not one-dimensional and equally long.

    Source: Mann and Whitney (1947).

    Examples:
        >>> roc_auc([True, False, False], [0.1, 0.9, 0.8])
        1.0
    """
    wrong, quality = _pair(is_wrong, label_quality)
    clean = ~wrong
    if clean.all() or not clean.any() or not np.isfinite(quality).all():
        return None
    # Mann and Whitney's U; scikit-learn's function takes ten times as long to check its input.
    right = int(clean.sum())
    u = midranks(quality)[clean].sum() - right * (right + 1) / 2
    return float(u / (right * (len(clean) - right)))


def average_precision(is_wrong: ArrayLike, label_quality: ArrayLike) -> float | None:
    """Compute the average precision of finding wrong labels by their low quality.

    Args:
        is_wrong: ``(n,)`` whether each label is wrong.
        label_quality: ``(n,)`` scores, low = suspect.

    Returns:
        The mean precision over the recall levels, in [0, 1], as scikit-learn's
        ``average_precision_score``; None where no label is wrong or a score is not finite.

    Raises:
        ValueError: the arrays are not one-dimensional and equally long.

    Examples:
        >>> average_precision([True, False, True], [0.1, 0.2, 0.9])
        0.8333333333333333
    """
    wrong, quality = _pair(is_wrong, label_quality)
    if not wrong.any() or not np.isfinite(quality).all():
        return None
    # As above: scikit-learn's function is slow for what is measured after each epoch.
    order = np.argsort(quality, kind="stable")
    found = np.cumsum(wrong[order])
    ends = np.flatnonzero(np.append(np.diff(quality[order]) > 0, True))  # ties count together
    precision = found[ends] / (ends + 1)
    return float((np.diff(found[ends], prepend=0) * precision).sum() / found[-1])


def precision_at_noise_rate(is_wrong: ArrayLike, label_quality: ArrayLike) -> float | None:
    """Compute the share of wrong labels among the k most suspect ones, k = number of wrong labels.

    Args:
        is_wrong: ``(n,)`` whether each label is wrong.
        label_quality: ``(n,)`` scores, low = suspect; ties keep the order of the samples.

    Returns:
        Precision in [0, 1], which at this k is also the recall; None where no label is wrong.

    Raises:
        ValueError: the arrays are not one-dimensional and equally long.

    Examples:
        >>> precision_at_noise_rate([True, False, True], [0.1, 0.2, 0.9])
        0.5
    """
    wrong, quality = _pair(is_wrong, label_quality)
    k = int(wrong.sum())
    suspects = np.argsort(quality, kind="stable")[:k]
    return float(wrong[suspects].mean()) if k else None


def f1(is_wrong: ArrayLike, is_label_issue: ArrayLike) -> float:
    """Compute F1 of the labels that are called wrong.

    Args:
        is_wrong: ``(n,)`` whether each label is wrong.
        is_label_issue: ``(n,)`` whether each label is called wrong.

    Returns:
        The harmonic mean of precision and recall, in [0, 1]; 0 where nothing is wrong and called.

    Raises:
        ValueError: the arrays are not one-dimensional and equally long.

    Examples:
        >>> f1([True, False, True], [True, False, False])
        0.6666666666666666
    """
    wrong, called = _pair(is_wrong, is_label_issue)
    called = called.astype(bool)
    total = int(wrong.sum() + called.sum())
    return float(2 * (wrong & called).sum() / total) if total else 0.0


def detection_auc(scored: Scored, truth: np.ndarray) -> dict[str, float | None]:
    """Compute ``roc_auc`` for every score that a run reports.

    Args:
        scored: scores of n samples.
        truth: ``(n,)`` their true labels.

    Returns:
        AUC by score name, None for a score that the method does not have.
    """
    return _of_each(roc_auc, scored, truth)


def detection_metrics(scored: Scored, truth: np.ndarray) -> dict[str, Any]:
    """Compute what a line of metrics says about finding wrong labels; see ``detection_auc``."""
    return {
        "detection_auc": detection_auc(scored, truth),
        "average_precision": _of_each(average_precision, scored, truth),
        "precision_at_noise": precision_at_noise_rate(scored.given != truth, scored.own),
    }


def auc_per_class(scored: Scored, truth: np.ndarray, classes: tuple[str, ...]) -> dict[str, Any]:
    """Compute ``roc_auc`` of the method's own score among the samples of each given class."""
    wrong = scored.given != truth
    return {
        name: roc_auc(wrong[scored.given == label], scored.own[scored.given == label])
        for label, name in enumerate(classes)
    }


def _of_each(
    measure: Callable[[ArrayLike, ArrayLike], float | None], scored: Scored, truth: np.ndarray
) -> dict[str, float | None]:
    wrong = scored.given != truth
    return {
        name: None if values is None else measure(wrong, values)
        for name, values in scored.scores().items()
    }


def _pair(first: ArrayLike, second: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    a, b = np.asarray(first, dtype=bool), np.asarray(second)
    if a.ndim != 1 or a.shape != b.shape:
        raise UserError(
            f"expected two one-dimensional arrays of one length, got shapes {a.shape} and {b.shape}"
        )
    return a, b
