"""Normalised and asymmetric losses, and sums of an active and a passive loss."""

from torch import Tensor

from mwnet.losses._probabilities import log_p, of_label, p_y
from mwnet.losses.generalized import LOG_ZERO, rce


def nce(logits: Tensor, labels: Tensor) -> Tensor:
    """Compute normalised cross-entropy: cross-entropy over its sum for all labels.

    l = log p_y / sum_k log p_k

    Args:
        logits: ``(n, K)`` float.
        labels: ``(n,)`` int64 in 0..K-1.

    Returns:
        ``(n,)`` losses in [0, 1], without unit. The sum over all labels is 1, so the loss is
        symmetric.

    Source: Ma et al., ICML 2020.

    Examples:
        >>> import torch
        >>> from mwnet import LOSSES
        >>> logits = torch.tensor([[0.8, 0.1, 0.1]] * 2).log()
        >>> LOSSES["nce"](logits, torch.tensor([0, 1]))
        tensor([0.0462, 0.4769])
    """
    logs = log_p(logits)
    return of_label(logs, labels) / logs.sum(-1)


def nce_rce(
    logits: Tensor, labels: Tensor, *, alpha: float = 1.0, beta: float = 1.0, A: float = LOG_ZERO
) -> Tensor:
    """Compute the sum of an active and a passive symmetric loss: alpha nce + beta rce.

    Args:
        logits: ``(n, K)`` float.
        labels: ``(n,)`` int64 in 0..K-1.
        alpha, beta: (1, 1) for CIFAR-10, (10, 0.1) for CIFAR-100.
        A: see ``rce``.

    Returns:
        ``(n,)`` losses in [0, alpha - beta A], without unit; symmetric.

    Raises:
        ValueError: A that is not below 0.

    Source: Ma et al., ICML 2020.

    Examples:
        >>> import torch
        >>> from mwnet import LOSSES
        >>> logits = torch.tensor([[0.8, 0.1, 0.1]] * 2).log()
        >>> LOSSES["nce+rce"](logits, torch.tensor([0, 1]))
        tensor([1.8883, 8.7662])
    """
    return alpha * nce(logits, labels) + beta * rce(logits, labels, A=A)


def agce(logits: Tensor, labels: Tensor, *, a: float = 0.6, q: float = 0.6) -> Tensor:
    """Compute asymmetric generalised cross-entropy.

    l = ((a + 1)^q - (a + p_y)^q) / q

    Args:
        logits: ``(n, K)`` float.
        labels: ``(n,)`` int64 in 0..K-1.
        a, q: above 0; 0.6 and 0.6 for agce alone, 6 and 1.5 beside nce on CIFAR-10.

    Returns:
        ``(n,)`` losses in [0, ((a+1)^q - a^q)/q], without unit.

    Raises:
        ValueError: a or q that is not above 0.

    Source: Zhou et al., ICML 2021.

    Examples:
        >>> import torch
        >>> from mwnet import LOSSES
        >>> logits = torch.tensor([[0.8, 0.1, 0.1]] * 2).log()
        >>> LOSSES["agce"](logits, torch.tensor([0, 1]))
        tensor([0.1701, 0.8641])
    """
    if a <= 0 or q <= 0:
        raise ValueError(f"agce needs a and q above 0, got {a} and {q}")
    return ((a + 1) ** q - (a + p_y(logits, labels)) ** q) / q


def nce_agce(
    logits: Tensor,
    labels: Tensor,
    *,
    alpha: float = 1.0,
    beta: float = 4.0,
    a: float = 6.0,
    q: float = 1.5,
) -> Tensor:
    """Compute the sum of an active symmetric and a passive asymmetric loss: alpha nce + beta agce.

    Args:
        logits: ``(n, K)`` float.
        labels: ``(n,)`` int64 in 0..K-1.
        alpha, beta, a, q: (1, 4, 6, 1.5) for CIFAR-10, (10, 0.1, 1.8, 3) for CIFAR-100.

    Returns:
        ``(n,)`` losses, at least 0 and bounded, without unit.

    Raises:
        ValueError: a or q that is not above 0.

    Source: Zhou et al., ICML 2021.

    Examples:
        >>> import torch
        >>> from mwnet import LOSSES
        >>> logits = torch.tensor([[0.8, 0.1, 0.1]] * 2).log()
        >>> LOSSES["nce+agce"](logits, torch.tensor([0, 1]))
        tensor([2.1476, 9.6885])
    """
    return alpha * nce(logits, labels) + beta * agce(logits, labels, a=a, q=q)


def aul(logits: Tensor, labels: Tensor, *, a: float = 5.5, q: float = 3.0) -> Tensor:
    """Compute the asymmetric unhinged loss.

    l = ((a - p_y)^q - (a - 1)^q) / q

    Args:
        logits: ``(n, K)`` float.
        labels: ``(n,)`` int64 in 0..K-1.
        a: above 1. At a = 1 and q < 1 the gradient would be infinite where p_y = 1.
        q: above 0.

    Returns:
        ``(n,)`` losses in [0, (a^q - (a-1)^q)/q], without unit.

    Raises:
        ValueError: a or q outside its range.

    Source: Zhou et al., ICML 2021.

    Examples:
        >>> import torch
        >>> from mwnet import LOSSES
        >>> logits = torch.tensor([[0.8, 0.1, 0.1]] * 2).log()
        >>> LOSSES["aul"](logits, torch.tensor([0, 1]))
        tensor([ 4.2327, 22.1130])
    """
    if a <= 1 or q <= 0:
        raise ValueError(f"aul needs a above 1 and q above 0, got {a} and {q}")
    return ((a - p_y(logits, labels)) ** q - (a - 1) ** q) / q


def ael(logits: Tensor, labels: Tensor, *, a: float = 2.5) -> Tensor:
    """Compute the asymmetric exponential loss.

    l = exp(-p_y / a)

    Args:
        logits: ``(n, K)`` float.
        labels: ``(n,)`` int64 in 0..K-1.
        a: above 0.

    Returns:
        ``(n,)`` losses in [exp(-1/a), 1], without unit.

    Raises:
        ValueError: a that is not above 0.

    Source: Zhou et al., ICML 2021.

    Examples:
        >>> import torch
        >>> from mwnet import LOSSES
        >>> logits = torch.tensor([[0.8, 0.1, 0.1]] * 2).log()
        >>> LOSSES["ael"](logits, torch.tensor([0, 1]))
        tensor([0.7261, 0.9608])
    """
    if a <= 0:
        raise ValueError(f"ael needs a above 0, got {a}")
    return (-p_y(logits, labels) / a).exp()
