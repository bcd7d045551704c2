"""Fine-tuning: plain training on noisy labels, then training on the clean meta set."""

from typing import final

from torch import Tensor

from mwnet.data.batches import Batch
from mwnet.losses import cross_entropy
from mwnet.methods.base import Context, Method, Phase
from mwnet.methods.learner import Parts


@final
class FineTuning(Method):
    """Train on the given labels, then on the clean meta set.

    1. ``baseline``: train on the given labels.
    2. ``fine-tuning``: go on with the same network and optimizer on batches of the clean meta set
       only, with cross-entropy, at a low constant learning rate.

    The label-quality score is the probability of the given label. A step costs 3 forward passes.

    Args:
        parts: what to build from.
        share: epochs of the second phase, as a share of those of the first; above 0.
        lr_factor: learning rate of the second phase, as a share of the first one's start; above 0.

    Raises:
        ValueError: share or lr_factor that is not above 0.

    Source: a baseline of Ren et al., ICML 2018. Their code takes 5,000 steps (6 to 8 % of the first
    phase) at the last learning rate of the schedule, a hundredth of the first. The default here is
    a tenth, because a tenth of a shorter training has fewer steps.
    """

    meta = "clean"
    takes_loss = "per sample"

    def __init__(self, parts: Parts, *, share: float = 0.1, lr_factor: float = 0.1) -> None:
        if not (share > 0 and lr_factor > 0):
            raise ValueError(
                f"fine-tuning needs share and lr-factor above 0, got {share} and {lr_factor}"
            )
        more = max(1, round(share * parts.epochs))
        super().__init__(Phase("baseline", parts.epochs), Phase("fine-tuning", more))
        self.learner = parts.learner()
        self.loss = parts.loss
        self.lr_factor = lr_factor

    def begin_epoch(self, context: Context) -> None:
        if self.epoch == self.start_of("fine-tuning"):
            first = self.learner.scheduler.base_lrs
            for group, rate in zip(self.learner.optimizer.param_groups, first, strict=True):
                group["lr"] = rate * self.lr_factor

    def step(self, batch: Batch, meta_batch: Batch | None) -> dict[str, Tensor]:
        if self.phase == "baseline":
            losses = self.loss(self.learner(batch.x), batch.y)
            return self.learner.update(losses.mean())
        assert meta_batch is not None
        objective = cross_entropy(self.learner(meta_batch.x), meta_batch.y).mean()
        self.learner.descend(objective)  # the schedule stays where the first phase left it
        return {"train_loss": objective.detach()}
