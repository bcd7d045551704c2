"""Cross-entropy."""

import torch.nn.functional as F
from torch import Tensor


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
    return F.cross_entropy(logits, labels, reduction="none")
