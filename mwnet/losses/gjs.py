"""The generalised Jensen-Shannon divergence between the label and predictions for two views."""

import math

import torch
from torch import Tensor

from mwnet.losses._probabilities import log_p, of_label


def gjs(
    logits: Tensor, labels: Tensor, *, second_view: Tensor | None = None, pi: float = 0.5
) -> Tensor:
    """How far the label and one or two predictions are from their common mean.

    l = (H(m) - (1 - pi)/V sum_v H(p_v)) / Z,  m = pi y + (1 - pi)/V sum_v p_v,
    Z = -(1 - pi) log(1 - pi),  V views

    Args:
        logits: ``(n, K)`` float, of one augmentation of the samples.
        labels: ``(n,)`` int64 in 0..K-1.
        second_view: ``(n, K)`` logits of another augmentation; without it this is the
            Jensen-Shannon loss. What ties the views together is that each sees the other's
            prediction, so this is no sum over views.
        pi: in (0, 1), the weight of the label: towards 0 cross-entropy, towards 1 mae / 2 (for one
            view). The authors tune it: 0.5 and 0.9 for CIFAR at little noise, 0.1 at 80 %.

    Returns:
        ``(n,)`` losses, at least 0 and bounded. Source: Englesson and Azizpour, NeurIPS 2021.
    """
    if not 0 < pi < 1:
        raise ValueError(f"gjs needs pi in (0, 1), got {pi}")
    views = [log_p(logits)]
    if second_view is not None:
        views.append(log_p(second_view))
    logs = torch.stack(views)  # (V, n, K)
    share = math.log((1 - pi) / len(views))
    rest = (logs + share).logsumexp(0)
    at_label = torch.logaddexp(of_label(rest, labels), torch.full_like(rest[:, 0], math.log(pi)))
    mean = rest.scatter(-1, labels[:, None], at_label[:, None])
    entropies = -(logs.exp() * logs).sum(-1)  # (V, n)
    entropy = -(mean.exp() * mean).sum(-1)
    return (entropy - (1 - pi) * entropies.mean(0)) / (-(1 - pi) * math.log1p(-pi))
