"""Plain training on the given labels: the papers' BaseModel."""

from typing import final

from torch import Tensor

from mwnet.core.world import world
from mwnet.data.batches import Batch
from mwnet.losses import StatefulLoss
from mwnet.methods.base import Context, Method, Phase, training_set
from mwnet.methods.learner import Parts


@final
class ERM(Method):
    """Train by empirical risk minimisation: every sample counts the same.

    w <- w - alpha (1/n) sum_i grad l_i(w)

    It takes every loss, also one with a memory and one that compares two views. The label-quality
    score is the predicted probability of the given label. A step costs 3 forward passes.

    Args:
        parts: what to build from.
    """

    takes_loss = "any"
    recordable = True
    takes_sample_weight = True
    distributed = True

    def __init__(self, parts: Parts) -> None:
        super().__init__(Phase("training", parts.epochs))
        self.learner = parts.learner()
        self.loss = parts.loss
        self.update = parts.record(self._update)

    def begin_epoch(self, context: Context) -> None:
        if isinstance(self.loss, StatefulLoss):
            self.loss.begin_epoch(self.epoch, training_set(self, context.train))

    def step(self, batch: Batch, meta_batch: Batch | None = None) -> dict[str, Tensor]:
        report = self.update(batch, None)
        self.learner.scheduler.step()
        return report

    def _update(self, batch: Batch, meta_batch: Batch | None) -> dict[str, Tensor]:
        losses = self._losses(batch)
        objective = world().mean(losses if batch.weight is None else losses * batch.weight)
        self.learner.descend(objective)
        return {"train_loss": objective.detach()}

    def _losses(self, batch: Batch) -> Tensor:
        logits = self.learner(batch.x)
        if isinstance(self.loss, StatefulLoss):
            return self.loss(logits, batch.y, batch.index)
        if batch.second is not None:
            return self.loss(logits, batch.y, second_view=self.learner(batch.second))
        return self.loss(logits, batch.y)
