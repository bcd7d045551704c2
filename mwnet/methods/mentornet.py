"""MentorNet PD: sample weights from a predefined curriculum."""

from typing import final

import torch
from torch import Tensor

from mwnet.data.batches import Batch
from mwnet.methods.base import Context, Method, Phase, given_probability
from mwnet.methods.learner import Parts
from mwnet.methods.noise_rate import NoiseRate
from mwnet.methods.self_paced import moved


@final
class MentorNet(Method):
    """Train with sample weights that follow a predefined curriculum (PD).

    d_i = l_i - lambda, where lambda is a running mean of a percentile of the batch's losses. The
    percentile is 1 - tau, with tau the noise rate, but at least 0.5.

    1. Until 18 % of the epochs: v_i = 1.
    2. Until 90 %: v_i = 1 if d_i <= 0, else 0, which is self-paced learning.
    3. To the end: v_i = max(0, min(1, 1 - d_i / gamma)).

    A step descends the mean of v_i l_i over the batch and costs 3 forward passes. The label-quality
    score is the probability of the given label, because the weight has ties and otherwise orders
    samples by their loss. If the noise rate is unknown, a phase of its own estimates it.

    Args:
        parts: what to build from.
        burn_in, self_paced: ends of the first and second part, as shares of the epochs in [0, 1].
        gamma: nats above lambda at which a sample counts nothing in the third part; above 0.
        decay: of lambda, in [0, 1).

    Raises:
        ValueError: a hyper-parameter outside its range.

    Source: Jiang et al., ICML 2018. Epochs, decay and percentiles (0.8, 0.6, 0.5 at noise 0.2, 0.4,
    0.8) are those of the authors' code, whose gamma is not documented. Whether Meta-Weight-Net's
    tables took this curriculum or the learnt mentor (``mentornet-dd``) is not known.
    """

    takes_loss = "per sample"
    needs_noise_rate = True

    def __init__(
        self,
        parts: Parts,
        *,
        burn_in: float = 0.18,
        self_paced: float = 0.9,
        gamma: float = 1.0,
        decay: float = 0.5,
    ) -> None:
        if not (0 <= burn_in <= self_paced <= 1 and gamma > 0 and 0 <= decay < 1):
            raise ValueError(
                "mentornet needs 0 <= burn-in <= self-paced <= 1, gamma above 0 and decay in "
                f"[0, 1), got {burn_in}, {self_paced}, {gamma} and {decay}"
            )
        rate = NoiseRate(parts)
        super().__init__(*rate.phases, Phase("training", parts.epochs))
        self.noise_rate = rate
        self.learner = parts.learner()
        self.loss = parts.loss
        self.ends = (burn_in * parts.epochs, self_paced * parts.epochs)
        self.gamma, self.decay = gamma, decay
        self.threshold: Tensor
        self.register_buffer("threshold", torch.tensor(torch.nan))

    def begin_epoch(self, context: Context) -> None:
        if self.epoch == self.start_of("training"):
            self.noise_rate.conclude()

    def step(self, batch: Batch, meta_batch: Batch | None = None) -> dict[str, Tensor]:
        if self.phase == NoiseRate.PHASE:
            return self.noise_rate.step()
        losses = self.loss(self.learner(batch.x), batch.y)
        percentile = max(0.5, 1 - self.noise_rate.value)
        self.threshold = moved(self.threshold, losses.detach(), percentile, self.decay)
        return self.learner.update((self._weights(losses.detach()) * losses).mean())

    def _weights(self, losses: Tensor) -> Tensor:
        difference = losses - self.threshold
        epoch = self.epoch - self.start_of("training")
        if epoch < self.ends[0]:
            return torch.ones_like(losses)
        if epoch < self.ends[1]:
            return (difference <= 0).to(losses.dtype)
        return (1 - difference / self.gamma).clamp(0, 1)

    def logits(self, x: Tensor) -> Tensor:
        training = self.phase == "training"
        return self.learner(x) if training else self.noise_rate.logits(x)

    def label_quality(self, logits: Tensor, labels: Tensor, index: Tensor) -> dict[str, Tensor]:
        weight = self._weights(self.loss(logits, labels))
        return {"own": given_probability(logits, labels), "weight": weight}
