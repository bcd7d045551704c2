"""Cross-entropy with a second term that depends on the prediction: peer loss, CORES, ELR."""

import torch
from torch import Tensor

from mwnet.losses._probabilities import log_p, of_label


def peer(
    logits: Tensor,
    labels: Tensor,
    *,
    other_logits: Tensor | None = None,
    other_labels: Tensor | None = None,
    alpha: float = 1.0,
) -> Tensor:
    """Compute cross-entropy minus that of a random sample with another random sample's label.

    l_i = -log p_{y_i}(x_i) + alpha log p_{y_k}(x_j),  j and k drawn at random

    Args:
        logits: ``(n, K)`` float.
        labels: ``(n,)`` int64 in 0..K-1.
        other_logits, other_labels: ``(n, K)`` and ``(n,)`` of two independent draws of samples. By
            default they are the batch's own, shifted by one and by two places.
        alpha: weight of the peer term; 0 is cross-entropy.

    Returns:
        ``(n,)`` values in nats, unbounded above. Each couples three samples, so only the mean over
        a batch is meant.

    In the peer term 1e-5 is added to p, because its logarithm would diverge.

    Source: Liu and Guo, ICML 2020.

    Examples:
        >>> import torch
        >>> from mwnet import LOSSES
        >>> logits = torch.tensor([[0.8, 0.1, 0.1]] * 2).log()
        >>> LOSSES["peer"](logits, torch.tensor([0, 1]), other_labels=torch.tensor([1, 0]))
        tensor([-2.0793,  2.0795])
    """
    logs = log_p(logits)
    other_logs = logs.roll(1, 0) if other_logits is None else log_p(other_logits)
    other_labels = labels.roll(2, 0) if other_labels is None else other_labels
    peers = torch.log(of_label(other_logs, other_labels).exp() + 1e-5)
    return -of_label(logs, labels) + alpha * peers


def cores(
    logits: Tensor, labels: Tensor, *, beta: float = 2.0, prior: Tensor | None = None
) -> Tensor:
    """Compute cross-entropy minus its mean over labels drawn from their prior.

    l = -log p_y + beta sum_k prior_k log p_k

    The second term is the confidence regulariser: it rewards confident predictions.

    Args:
        logits: ``(n, K)`` float.
        labels: ``(n,)`` int64 in 0..K-1.
        beta: weight of the regulariser; 0 is cross-entropy.
        prior: ``(K,)`` shares of the given labels; None is uniform.

    Returns:
        ``(n,)`` values in nats, which may be negative for beta above 0.

    In the regulariser 1e-8 is added to p, because its logarithm would diverge.

    Source: Cheng et al., ICLR 2021.

    Examples:
        >>> import torch
        >>> from mwnet import LOSSES
        >>> logits = torch.tensor([[0.8, 0.1, 0.1]] * 2).log()
        >>> LOSSES["cores"](logits, torch.tensor([0, 1]))
        tensor([-2.9957, -0.9163])
    """
    logs = log_p(logits)
    floored = torch.log(logs.exp() + 1e-8)
    expected = floored.mean(-1) if prior is None else (floored * prior.to(floored)).sum(-1)
    return -of_label(logs, labels) + beta * expected


def elr(
    logits: Tensor, labels: Tensor, *, targets: Tensor | None = None, weight: float = 3.0
) -> Tensor:
    """Compute cross-entropy plus a term that holds the prediction at its moving average.

    l = -log p_y + weight log(1 - <t, p>)

    Args:
        logits: ``(n, K)`` float.
        labels: ``(n,)`` int64 in 0..K-1.
        targets: ``(n, K)`` t, the moving average of each sample's past predictions, held constant.
            None takes the present prediction. ``ELR`` keeps the average during training.
        weight: of the regulariser; 3 for CIFAR-10 (1 under asymmetric noise), 7 for CIFAR-100.

    Returns:
        ``(n,)`` values in nats, at least weight log 1e-4.

    In the regulariser p is clamped to [1e-4, 1 - 1e-4].

    Source: Liu et al., NeurIPS 2020.

    Examples:
        >>> import torch
        >>> from mwnet import LOSSES
        >>> logits = torch.tensor([[0.8, 0.1, 0.1]] * 2).log()
        >>> LOSSES["elr"](logits, torch.tensor([0, 1]))
        tensor([-3.0133, -0.9338])
    """
    logs = log_p(logits)
    p = logs.exp().clamp(1e-4, 1 - 1e-4)
    targets = p.detach() if targets is None else targets
    # <t, p> <= 1 - 1e-4 holds for t that sums to one, but for rounding.
    agreement = (targets * p).sum(-1).clamp(max=1 - 1e-4)
    return -of_label(logs, labels) + weight * torch.log1p(-agreement)
