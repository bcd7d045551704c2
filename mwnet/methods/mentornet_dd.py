"""MentorNet DD: a mentor that learns from clean data which samples to trust."""

from typing import Any, final

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call
from torch.optim import Adam

from mwnet.core import seeding
from mwnet.data.batches import Batch
from mwnet.methods.base import Context, Method, Phase
from mwnet.methods.learner import Parts
from mwnet.methods.self_paced import moved


class Mentor(nn.Module):
    """The mentor, a map from loss, distance, label and progress to the logit of a weight.

    A bidirectional LSTM with one unit reads (loss, distance). Its outputs, an embedding of the
    label (2) and an embedding of the percentage of training that is over (5) go through 20 tanh
    units.
    """

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.losses = nn.LSTM(2, 1, bidirectional=True)
        self.label = nn.Embedding(num_classes, 2)
        self.percentage = nn.Embedding(100, 5)
        self.hidden = nn.Linear(9, 20)
        self.out = nn.Linear(20, 1)

    def forward(self, losses: Tensor, distances: Tensor, labels: Tensor, done: float) -> Tensor:
        """Compute ``(n,)`` logits; ``done`` is the share of training that is over."""
        sequence = torch.stack([losses, distances], 1)[None]  # one step: (1, n, 2)
        read = self.losses(sequence)[0][0]
        percentage = torch.full_like(labels, min(99, int(100 * done)))
        features = torch.cat([read, self.label(labels), self.percentage(percentage)], 1)
        return self.out(torch.tanh(self.hidden(features))).squeeze(1)


@final
class MentorNetDD(Method):
    """Train with sample weights of a data-driven mentor (DD) that learns on the clean meta set.

    d_i = l_i - lambda, where lambda is a running mean of a percentile of the batch's losses. Every
    step:

    1. The student takes a step on the mean of v_i l_i, where v_i are the mentor's weights. Until 18
    %
       of the epochs v_i = 1. Samples are also dropped at random: half of them until then, then 5 %.
    2. The mentor sees a batch of the clean meta set *with its given labels*. It learns, by binary
       cross-entropy, to tell from loss, d, label and progress whether the label is right.

    The label-quality score is the mentor's weight. A step costs 4 forward passes: 3 for the
    student, 1 for the losses of the meta batch.

    Args:
        parts: what to build from.
        percentile: of the losses, in (0, 1]; 0.8, 0.6, 0.5 at noise 0.2, 0.4, 0.8 in their code.
        mentor_lr: learning rate of the mentor (Adam), above 0.
        burn_in: share of the epochs in which all samples count, in [0, 1].
        dropped: shares of samples that are dropped until burn-in and after it, in [0, 1).

    Raises:
        ValueError: a hyper-parameter outside its range.

    Source: Jiang et al., ICML 2018. Where the authors' code differs: the mentor learns offline,
    from the losses that a finished student left on another data set or on a tenth of this one, or
    twice during training; here it learns in every step. Their code also drops 90 % of the samples
    in the last 5 % of the epochs.
    """

    meta = "clean"
    takes_loss = "per sample"
    weight_of_loss = False
    passes = 4

    def __init__(
        self,
        parts: Parts,
        *,
        percentile: float = 0.6,
        mentor_lr: float = 0.01,
        burn_in: float = 0.18,
        dropped: tuple[float, ...] = (0.5, 0.05),
    ) -> None:
        if not (0 < percentile <= 1 and mentor_lr > 0 and 0 <= burn_in <= 1):
            raise ValueError(
                "mentornet-dd needs percentile in (0, 1], mentor-lr above 0 and burn-in in [0, 1], "
                f"got {percentile}, {mentor_lr} and {burn_in}"
            )
        if len(dropped) != 2 or not all(0 <= share < 1 for share in dropped):
            raise ValueError(f"mentornet-dd needs two shares dropped in [0, 1), got {dropped}")
        super().__init__(Phase("training", parts.epochs))
        self.parts = parts
        self.learner = parts.learner()
        self.mentor = parts.module("mentor", lambda: Mentor(parts.num_classes))
        self.mentor_optimizer = Adam(self.mentor.parameters(), lr=mentor_lr)
        self.loss = parts.loss
        self.percentile, self.burn_in, self.dropped = percentile, burn_in, dropped
        self.threshold: Tensor
        self.register_buffer("threshold", torch.tensor(torch.nan))
        self.given: Tensor
        self.register_buffer("given", torch.full((parts.num_samples,), -1))

    def begin_epoch(self, context: Context) -> None:
        if self.epoch == 0:
            self.given.copy_(context.train.labels)

    @property
    def done(self) -> float:
        """The share of the training that is over, in [0, 1]."""
        return self.epoch / self.parts.epochs

    def step(self, batch: Batch, meta_batch: Batch | None) -> dict[str, Tensor]:
        assert meta_batch is not None
        losses = self.loss(self.learner(batch.x), batch.y)
        self.threshold = moved(self.threshold, losses.detach(), self.percentile, decay=0.5)
        with torch.no_grad():
            weights = self._weights(losses, batch.y) * self._kept(batch)
        report = self.learner.update((weights * losses).mean())
        return {**report, "mentor_loss": self._teach(meta_batch)}

    def _teach(self, meta_batch: Batch) -> Tensor:
        given = self.given[meta_batch.index]
        network = self.learner.network
        still = {name: buffer.clone() for name, buffer in network.named_buffers()}
        with torch.no_grad():  # batch-norm statistics move with the student's own pass only
            losses = self.loss(functional_call(network, still, (meta_batch.x,)), given)
        verdict = self.mentor(losses, losses - self.threshold, given, self.done)
        right = (given == meta_batch.y).to(verdict.dtype)
        mentor_loss = F.binary_cross_entropy_with_logits(verdict, right)
        self.mentor_optimizer.zero_grad()
        mentor_loss.backward()
        self.mentor_optimizer.step()
        return mentor_loss.detach()

    def _weights(self, losses: Tensor, labels: Tensor) -> Tensor:
        if self.done < self.burn_in:
            return torch.ones_like(losses)
        threshold = self.threshold.nan_to_num(0.0)
        return self.mentor(losses, losses - threshold, labels, self.done).sigmoid()

    def _kept(self, batch: Batch) -> Tensor:
        """Draw ``(n,)`` factors: 0 for samples that are dropped in this step, else 1."""
        share = self.dropped[0] if self.done < self.burn_in else self.dropped[1]
        rng = seeding.generator(self.parts.seed, "dropped samples", self.learner.steps)
        kept = torch.rand(len(batch.index), generator=rng) >= share
        return kept.to(batch.x.dtype).to(batch.x.device)

    def label_quality(self, logits: Tensor, labels: Tensor, index: Tensor) -> dict[str, Tensor]:
        losses = self.loss(logits, labels)
        threshold = self.threshold.nan_to_num(0.0)
        own = self.mentor(losses, losses - threshold, labels, self.done).sigmoid()
        return {"own": own, "weight": self._weights(losses, labels)}

    def get_extra_state(self) -> dict[str, Any]:
        return self.mentor_optimizer.state_dict()

    def set_extra_state(self, state: dict[str, Any]) -> None:
        self.mentor_optimizer.load_state_dict(state)
