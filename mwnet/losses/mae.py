"""Distances between the predicted distribution and the one-hot label, and IMAE."""

import torch
from torch import Tensor

from mwnet.losses._probabilities import log_not_p_y, log_p, log_p_y, of_label, p_y, require


def mae(logits: Tensor, labels: Tensor) -> Tensor:
    """Compute the L1 distance between prediction and label, which is robust to uniform label noise.

    l = sum_k |p_k - y_k| = 2 (1 - p_y),  p = softmax(logits)

    Args:
        logits: ``(n, K)`` float, any finite values.
        labels: ``(n,)`` int64 in 0..K-1.

    Returns:
        ``(n,)`` losses in [0, 2], without unit. Gradients vanish where p_y is 0 or 1.

    The sum over all labels is 2 (K - 1) whatever the prediction. Therefore uniform noise on the
    meta labels does not change the direction of the expected meta-gradient (Theorem 1).

    Source: eq. 6 of Ghosh and Lan, WACV 2021. The factor 2 is the papers'; some code drops it,
    which halves the learning rate.

    Examples:
        >>> import torch
        >>> from mwnet import LOSSES
        >>> logits = torch.tensor([[0.8, 0.1, 0.1]] * 2).log()
        >>> LOSSES["mae"](logits, torch.tensor([0, 1]))
        tensor([0.4000, 1.8000])
    """
    return 2 * (1 - p_y(logits, labels))


def mse(logits: Tensor, labels: Tensor) -> Tensor:
    """Compute the squared L2 distance between prediction and label, the Brier score.

    l = sum_k (p_k - y_k)^2 = ||p||^2 - 2 p_y + 1

    Args:
        logits: ``(n, K)`` float.
        labels: ``(n,)`` int64 in 0..K-1.

    Returns:
        ``(n,)`` losses in [0, 2], without unit.

    The sum over all labels is K ||p||^2 + K - 2, which depends on the prediction, so the loss is
    not symmetric. ``torch.nn.MSELoss`` divides by K.

    Source: eq. 4 of Li's notes on robust losses.

    Examples:
        >>> import torch
        >>> from mwnet import LOSSES
        >>> logits = torch.tensor([[0.8, 0.1, 0.1]] * 2).log()
        >>> LOSSES["mse"](logits, torch.tensor([0, 1]))
        tensor([0.0600, 1.4600])
    """
    p = log_p(logits).exp()
    return (p * p).sum(-1) - 2 * of_label(p, labels) + 1


def imae(logits: Tensor, labels: Tensor, *, T: float = 2.0, variant: str = "notes") -> Tensor:
    """Compute values whose gradient has the direction of MAE's and weights samples more unequally.

    ``notes`` (eqs. 13 and 14 of Li's notes): the gradient in the logits has the L1 norm
    exp(T p_y) (1 - p_y). It is the gradient of cross-entropy times a detached weight:

        l = [1/2 exp(T p_y)] (-log p_y),  [.] detached

    ``paper``: the L1 norm is exp(T p_y (1 - p_y)). Unlike MAE's it is not 0 at p_y = 0 and 1:

        l = [1/2 exp(T p_y (1 - p_y))] (log(1 - p_y) - log p_y)

    Args:
        logits: ``(n, K)`` float.
        labels: ``(n,)`` int64 in 0..K-1.
        T: steepness of the weight, at least 0. No source states a value. The weight grows like
            exp(T), so a high T needs a low learning rate.
        variant: "notes" or "paper".

    Returns:
        ``(n,)`` values, of which only the *gradient* is meant. The weight is detached, so the
        values are no potential of that gradient.

    Raises:
        ValueError: T below 0, or an unknown variant.

    Source: Wang et al., 2019 (IMAE).

    Examples:
        >>> import torch
        >>> from mwnet import LOSSES
        >>> logits = torch.tensor([[0.8, 0.1, 0.1]] * 2).log()
        >>> LOSSES["imae"](logits, torch.tensor([0, 1]))
        tensor([0.5526, 1.4062])
    """
    require(T >= 0, f"imae needs T from 0, got {T}")
    logs = log_p_y(logits, labels)
    p = logs.detach().exp()
    if variant == "notes":
        return 0.5 * torch.exp(T * p) * -logs
    if variant == "paper":
        return 0.5 * torch.exp(T * p * (1 - p)) * (log_not_p_y(logits, labels) - logs)
    raise ValueError(f"imae knows the variants notes and paper, got '{variant}'")
