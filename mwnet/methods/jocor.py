"""JoCoR: two networks that are trained as one and kept close to each other."""

from typing import final

import torch
from torch import Tensor

from mwnet.data.batches import Batch
from mwnet.losses import cross_entropy
from mwnet.methods.base import Context, Method, Phase, given_probability
from mwnet.methods.co_teaching import selected, smallest
from mwnet.methods.learner import Parts
from mwnet.methods.noise_rate import NoiseRate


@final
class JoCoR(Method):
    """JoCoR (Wei et al., CVPR 2020).

    1. l_i = (1 - lambda) (CE_1 + CE_2) + lambda (KL(p_1 | p_2) + KL(p_2 | p_1))
    2. Both networks take a step on the mean of the R(t) share of smallest l_i, where
       R(t) = 1 - tau min(t / ramp, 1) as in Co-teaching.

    The first network is deployed. The label-quality score is its probability of the given label;
    the weight is the selection by its cross-entropy. A step costs 2 networks of 3 forward passes.
    An unknown noise rate is estimated in a phase of its own; the authors halve the rate for
    asymmetric noise, which moves half of the classes: the estimate is over all classes.

    lambda is 0.1 by default, as in the authors' code; its README says 0.9 for CIFAR-10 (0.65 at
    80 % noise) and 0.85 for CIFAR-100, which other networks and optimizers do not bear.

    Args:
        parts: what to build from.
        weight: lambda in [0, 1].
        ramp: epochs until the whole noise rate is dropped; 10 of 200 in the paper, where an epoch
            has some 400 steps. Before every class has been learnt, dropping loses whole classes.
    """

    needs_noise_rate = True
    networks = 2
    passes = 6

    def __init__(self, parts: Parts, *, weight: float = 0.1, ramp: int = 20) -> None:
        if not (0 <= weight <= 1 and ramp >= 1):
            raise ValueError(
                f"jocor needs weight in [0, 1] and ramp from 1, got {weight} and {ramp}"
            )
        rate = NoiseRate(parts)
        super().__init__(*rate.phases, Phase("training", parts.epochs))
        self.noise_rate = rate
        self.learner = parts.learner()
        self.peer = parts.learner("peer")
        self.weight, self.ramp = weight, ramp

    def begin_epoch(self, context: Context) -> None:
        if self.epoch == self.start_of("training"):
            self.noise_rate.conclude()

    def step(self, batch: Batch, meta_batch: Batch | None = None) -> dict[str, Tensor]:
        if self.phase == NoiseRate.PHASE:
            return self.noise_rate.step()
        forget = self._forget_rate()
        losses = joint(self.learner(batch.x), self.peer(batch.x), batch.y, self.weight)
        objective = losses[smallest(losses.detach(), forget)].mean()
        self.peer.optimizer.zero_grad()
        report = self.learner.update(objective)
        self.peer.optimizer.step()
        self.peer.scheduler.step()
        return report

    def _forget_rate(self) -> float:
        epoch = self.epoch - self.start_of("training") + 1
        return self.noise_rate.value * min(epoch / self.ramp, 1.0)

    def logits(self, x: Tensor) -> Tensor:
        training = self.phase == "training"
        return self.learner(x) if training else self.noise_rate.logits(x)

    def label_quality(self, logits: Tensor, labels: Tensor, index: Tensor) -> dict[str, Tensor]:
        weight = torch.ones_like(logits[:, 0])
        if self.phase == "training":
            weight = selected(cross_entropy(logits, labels), self._forget_rate())
        return {"own": given_probability(logits, labels), "weight": weight}


def joint(one: Tensor, two: Tensor, labels: Tensor, weight: float) -> Tensor:
    """``(n,)`` losses of two networks' ``(n, K)`` logits: equation 1 of the class."""
    supervised = cross_entropy(one, labels) + cross_entropy(two, labels)
    log_one, log_two = one.float().log_softmax(-1), two.float().log_softmax(-1)
    # KL(p|q) + KL(q|p) = sum (p - q) (log p - log q)
    apart = ((log_one.exp() - log_two.exp()) * (log_one - log_two)).sum(-1)
    return (1 - weight) * supervised + weight * apart
