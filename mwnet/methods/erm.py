"""Plain training on the given labels: the papers' BaseModel."""

from collections.abc import Callable
from typing import final

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from mwnet.cuda_graphs import Update
from mwnet.data.batches import Batch
from mwnet.losses import StatefulLoss
from mwnet.methods.base import Context, Method, given_probability, training_set


@final
class ERM(Method):
    """Empirical risk minimisation: every sample counts the same.

    w <- w - alpha (1/n) sum_i grad l_i(w)

    Every loss can be trained with, also one with a memory and one that compares two views. The
    label-quality score is the predicted probability of the given label. No meta set is used.

    Args:
        classifier: x -> logits.
        optimizer, scheduler: of the classifier; the scheduler advances every step.
        loss: training loss, pure or with a memory.
        wrap: around the update of a step, for instance a recorder of CUDA graphs.
    """

    def __init__(
        self,
        classifier: nn.Module,
        optimizer: Optimizer,
        scheduler: LRScheduler,
        loss: Callable[..., Tensor],
        wrap: Callable[[Update], Update] = lambda update: update,
    ) -> None:
        super().__init__()
        self.classifier = classifier
        self.optimizer = optimizer
        self.scheduler = scheduler
        self.loss = loss
        self.update = wrap(self._update)

    def begin_epoch(self, epoch: int, context: Context) -> None:
        if isinstance(self.loss, StatefulLoss):
            self.loss.begin_epoch(epoch, training_set(self, context.train))

    def step(self, batch: Batch, meta_batch: Batch | None = None) -> dict[str, Tensor]:
        report = self.update(batch, None)
        self.scheduler.step()
        return report

    def _update(self, batch: Batch, meta_batch: Batch | None) -> dict[str, Tensor]:
        objective = self._losses(batch).mean()
        self.optimizer.zero_grad()
        objective.backward()
        self.optimizer.step()
        return {"train_loss": objective.detach()}

    def _losses(self, batch: Batch) -> Tensor:
        logits = self.classifier(batch.x)
        if isinstance(self.loss, StatefulLoss):
            return self.loss(logits, batch.y, batch.index)
        if batch.second is not None:
            return self.loss(logits, batch.y, second_view=self.classifier(batch.second))
        return self.loss(logits, batch.y)

    def logits(self, x: Tensor) -> Tensor:
        return self.classifier(x)

    def label_quality(self, logits: Tensor, labels: Tensor) -> dict[str, Tensor]:
        own = given_probability(logits, labels)
        return {"own": own, "weight": torch.ones_like(own)}
