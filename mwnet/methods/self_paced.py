"""Self-paced learning: train on the samples that have a small loss at present."""

from typing import final

import torch
from torch import Tensor

from mwnet.data.batches import Batch
from mwnet.methods.base import Method, Phase, given_probability
from mwnet.methods.learner import Parts


@final
class SelfPaced(Method):
    """Train only on samples whose loss is at most a moving threshold.

    1. In the first ``warmup`` epochs all samples count.
    2. lambda <- decay lambda + (1 - decay) (percentile of the batch's losses)
    3. v_i = 1 if l_i <= lambda, else 0
    4. w <- w - alpha (1/n) sum_i v_i grad l_i(w)

    The label-quality score is the probability of the given label, because the selection orders
    samples by their loss; the weight is the selection. A step costs 3 forward passes.

    Args:
        parts: what to build from.
        percentile: of the losses of a batch, in (0, 1].
        decay: of the threshold, in [0, 1).
        warmup: epochs on all samples.

    Raises:
        ValueError: a hyper-parameter outside its range.

    Source: Kumar, Packer and Koller, NeurIPS 2010, who start from a few rounds on all samples. The
    moving threshold is that of the baseline in Jiang et al. (MentorNet, ICML 2018), which has no
    warm-up. Without one, classes that the random initial network does not favour are never trained
    on. The schedule in Meta-Weight-Net's tables is not known.
    """

    takes_loss = "per sample"

    def __init__(
        self, parts: Parts, *, percentile: float = 0.7, decay: float = 0.5, warmup: int = 5
    ) -> None:
        if not (0 < percentile <= 1 and 0 <= decay < 1 and warmup >= 0):
            raise ValueError(
                "self-paced needs percentile in (0, 1], decay in [0, 1) and warmup from 0, got "
                f"{percentile}, {decay} and {warmup}"
            )
        super().__init__(Phase("training", parts.epochs))
        self.learner = parts.learner()
        self.loss = parts.loss
        self.percentile, self.decay, self.warmup = percentile, decay, warmup
        self.threshold: Tensor
        self.register_buffer("threshold", torch.tensor(torch.nan))

    def step(self, batch: Batch, meta_batch: Batch | None = None) -> dict[str, Tensor]:
        losses = self.loss(self.learner(batch.x), batch.y)
        self.threshold = moved(self.threshold, losses.detach(), self.percentile, self.decay)
        return self.learner.update((losses * self._chosen(losses.detach())).mean())

    def label_quality(self, logits: Tensor, labels: Tensor, index: Tensor) -> dict[str, Tensor]:
        weight = self._chosen(self.loss(logits, labels))
        return {"own": given_probability(logits, labels), "weight": weight}

    def _chosen(self, losses: Tensor) -> Tensor:
        if self.epoch < self.warmup:
            return torch.ones_like(losses)
        return (losses <= self.threshold).to(losses.dtype)


def moved(threshold: Tensor, losses: Tensor, percentile: float, decay: float) -> Tensor:
    """Update the running mean of a percentile of the losses; a NaN threshold has seen none yet."""
    now = losses.quantile(percentile).to(threshold.dtype)
    return torch.where(threshold.isnan(), now, decay * threshold + (1 - decay) * now)
