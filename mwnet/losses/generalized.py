"""Losses between cross-entropy and MAE: generalised and symmetric cross-entropy."""

import math

import torch
from torch import Tensor

from mwnet.losses._probabilities import log_p_y, p_y, require

# log 0 as public code has it, which clamps the one-hot label at 1e-4.
LOG_ZERO = math.log(1e-4)


def gce(logits: Tensor, labels: Tensor, *, q: float = 0.7) -> Tensor:
    """Compute generalised cross-entropy, a Box-Cox transform of p_y.

    l = (1 - p_y^q) / q

    Args:
        logits: ``(n, K)`` float.
        labels: ``(n,)`` int64 in 0..K-1.
        q: in [0, 1]; the limit 0 is cross-entropy, 1 is mae / 2.

    Returns:
        ``(n,)`` losses in [0, 1/q]; in nats, at least 0 and unbounded, for q = 0.

    Raises:
        ValueError: q outside [0, 1].

    The loss is computed from log p_y. Powers of p_y, clamped or not, lose the gradient at p_y = 0
    or make it NaN.

    Source: Zhang and Sabuncu, NeurIPS 2018 (q = 0.7); eq. 6 of Li's notes.

    Examples:
        >>> import torch
        >>> from mwnet import LOSSES
        >>> logits = torch.tensor([[0.8, 0.1, 0.1]] * 2).log()
        >>> LOSSES["gce"](logits, torch.tensor([0, 1]))
        tensor([0.2066, 1.1435])
    """
    require(0 <= q <= 1, f"gce needs q in [0, 1], got {q}")
    logs = log_p_y(logits, labels)
    return -logs if q == 0 else -torch.expm1(q * logs) / q


def truncated_gce(logits: Tensor, labels: Tensor, *, q: float = 0.7, k: float = 0.5) -> Tensor:
    """Compute generalised cross-entropy, constant for samples whose p_y is at most k.

    l = (1 - k^q) / q  where p_y <= k,  (1 - p_y^q) / q  elsewhere

    Args:
        logits: ``(n, K)`` float.
        labels: ``(n,)`` int64 in 0..K-1.
        q: in (0, 1].
        k: threshold in [0, 1); 0 truncates nothing.

    Returns:
        ``(n,)`` losses in [0, (1 - k^q)/q], without gradient where p_y <= k.

    Raises:
        ValueError: q or k outside its range.

    This function does not learn from scratch, because at first most p_y are below k. Take
    ``Pruning`` for training, which truncates only after some epochs.

    Source: Zhang and Sabuncu, NeurIPS 2018; eq. 7 of Li's notes.

    Examples:
        >>> import torch
        >>> from mwnet import LOSSES
        >>> logits = torch.tensor([[0.8, 0.1, 0.1]] * 2).log()
        >>> LOSSES["truncated-gce"](logits, torch.tensor([0, 1]))
        tensor([0.2066, 0.5492])
    """
    require(0 < q <= 1, f"truncated-gce needs q in (0, 1], got {q}")
    require(0 <= k < 1, f"truncated-gce needs k in [0, 1), got {k}")
    logs = log_p_y(logits, labels)
    constant = (1 - k**q) / q
    return torch.where(logs.exp() > k, -torch.expm1(q * logs) / q, constant)


def rce(logits: Tensor, labels: Tensor, *, A: float = LOG_ZERO) -> Tensor:
    """Compute reverse cross-entropy: prediction and label change places in cross-entropy.

    l = -sum_k p_k log y_k = -A (1 - p_y),  with log 0 := A

    Args:
        logits: ``(n, K)`` float.
        labels: ``(n,)`` int64 in 0..K-1.
        A: the value of log 0, below 0; by default log 1e-4 = -9.21, as in public code.

    Returns:
        ``(n,)`` losses in [0, -A]. They are -A/2 times mae.

    Raises:
        ValueError: A that is not below 0.

    Source: Wang et al., ICCV 2019; eq. 18 of Li's notes.

    Examples:
        >>> import torch
        >>> from mwnet import LOSSES
        >>> logits = torch.tensor([[0.8, 0.1, 0.1]] * 2).log()
        >>> LOSSES["rce"](logits, torch.tensor([0, 1]))
        tensor([1.8421, 8.2893])
    """
    require(A < 0, f"rce needs A below 0, got {A}")
    return -A * (1 - p_y(logits, labels))


def sce(
    logits: Tensor, labels: Tensor, *, alpha: float = 0.1, beta: float = 1.0, A: float = LOG_ZERO
) -> Tensor:
    """Compute symmetric cross-entropy: a weighted sum of cross-entropy and reverse cross-entropy.

    l = -alpha log p_y - beta A (1 - p_y)

    Args:
        logits: ``(n, K)`` float.
        labels: ``(n,)`` int64 in 0..K-1.
        alpha, beta: at least 0; (0.1, 1) for CIFAR-10, (6, 0.1) for CIFAR-100.
        A: see ``rce``.

    Returns:
        ``(n,)`` losses, at least 0, unbounded for alpha > 0.

    Raises:
        ValueError: alpha or beta below 0, or A that is not below 0.

    Source: Wang et al., ICCV 2019; eq. 19 of Li's notes.

    Examples:
        >>> import torch
        >>> from mwnet import LOSSES
        >>> logits = torch.tensor([[0.8, 0.1, 0.1]] * 2).log()
        >>> LOSSES["sce"](logits, torch.tensor([0, 1]))
        tensor([1.8644, 8.5196])
    """
    require(A < 0, f"sce needs A below 0, got {A}")
    require(alpha >= 0 and beta >= 0, f"sce needs alpha and beta from 0, got {alpha} and {beta}")
    logs = log_p_y(logits, labels)
    return -alpha * logs - beta * A * (1 - logs.exp())
