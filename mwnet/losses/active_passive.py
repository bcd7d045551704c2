"""Normalised and asymmetric losses, and their sums of an active and a passive part."""

from torch import Tensor

from mwnet.losses._probabilities import log_p, of_label, p_y
from mwnet.losses.generalized import LOG_ZERO, rce


def nce(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy as a share of its sum over all labels.

    l = log p_y / sum_k log p_k

    Args:
        logits: ``(n, K)`` float.
        labels: ``(n,)`` int64 in 0..K-1.

    Returns:
        ``(n,)`` losses in [0, 1]; the sum over all labels is 1, so it is symmetric. Source: Ma et
        al., ICML 2020.
    """
    logs = log_p(logits)
    return of_label(logs, labels) / logs.sum(-1)


def nce_rce(
    logits: Tensor, labels: Tensor, *, alpha: float = 1.0, beta: float = 1.0, A: float = LOG_ZERO
) -> Tensor:
    """An active and a passive symmetric loss: alpha nce + beta rce.

    Args:
        logits: ``(n, K)`` float.
        labels: ``(n,)`` int64 in 0..K-1.
        alpha, beta: (1, 1) for CIFAR-10, (10, 0.1) for CIFAR-100.
        A: see ``rce``.

    Returns:
        ``(n,)`` losses in [0, alpha - beta A], symmetric. Source: Ma et al., ICML 2020.
    """
    return alpha * nce(logits, labels) + beta * rce(logits, labels, A=A)


def agce(logits: Tensor, labels: Tensor, *, a: float = 0.6, q: float = 0.6) -> Tensor:
    """Asymmetric generalised cross-entropy.

    l = ((a + 1)^q - (a + p_y)^q) / q

    Args:
        logits: ``(n, K)`` float.
        labels: ``(n,)`` int64 in 0..K-1.
        a, q: above 0; 0.6 and 0.6 alone, 6 and 1.5 beside nce on CIFAR-10.

    Returns:
        ``(n,)`` losses in [0, ((a+1)^q - a^q)/q]. Source: Zhou et al., ICML 2021.
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
    """An active symmetric and a passive asymmetric loss: alpha nce + beta agce.

    Args:
        logits: ``(n, K)`` float.
        labels: ``(n,)`` int64 in 0..K-1.
        alpha, beta, a, q: (1, 4, 6, 1.5) for CIFAR-10, (10, 0.1, 1.8, 3) for CIFAR-100.

    Returns:
        ``(n,)`` losses. Source: Zhou et al., ICML 2021.
    """
    return alpha * nce(logits, labels) + beta * agce(logits, labels, a=a, q=q)


def aul(logits: Tensor, labels: Tensor, *, a: float = 5.5, q: float = 3.0) -> Tensor:
    """Asymmetric unhinged loss.

    l = ((a - p_y)^q - (a - 1)^q) / q

    Args:
        logits: ``(n, K)`` float.
        labels: ``(n,)`` int64 in 0..K-1.
        a: above 1: at 1 and q < 1 the gradient at p_y = 1 is infinite.
        q: above 0.

    Returns:
        ``(n,)`` losses in [0, (a^q - (a-1)^q)/q]. Source: Zhou et al., ICML 2021.
    """
    if a <= 1 or q <= 0:
        raise ValueError(f"aul needs a above 1 and q above 0, got {a} and {q}")
    return ((a - p_y(logits, labels)) ** q - (a - 1) ** q) / q


def ael(logits: Tensor, labels: Tensor, *, a: float = 2.5) -> Tensor:
    """Asymmetric exponential loss.

    l = exp(-p_y / a)

    Args:
        logits: ``(n, K)`` float.
        labels: ``(n,)`` int64 in 0..K-1.
        a: above 0.

    Returns:
        ``(n,)`` losses in [exp(-1/a), 1]. Source: Zhou et al., ICML 2021.
    """
    if a <= 0:
        raise ValueError(f"ael needs a above 0, got {a}")
    return (-p_y(logits, labels) / a).exp()
