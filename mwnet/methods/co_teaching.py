"""Co-teaching: two networks, each trained on the samples that have a small loss in the other."""

from typing import final

import torch
from torch import Tensor

from mwnet.core.world import world
from mwnet.data.batches import Batch
from mwnet.methods.base import Context, Method, Phase, given_probability
from mwnet.methods.learner import Parts
from mwnet.methods.noise_rate import NoiseRate


@final
class CoTeaching(Method):
    """Train two networks, each on the samples that the other one selects.

    1. R(t) = 1 - tau min(t / ramp, 1) for epochs t = 1, 2, ..., where tau is the noise rate.
    2. Each network selects the share R(t) of the batch on which its loss is smallest.
    3. Each takes a step on the samples that the *other* one selected.

    The first network is deployed. The label-quality score is the probability of the given label,
    and the weight is the selection. A step costs 6 forward passes, 3 for each network. If the noise
    rate is unknown, a phase of its own estimates it.

    Args:
        parts: what to build from.
        ramp: epochs until the whole noise rate is dropped, at least 1. The paper takes 10 of 200,
            with some 400 steps an epoch. A ramp that ends before every class is learnt loses whole
            classes.

    Raises:
        ValueError: ramp below 1.

    Source: Han et al., NeurIPS 2018. Where the authors' code differs: it divides the mean loss by
    the number of selected samples once more, and its first epoch drops nothing, because t counts
    from 0.
    """

    takes_loss = "per sample"
    needs_noise_rate = True
    networks = 2
    passes = 6
    distributed = True

    def __init__(self, parts: Parts, *, ramp: int = 20) -> None:
        if ramp < 1:
            raise ValueError(f"co-teaching needs ramp from 1, got {ramp}")
        rate = NoiseRate(parts)
        super().__init__(*rate.phases, Phase("training", parts.epochs))
        self.noise_rate = rate
        self.learner = parts.learner()
        self.peer = parts.learner("peer")
        self.loss = parts.loss
        self.ramp = ramp

    def begin_epoch(self, context: Context) -> None:
        if self.epoch == self.start_of("training"):
            self.noise_rate.conclude()

    def step(self, batch: Batch, meta_batch: Batch | None = None) -> dict[str, Tensor]:
        if self.phase == NoiseRate.PHASE:
            return self.noise_rate.step()
        forget = self._forget_rate()
        mine = self.loss(self.learner(batch.x), batch.y)
        theirs = self.loss(self.peer(batch.x), batch.y)
        picked, picked_by_peer = picks(mine.detach(), forget), picks(theirs.detach(), forget)
        self.peer.update(world().mean(theirs[picked]))
        return self.learner.update(world().mean(mine[picked_by_peer]))

    def _forget_rate(self) -> float:
        epoch = self.epoch - self.start_of("training") + 1
        return self.noise_rate.value * min(epoch / self.ramp, 1.0)

    def logits(self, x: Tensor) -> Tensor:
        training = self.phase == "training"
        return self.learner(x) if training else self.noise_rate.logits(x)

    def label_quality(self, logits: Tensor, labels: Tensor, index: Tensor) -> dict[str, Tensor]:
        weight = torch.ones_like(logits[:, 0])
        if self.phase == "training":
            weight = selected(self.loss(logits, labels), self._forget_rate())
        return {"own": given_probability(logits, labels), "weight": weight}


def picks(losses: Tensor, forget_rate: float) -> Tensor:
    """Return the positions, of this process's losses, of the smallest in the whole batch."""
    batch = world().gather(losses)
    part, positions = world().share(len(batch)), smallest(batch, forget_rate)
    return positions[(positions >= part.start) & (positions < part.stop)] - part.start


def smallest(losses: Tensor, forget_rate: float) -> Tensor:
    """Return the positions of the smallest losses, at least one.

    A share ``forget_rate`` of the batch, the largest losses, is left out.
    """
    keep = max(1, round((1 - forget_rate) * len(losses)))
    return losses.argsort(stable=True)[:keep]


def selected(losses: Tensor, forget_rate: float) -> Tensor:
    """Return ``(n,)`` weights: 1 for the smallest losses, 0 for the others."""
    weight = torch.zeros_like(losses)
    weight[smallest(losses, forget_rate)] = 1.0
    return weight
