"""How much each sample counts: the weight net and the normalisation of a batch of weights."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.optim import SGD

from mwnet.core.world import world

Normalise = Callable[[Tensor], Tensor]
"""``(n,)`` weights of a batch -> ``(n,)`` weights that multiply the losses; differentiable."""


class WeightNet(nn.Module):
    """W(l; Theta): a perceptron 1-100-1 with ReLU and a sigmoid at the end, from loss to weight.

    Source: section 3 of Ghosh and Lan, WACV 2021; Shu et al., NeurIPS 2019.

    Args:
        hidden: units of the hidden layer.
    """

    def __init__(self, hidden: int = 100) -> None:
        super().__init__()
        self.hidden = nn.Linear(1, hidden)
        self.out = nn.Linear(hidden, 1)

    def forward(self, losses: Tensor, labels: Tensor | None = None) -> Tensor:
        """``(n,)`` per-sample losses, whatever their labels -> ``(n,)`` weights in (0, 1)."""
        hidden = torch.relu(self.hidden(losses[:, None]))
        return torch.sigmoid(self.out(hidden)).squeeze(1)


def papers_optimizer(weight_net: nn.Module, rate: float, decay: float) -> SGD:
    """Build the optimizer of both papers' code for a weight net: SGD with Nesterov's momentum 0.9.

    Args:
        weight_net: whose parameters it moves.
        rate: learning rate.
        decay: weight decay.
    """
    return SGD(weight_net.parameters(), lr=rate, momentum=0.9, nesterov=True, weight_decay=decay)


def by_mean(weights: Tensor) -> Tensor:
    """u_i = v_i / n: the formula of both papers."""
    return weights / world().count(weights)


def by_sum(weights: Tensor) -> Tensor:
    """u_i = v_i / sum v: the papers' code. Zeros if all weights are zero."""
    total = world().total(weights.sum())
    return weights / torch.where(total > 0, total, 1.0)


NORMALISATIONS: dict[str, Normalise] = {"mean": by_mean, "sum": by_sum}
