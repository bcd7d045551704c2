"""Distances between the predicted distribution and the one-hot label."""

import torch
from torch import Tensor

from mwnet.losses._probabilities import log_not_p_y, log_p, log_p_y, of_label, p_y, require


def mae(logits: Tensor, labels: Tensor) -> Tensor:
    """The L1 distance of the prediction to the label; robust to uniform label noise.

    l = sum_k |p_k - y_k| = 2 (1 - p_y),  p = softmax(logits)

    Its sum over all labels is 2 (K - 1) whatever the prediction (eq. 6 of Ghosh and Lan, WACV
    2021), which is what makes the meta-gradient of noisy meta labels right (Theorem 1).

    Args:
        logits: ``(n, K)`` float, any finite values.
        labels: ``(n,)`` int64 in 0..K-1.

    Returns:
        ``(n,)`` losses in [0, 2], without unit. Gradients vanish where p_y is 0 or 1. The factor 2
        is the papers'; some code drops it, which halves the learning rate.
    """
    return 2 * (1 - p_y(logits, labels))


def mse(logits: Tensor, labels: Tensor) -> Tensor:
    """The squared L2 distance of the prediction to the label: the Brier score.

    l = sum_k (p_k - y_k)^2 = ||p||^2 - 2 p_y + 1

    Args:
        logits: ``(n, K)`` float.
        labels: ``(n,)`` int64 in 0..K-1.

    Returns:
        ``(n,)`` losses in [0, 2], without unit. The sum over all labels is K ||p||^2 + K - 2 (eq. 4
        of Li's notes on robust losses), which depends on the prediction. ``torch.nn.MSELoss``
        divides by K.
    """
    p = log_p(logits).exp()
    return (p * p).sum(-1) - 2 * of_label(p, labels) + 1


def imae(logits: Tensor, labels: Tensor, *, T: float = 2.0, variant: str = "notes") -> Tensor:
    """A gradient with MAE's direction and a steeper weighting of the samples.

    ``notes`` (eqs. 13 and 14 of Li's notes): the gradient in the logits has the L1 norm
    exp(T p_y) (1 - p_y). It is that of cross-entropy times a constant weight:

        l = [1/2 exp(T p_y)] (-log p_y),  [.] detached

    ``paper``: the norm exp(T p_y (1 - p_y)), which unlike MAE's is not 0 at p_y = 0 and 1:

        l = [1/2 exp(T p_y (1 - p_y))] (log(1 - p_y) - log p_y)

    Args:
        logits: ``(n, K)`` float.
        labels: ``(n,)`` int64 in 0..K-1.
        T: steepness, at least 0. No source states one; the weight grows like exp(T), so a high one
            needs a low learning rate.
        variant: "notes" or "paper".

    Returns:
        ``(n,)`` values whose *gradient* is meant; with the weight detached, they are no potential
        of it. Source: Wang et al., 2019 (IMAE).
    """
    require(T >= 0, f"imae needs T from 0, got {T}")
    logs = log_p_y(logits, labels)
    p = logs.detach().exp()
    if variant == "notes":
        return 0.5 * torch.exp(T * p) * -logs
    if variant == "paper":
        return 0.5 * torch.exp(T * p * (1 - p)) * (log_not_p_y(logits, labels) - logs)
    raise ValueError(f"imae knows the variants notes and paper, got '{variant}'")
