"""Cross-entropy and the losses that modify it by a factor or a term."""

from torch import Tensor

from mwnet.losses._probabilities import log_not_p_y, log_p_y, require


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Compute the negative log-likelihood of the labels.

    l = -log p_y,  p = softmax(logits)

    Args:
        logits: ``(n, K)`` float, any finite values.
        labels: ``(n,)`` int64 in 0..K-1.

    Returns:
        ``(n,)`` losses in nats, at least 0, unbounded.

    The sum over all labels depends on the prediction, so label noise moves the minimum.

    Examples:
        >>> import torch
        >>> from mwnet import LOSSES
        >>> logits = torch.tensor([[0.8, 0.1, 0.1]] * 2).log()
        >>> LOSSES["ce"](logits, torch.tensor([0, 1]))
        tensor([0.2231, 2.3026])
    """
    return -log_p_y(logits, labels)


def focal(logits: Tensor, labels: Tensor, *, gamma: float = 2.0) -> Tensor:
    """Compute the focal loss: cross-entropy times a factor that falls as p_y rises.

    l = -(1 - p_y)^gamma log p_y

    Args:
        logits: ``(n, K)`` float.
        labels: ``(n,)`` int64 in 0..K-1.
        gamma: at least 0; 0 is cross-entropy.

    Returns:
        ``(n,)`` losses in nats, at least 0, unbounded. Gradients are finite at p_y = 1 for any
        gamma.

    Raises:
        ValueError: gamma below 0.

    Source: Lin et al., ICCV 2017 (gamma 2). The code of Ma et al. (2020) takes gamma 0.5 and
    detaches the factor, which is another loss.

    Examples:
        >>> import torch
        >>> from mwnet import LOSSES
        >>> logits = torch.tensor([[0.8, 0.1, 0.1]] * 2).log()
        >>> LOSSES["focal"](logits, torch.tensor([0, 1]))
        tensor([0.0089, 1.8651])
    """
    require(gamma >= 0, f"focal needs gamma from 0, got {gamma}")
    return -(gamma * log_not_p_y(logits, labels)).exp() * log_p_y(logits, labels)


def poly1(logits: Tensor, labels: Tensor, *, epsilon: float = 1.0) -> Tensor:
    """Compute the Poly-1 loss: cross-entropy plus epsilon times the first term of its expansion.

    l = -log p_y + epsilon (1 - p_y)

    Args:
        logits: ``(n, K)`` float.
        labels: ``(n,)`` int64 in 0..K-1.
        epsilon: what is added to the first coefficient of the expansion in powers of 1 - p_y; 0 is
            cross-entropy.

    Returns:
        ``(n,)`` losses, unbounded; at least 0 for epsilon from -1.

    Source: Leng et al., ICLR 2022.

    Examples:
        >>> import torch
        >>> from mwnet import LOSSES
        >>> logits = torch.tensor([[0.8, 0.1, 0.1]] * 2).log()
        >>> LOSSES["poly1"](logits, torch.tensor([0, 1]))
        tensor([0.4231, 3.2026])
    """
    logs = log_p_y(logits, labels)
    return -logs + epsilon * (1 - logs.exp())
