"""Estimate transition matrices ``T[i, j] = Pr(given j | true i)`` from predictions."""

import torch
from torch import Tensor

from .checks import check_labels, check_probabilities


def anchor_points(probabilities: Tensor, *, percentile: float | None = 0.97) -> Tensor:
    """Estimate a transition matrix from the predictions at anchor points.

        T[i] = p(x_i),   x_i = the sample at the 97th percentile of p(class i | x)

    An anchor point is a sample that is almost surely of its class. The predictions must estimate
    the *given* label, so they come from a network trained on noisy labels.

    The percentile is over all samples, so that outliers above it are passed over. It lies within
    class i only if more than 3 % of the samples are of that class: give None for 100 classes.

    Args:
        probabilities: ``(n, K)`` predictions on samples that were not used to fit them.
        percentile: in [0, 1], or None for the sample of maximal probability.

    Returns:
        ``(K, K)`` float64, rows sum to one. The row of a class without any probability is that of
        the identity.

    Raises:
        ValueError: rows that are no distributions, a percentile outside [0, 1].

    Source: Patrini et al., CVPR 2017. Their code looks for the percentile by setting
    larger entries to zero in a view of the predictions, and so zeroes entries of later rows of T.

    Examples:
        >>> import torch
        >>> anchor_points(torch.tensor([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8]]), percentile=None)
        tensor([[0.9000, 0.1000],
                [0.2000, 0.8000]], dtype=torch.float64)
    """
    eta = check_probabilities(probabilities)
    if percentile is not None and not 0 <= percentile <= 1:
        raise ValueError(f"a percentile of anchor points lies in [0, 1], got {percentile}")
    count, classes = eta.shape
    matrix = torch.eye(classes, dtype=torch.float64)
    place = int((1 if percentile is None else percentile) * (count - 1))
    for label in range(classes):
        if count and float(eta[:, label].max()) > 0:
            anchor = eta[eta[:, label].argsort(stable=True)[place]]
            matrix[label] = anchor / anchor.sum()
    return matrix


def anchored_matrix(probabilities: Tensor, labels: Tensor) -> Tensor:
    """Estimate a transition matrix by ``anchor_points`` at a suitable percentile.

    It is the 97th. If a class has at most 6 % of the given labels, it is the maximum, because the
    percentile might lie outside that class.

    Args:
        probabilities: ``(n, K)`` predictions, see ``anchor_points``.
        labels: ``(n,)`` int64 given labels.

    Returns:
        ``(K, K)`` float64, rows sum to one.
    """
    rarest = float(labels.bincount(minlength=probabilities.shape[1]).min()) / len(labels)
    return anchor_points(probabilities, percentile=0.97 if rarest > 0.06 else None)


def confident_joint(probabilities: Tensor, labels: Tensor) -> Tensor:
    """Estimate a transition matrix from counts of given labels and confidently predicted classes.

        t_j = mean of p(j | x) over samples given as j
        C[i, j] = samples given as i whose most probable class among {l: p(l | x) >= t_l} is j

    Rows of C are scaled to the number of samples given as i, then columns to one, and T = C^T.

    T is biased where some classes get more noise than others. A class that gets no foreign labels
    has a threshold that half of its own samples miss, unless the predictions are exact.

    Args:
        probabilities: ``(n, K)`` predictions of the *given* label on samples that were not used to
            fit them (by cross-validation).
        labels: ``(n,)`` int64 given labels.

    Returns:
        ``(K, K)`` float64, rows sum to one. The row of a true class without counted samples is
        that of the identity.

    Raises:
        ValueError: rows that are no distributions, labels that do not fit them.

    Source: Northcutt, Jiang and Chuang, JAIR 2021 (confident learning).

    Examples:
        >>> import torch
        >>> p = torch.tensor([[0.9, 0.1], [0.9, 0.1], [0.1, 0.9], [0.9, 0.1]])
        >>> confident_joint(p, torch.tensor([0, 0, 1, 1]))
        tensor([[0.6667, 0.3333],
                [0.0000, 1.0000]], dtype=torch.float64)
    """
    joint = _calibrated_joint(probabilities, labels)
    columns = joint.sum(0)
    matrix = torch.eye(len(joint), dtype=torch.float64)
    matrix[columns > 0] = (joint / columns).T[columns > 0]
    return matrix


def estimated_rate(probabilities: Tensor, labels: Tensor) -> float:
    """Estimate the share of wrong labels, the off-diagonal part of the confident joint.

    Args:
        probabilities: ``(n, K)``, see ``confident_joint``.
        labels: ``(n,)`` int64 given labels.

    Returns:
        The share, in [0, 1].

    Raises:
        ValueError: see ``confident_joint``.

    Examples:
        >>> import torch
        >>> p = torch.tensor([[0.9, 0.1], [0.9, 0.1], [0.1, 0.9], [0.9, 0.1]])
        >>> estimated_rate(p, torch.tensor([0, 0, 1, 1]))
        0.25
    """
    joint = _calibrated_joint(probabilities, labels)
    return float(1 - joint.trace() / joint.sum())


def _calibrated_joint(probabilities: Tensor, labels: Tensor) -> Tensor:
    """Estimate ``(K, K)`` numbers of samples by given label (rows) and true class (columns)."""
    eta = check_probabilities(probabilities)
    classes = eta.shape[1]
    check_labels(labels, classes)
    if len(labels) != len(eta):
        raise ValueError(f"{len(eta)} rows of probabilities have {len(labels)} labels")
    sizes = labels.bincount(minlength=classes).double()
    own = torch.zeros(classes, dtype=torch.float64)
    own.index_add_(0, labels, eta.gather(1, labels[:, None])[:, 0])
    # The mean of equal numbers may round to above them, hence the 1e-6. A class that is never given
    # has threshold 0 / 0 = nan: no sample can reach it.
    confident = eta.where(eta >= own / sizes - 1e-6, -1.0)
    counted = confident.amax(1) >= 0
    pairs = labels[counted] * classes + confident.argmax(1)[counted]
    joint = pairs.bincount(minlength=classes**2).double().reshape(classes, classes)
    # A given class of which no sample is counted is taken as right.
    joint[joint.sum(1) == 0] = torch.eye(classes, dtype=torch.float64)[joint.sum(1) == 0]
    return joint * (sizes / joint.sum(1))[:, None]
