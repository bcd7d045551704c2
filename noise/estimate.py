"""Estimates of the transition matrix ``T[i, j] = Pr(given label j | true label i)``."""

import torch
from torch import Tensor

from .checks import check_labels, check_probabilities


def anchor_points(probabilities: Tensor, *, percentile: float | None = 0.97) -> Tensor:
    """Row i is the prediction at a sample that is almost surely of class i.

        T[i] = p(x_i),   x_i = the sample at the 97th percentile of p(class i | x)

    The predictions must estimate the *given* label, so they come from a network trained on noisy
    labels. The percentile is that over all samples and passes over outliers; it lies within class i
    only if more than 3 % of the samples are of that class, so give None for 100 classes.

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
    """``anchor_points`` at the percentile that suits the rarest given label.

    The 97th, or the maximum if a class has at most 6 % of the samples and so might lie above it.
    """
    rarest = float(labels.bincount(minlength=probabilities.shape[1]).min()) / len(labels)
    return anchor_points(probabilities, percentile=0.97 if rarest > 0.06 else None)


def confident_joint(probabilities: Tensor, labels: Tensor) -> Tensor:
    """Counts samples by given label and by the class that the network is confident about.

        t_j = mean of p(j | x) over samples given as j
        C[i, j] = samples given as i whose most probable class among {l: p(l | x) >= t_l} is j

    Rows of C are scaled to the number of samples given as i, then columns to one, and T = C^T.
    The threshold of a class that gets no foreign labels is missed by half of its own samples unless
    predictions are exact, so T is biased where some classes get more noise than others.

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
    """
    joint = _calibrated_joint(probabilities, labels)
    columns = joint.sum(0)
    matrix = torch.eye(len(joint), dtype=torch.float64)
    matrix[columns > 0] = (joint / columns).T[columns > 0]
    return matrix


def estimated_rate(probabilities: Tensor, labels: Tensor) -> float:
    """Share of wrong labels: what the calibrated confident joint has off its diagonal.

    Args and errors as in ``confident_joint``; the result is in [0, 1].
    """
    joint = _calibrated_joint(probabilities, labels)
    return float(1 - joint.trace() / joint.sum())


def _calibrated_joint(probabilities: Tensor, labels: Tensor) -> Tensor:
    """``(K, K)`` estimated numbers of samples by given label (rows) and true class."""
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
