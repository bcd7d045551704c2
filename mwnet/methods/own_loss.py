"""Plain training with a loss of the method's own: Reed-hard, Reed-soft and Focal."""

from collections.abc import Callable
from functools import partial
from typing import final

import torch
from torch import Tensor

from mwnet.data.batches import Batch
from mwnet.losses.cross_entropy import focal
from mwnet.losses.targets import bootstrap_hard, bootstrap_soft
from mwnet.methods.base import Method, Phase
from mwnet.methods.learner import Parts


@final
class ReedHard(Method):
    """Train with cross-entropy against the given label mixed with the predicted class.

    l = -beta log p_y - (1 - beta) log max_k p_k, from the first epoch on

    The label-quality score is the probability of the given label. A step costs 3 forward passes.

    Args:
        parts: what to build from.
        beta: share of the given label, in [0, 1]; 1 is ``erm``.

    Raises:
        ValueError: beta outside [0, 1].

    Source: Reed et al., ICLR 2015 workshop; public codes agree.
    """

    def __init__(self, parts: Parts, *, beta: float = 0.8) -> None:
        super().__init__(Phase("training", parts.epochs))
        self.learner = parts.learner()
        self.loss = checked(partial(bootstrap_hard, beta=beta))

    def step(self, batch: Batch, meta_batch: Batch | None = None) -> dict[str, Tensor]:
        return self.learner.update(self.loss(self.learner(batch.x), batch.y).mean())


@final
class ReedSoft(Method):
    """Train with cross-entropy against the given label mixed with the predicted distribution.

    l = -beta log p_y - (1 - beta) sum_k p_k log p_k, with the gradient through both p

    The label-quality score is the probability of the given label. A step costs 3 forward passes.

    Args:
        parts: what to build from.
        beta: share of the given label, in [0, 1]; 1 is ``erm``.

    Raises:
        ValueError: beta outside [0, 1].

    Source: Reed et al., ICLR 2015 workshop; public codes agree.
    """

    def __init__(self, parts: Parts, *, beta: float = 0.95) -> None:
        super().__init__(Phase("training", parts.epochs))
        self.learner = parts.learner()
        self.loss = checked(partial(bootstrap_soft, beta=beta))

    def step(self, batch: Batch, meta_batch: Batch | None = None) -> dict[str, Tensor]:
        return self.learner.update(self.loss(self.learner(batch.x), batch.y).mean())


@final
class Focal(Method):
    """Train with the focal loss, in which well-predicted samples count less.

    l = -(1 - p_y)^gamma log p_y

    It has no defence against noise and is here for comparison. The label-quality score is the
    probability of the given label. A step costs 3 forward passes.

    Args:
        parts: what to build from.
        gamma: at least 0; 0 is ``erm``.

    Raises:
        ValueError: gamma below 0.

    Source: Lin et al., ICCV 2017 (gamma 2). Which gamma the tables of Meta-Weight-Net took is not
    known; one public code for noisy labels takes 0.5 and detaches the factor.
    """

    def __init__(self, parts: Parts, *, gamma: float = 2.0) -> None:
        super().__init__(Phase("training", parts.epochs))
        self.learner = parts.learner()
        self.loss = checked(partial(focal, gamma=gamma))

    def step(self, batch: Batch, meta_batch: Batch | None = None) -> dict[str, Tensor]:
        return self.learner.update(self.loss(self.learner(batch.x), batch.y).mean())


def checked(loss: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Return a loss after one call, which raises the ValueError of a bad hyper-parameter."""
    loss(torch.zeros(1, 2), torch.zeros(1, dtype=torch.int64))
    return loss
