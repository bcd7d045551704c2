"""The generalised Jensen-Shannon divergence between a label and the predictions for two views."""

import math

import torch
from torch import Tensor

from mwnet.losses._probabilities import log_p, of_label


def gjs(
    logits: Tensor, labels: Tensor, *, second_view: Tensor | None = None, pi: float = 0.5
) -> Tensor:
    """Compute the divergence of the label and one or two predictions from their weighted mean.

    l = (H(m) - (1 - pi)/V sum_v H(p_v)) / Z,  m = pi y + (1 - pi)/V sum_v p_v,
    Z = -(1 - pi) log(1 - pi),  V views

    Args:
        logits: ``(n, K)`` float, for one augmentation of the samples.
        labels: ``(n,)`` int64 in 0..K-1.
        second_view: ``(n, K)`` logits for another augmentation; None gives the Jensen-Shannon loss.
            Both predictions enter the mean m, so the loss is no sum over views.
        pi: weight of the label, in (0, 1). With one view, pi -> 0 is cross-entropy and pi -> 1 is
            mae / 2. The authors tune it: 0.5 and 0.9 for CIFAR at little noise, 0.1 at 80 %.

    Returns:
        ``(n,)`` losses, at least 0 and bounded, without unit.

    Raises:
        ValueError: pi outside (0, 1).

    Source: Englesson and Azizpour, NeurIPS 2021.

    Examples:
        >>> import torch
        >>> from mwnet import LOSSES
        >>> logits = torch.tensor([[0.8, 0.1, 0.1]] * 2).log()
        >>> LOSSES["gjs"](logits, torch.tensor([0, 1]), second_view=logits)
        tensor([0.2161, 1.5166])
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
