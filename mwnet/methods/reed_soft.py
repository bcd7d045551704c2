"""Reed-soft: bootstrapping with the predicted distribution."""

from functools import partial
from typing import final

import torch
from torch import Tensor

from mwnet.data.batches import Batch
from mwnet.losses.targets import bootstrap_soft
from mwnet.methods.base import Method, Phase
from mwnet.methods.learner import Parts


@final
class ReedSoft(Method):
    """Cross-entropy against the given label mixed with the network's own prediction.

    l = -beta log p_y - (1 - beta) sum_k p_k log p_k, with the gradient through both p

    The label-quality score is the probability of the given label. A step costs 3 forward passes.
    Source: Reed et al., ICLR 2015 workshop; public codes agree.

    Args:
        parts: what to build from.
        beta: share of the given label, in [0, 1]; 1 is ``erm``.
    """

    def __init__(self, parts: Parts, *, beta: float = 0.95) -> None:
        super().__init__(Phase("training", parts.epochs))
        self.learner = parts.learner()
        self.loss = partial(bootstrap_soft, beta=beta)
        self.loss(torch.zeros(1, 2), torch.zeros(1, dtype=torch.int64))  # refuses a bad beta

    def step(self, batch: Batch, meta_batch: Batch | None = None) -> dict[str, Tensor]:
        return self.learner.update(self.loss(self.learner(batch.x), batch.y).mean())
