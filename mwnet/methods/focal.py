"""Focal: plain training with the focal loss."""

from functools import partial
from typing import final

import torch
from torch import Tensor

from mwnet.data.batches import Batch
from mwnet.losses.cross_entropy import focal
from mwnet.methods.base import Method, Phase
from mwnet.methods.learner import Parts


@final
class Focal(Method):
    """Samples count less the better they are predicted; no defence against noise, a comparison.

    l = -(1 - p_y)^gamma log p_y

    The label-quality score is the probability of the given label. A step costs 3 forward passes.
    Source: Lin et al., ICCV 2017 (gamma 2). Which gamma the tables of Meta-Weight-Net took is not
    known; one public code for noisy labels takes 0.5 and detaches the factor.

    Args:
        parts: what to build from.
        gamma: from 0, which is ``erm``.
    """

    def __init__(self, parts: Parts, *, gamma: float = 2.0) -> None:
        super().__init__(Phase("training", parts.epochs))
        self.learner = parts.learner()
        self.loss = partial(focal, gamma=gamma)
        self.loss(torch.zeros(1, 2), torch.zeros(1, dtype=torch.int64))  # refuses a bad gamma

    def step(self, batch: Batch, meta_batch: Batch | None = None) -> dict[str, Tensor]:
        return self.learner.update(self.loss(self.learner(batch.x), batch.y).mean())
