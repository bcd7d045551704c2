"""JoCoR: two networks that are trained with one loss and kept close to each other."""

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
    """Train two networks with one joint loss, on the samples where that loss is smallest.

    1. l_i = (1 - lambda) (CE_1 + CE_2) + lambda (KL(p_1 | p_2) + KL(p_2 | p_1))
    2. Both networks take a step on the mean over the share R(t) of smallest l_i, where
       R(t) = 1 - tau min(t / ramp, 1) as in Co-teaching, and tau is the noise rate.

    The first network is deployed. The label-quality score is its probability of the given label,
    and the weight is the selection by its cross-entropy. A step costs 6 forward passes, 3 for each
    network. If the noise rate is unknown, a phase of its own estimates it over all classes. The
    authors halve the rate for asymmetric noise, which moves half of the classes.

    Args:
        parts: what to build from.
        weight: lambda in [0, 1].
        ramp: epochs until the whole noise rate is dropped, at least 1. The paper takes 10 of 200,
            with some 400 steps an epoch. A ramp that ends before every class is learnt loses whole
            classes.

    Raises:
        ValueError: weight or ramp outside its range.

    Source: Wei et al., CVPR 2020. lambda is 0.1 as in the authors' code. Its README says 0.9 for
    CIFAR-10 (0.65 at 80 % noise) and 0.85 for CIFAR-100, with which other networks and optimizers
    do not train well.
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
    """Compute ``(n,)`` losses from two networks' ``(n, K)`` logits: equation 1 of the class."""
    supervised = cross_entropy(one, labels) + cross_entropy(two, labels)
    log_one, log_two = one.float().log_softmax(-1), two.float().log_softmax(-1)
    # KL(p|q) + KL(q|p) = sum (p - q) (log p - log q)
    apart = ((log_one.exp() - log_two.exp()) * (log_one - log_two)).sum(-1)
    return (1 - weight) * supervised + weight * apart
