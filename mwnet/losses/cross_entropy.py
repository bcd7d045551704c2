"""Cross-entropy and the losses that modify it by a factor or a term."""

from torch import Tensor

from mwnet.losses._probabilities import log_not_p_y, log_p_y, require


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """The negative log-likelihood of the labels.

    l = -log p_y,  p = softmax(logits)

    Args:
        logits: ``(n, K)`` float, any finite values.
        labels: ``(n,)`` int64 in 0..K-1.

    Returns:
        ``(n,)`` losses in nats, at least 0, unbounded. The sum over all labels is not constant, so
        label noise shifts its minimum.
    """
    return -log_p_y(logits, labels)


def focal(logits: Tensor, labels: Tensor, *, gamma: float = 2.0) -> Tensor:
    """Cross-entropy that counts samples less the better they are predicted.

    l = -(1 - p_y)^gamma log p_y

    Args:
        logits: ``(n, K)`` float.
        labels: ``(n,)`` int64 in 0..K-1.
        gamma: at least 0; 0 is cross-entropy.

    Returns:
        ``(n,)`` losses in nats, at least 0, unbounded; gradients are finite at p_y = 1 for any
        gamma. Source: Lin et al., ICCV 2017 (gamma 2). The code of Ma et al. (2020) takes 0.5 and
        detaches the factor, which is another loss.
    """
    require(gamma >= 0, f"focal needs gamma from 0, got {gamma}")
    return -(gamma * log_not_p_y(logits, labels)).exp() * log_p_y(logits, labels)


def poly1(logits: Tensor, labels: Tensor, *, epsilon: float = 1.0) -> Tensor:
    """Cross-entropy with the first coefficient of its expansion in 1 - p_y raised by epsilon.

    l = -log p_y + epsilon (1 - p_y)

    Args:
        logits: ``(n, K)`` float.
        labels: ``(n,)`` int64 in 0..K-1.
        epsilon: 0 is cross-entropy.

    Returns:
        ``(n,)`` losses. Source: Leng et al., ICLR 2022.
    """
    logs = log_p_y(logits, labels)
    return -logs + epsilon * (1 - logs.exp())
