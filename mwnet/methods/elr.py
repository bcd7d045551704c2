"""ELR: early-learning regularisation."""

from typing import final

import torch
from torch import Tensor

from mwnet.core.world import world
from mwnet.data.batches import Batch
from mwnet.losses.stateful import ELR
from mwnet.methods.base import Method, Phase, given_probability
from mwnet.methods.learner import Parts


@final
class EarlyLearning(Method):
    """Train with a term that holds each prediction at the mean of earlier ones.

    Early in training a network predicts true labels; later it memorises the given ones.

    1. t_i <- beta t_i + (1 - beta) p_i, a running mean of each sample's predictions
    2. l_i = -log p_iy + lambda log(1 - <t_i, p_i>)

    The label-quality score of a training sample is t_iy, the running mean of the probability of its
    label. Samples that were never trained on get the present probability. A step costs 3 forward
    passes.

    Args:
        parts: what to build from.
        weight: lambda, at least 0; 3 for CIFAR-10, 7 for CIFAR-100.
        beta: share of the mean that is kept, in [0, 1); 0.7 for symmetric noise, 0.9 for asymmetric
            noise and CIFAR-100.

    Raises:
        ValueError: weight or beta outside its range.

    Source: Liu et al., NeurIPS 2020, as their code.
    """

    distributed = True

    def __init__(self, parts: Parts, *, weight: float = 3.0, beta: float = 0.7) -> None:
        super().__init__(Phase("training", parts.epochs))
        self.learner = parts.learner()
        sizes = (parts.num_samples, parts.num_classes)
        self.loss = parts.module("loss", lambda: ELR(*sizes, weight=weight, beta=beta))

    def step(self, batch: Batch, meta_batch: Batch | None = None) -> dict[str, Tensor]:
        losses = self.loss(self.learner(batch.x), batch.y, batch.index)
        return self.learner.update(world().mean(losses))

    def label_quality(self, logits: Tensor, labels: Tensor, index: Tensor) -> dict[str, Tensor]:
        targets = self.loss.targets[index]
        remembered = targets.gather(-1, labels[:, None]).squeeze(-1)
        total = targets.sum(-1)  # 1 - beta at least, if the sample has been seen
        plain = given_probability(logits, labels)
        own = torch.where(total > 0, remembered / total.clamp_min(1e-12), plain)
        return {"own": own, "weight": torch.ones_like(own)}
