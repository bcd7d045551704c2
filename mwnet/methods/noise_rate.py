"""Estimate the share of wrong labels, for methods that need it."""

import math
from typing import Any

import torch
from torch import Tensor, nn

from mwnet import noise
from mwnet.core import seeding
from mwnet.core.world import world
from mwnet.data.batches import Batches
from mwnet.losses import cross_entropy
from mwnet.methods.base import Phase, predict
from mwnet.methods.learner import Learner, Parts


class NoiseRate(nn.Module):
    """The share of wrong labels: told, or estimated from the given labels before training.

    The estimate is two-fold cross-validation. Two networks are trained, each on one half of the
    samples, and each predicts the other half. The estimate is the part of the confident joint of
    predictions and given labels that is off its diagonal. The truth is not used.

    Args:
        parts: what to build from; ``noise_rate`` None asks for an estimate.
        share: epochs of the two networks, as a share of a training's.

    Attributes:
        value: the rate in [0, 1]; NaN as long as it is not known.

    Source of the estimate: Northcutt, Jiang and Chuang, JAIR 2021.
    """

    PHASE = "noise rate"

    def __init__(self, parts: Parts, share: float = 0.25) -> None:
        super().__init__()
        self.value = math.nan if parts.noise_rate is None else parts.noise_rate
        self.phases: tuple[Phase, ...] = ()
        self.folds: list[Batches] = []
        self.learners = nn.ModuleList()
        if parts.noise_rate is not None:
            return
        epochs = max(1, round(share * parts.epochs))
        self.phases = (Phase(self.PHASE, epochs),)
        train = parts.train
        rng = seeding.generator(parts.seed, "folds")
        order = train.ids[torch.randperm(len(train.ids), generator=rng)]
        for fold, ids in enumerate(order.tensor_split(2)):
            name = f"fold {fold}"
            self.folds.append(
                Batches(train.pixels, train.labels, ids, train.batch_size, parts.seed, name)
            )
            # Each takes every second step, so its schedule has half of the steps.
            self.learners.append(parts.learner(name, epochs / 2))

    def step(self) -> dict[str, Tensor]:
        """Take a step of one of the two networks, in turn, on a batch of its own half."""
        first, second = self._learners()
        turn = 0 if first.steps == second.steps else 1
        learner = (first, second)[turn]
        batch = self.folds[turn][learner.steps]
        return learner.update(world().mean(cross_entropy(learner(batch.x), batch.y)))

    def logits(self, x: Tensor) -> Tensor:
        """Compute the mean of the two networks' ``(n, K)`` log-probabilities."""
        return torch.stack([learner(x).log_softmax(-1) for learner in self.learners]).mean(0)

    def conclude(self) -> None:
        """Estimate the rate unless it was told; called once, after the phase."""
        if not self.folds:
            return
        pairs = zip(self._learners(), reversed(self.folds), strict=True)
        unseen = [(predict(learner, other.pixels, other.ids), other) for learner, other in pairs]
        probabilities = torch.cat([logits.softmax(-1).cpu() for logits, _ in unseen])
        labels = torch.cat([other.labels.cpu()[other.ids] for _, other in unseen])
        self.value = noise.estimated_rate(probabilities, labels)

    def _learners(self) -> tuple[Learner, Learner]:
        first, second = self.learners
        assert isinstance(first, Learner)
        assert isinstance(second, Learner)
        return first, second

    def get_extra_state(self) -> dict[str, Any]:
        return {"value": self.value}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        self.value = state["value"]
