"""Learning to reweight examples: one meta-gradient step from zero weights, in every batch."""

from typing import Any, final

import torch
from torch import Tensor, nn

from mwnet.bilevel import Bilevel, bilevel_step
from mwnet.bilevel.weighting import by_sum
from mwnet.data.batches import Batch
from mwnet.methods.base import Context, Method, Phase, given_probability, training_set
from mwnet.methods.learner import Parts


class FreeWeights(nn.Module):
    """One free weight for each sample of a batch, and the step from zero that sets them.

    It takes the place of Meta-Weight-Net's weight net and of that net's optimizer.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.epsilon = nn.Parameter(torch.zeros(size))

    def forward(self, losses: Tensor, labels: Tensor) -> Tensor:
        return self.epsilon[: len(losses)]

    def step(self) -> None:
        """Set the weights to max(0, -dM/d epsilon)."""
        assert self.epsilon.grad is not None
        self.epsilon.data = (-self.epsilon.grad).clamp_min(0)


@final
class L2RW(Method):
    """Weight each sample by how well its gradient agrees with the gradient of the meta set.

    1. w'(epsilon) = w - alpha sum_i epsilon_i grad l_i(w), at epsilon = 0
    2. v_i = max(0, -dM(w'(epsilon))/d epsilon_i), which is alpha < grad l_i(w), grad M(w) > above 0
    3. w <- w - alpha sum_i u_i grad l_i(w),   u = v / sum v; u = 0 if all v are 0

    This is the bilevel step of Meta-Weight-Net with a free weight for each sample instead of the
    weight net. The weights start at zero in each step, so w' is w and needs no gradient. Options of
    the weight net, the normalisation and the look-ahead have no effect.

    The label-quality score of a training sample is the running mean, over the epochs, of whether
    its weight was above 0. The size of the weight is a worse score, because it falls for every
    sample that is predicted well. A sample that was never trained on gets the probability of its
    label. A step costs 8 forward passes: 3 for the meta gradient, 2 tangent, 3 actual.

    Args:
        parts: what to build from.
        memory: share of the old running mean that is kept at each visit, in [0, 1).

    Raises:
        ValueError: memory outside [0, 1).

    Source: Ren, Zeng, Yang and Urtasun, ICML 2018. Their code for CIFAR draws noise that never
    reaches the last class, which is not repeated here.
    """

    meta = "any"
    takes_loss = "per sample"
    weight_of_loss = False
    passes = 8

    def __init__(self, parts: Parts, *, memory: float = 0.95) -> None:
        super().__init__(Phase("training", parts.epochs))
        if not 0 <= memory < 1:
            raise ValueError(f"l2rw needs memory in [0, 1), got {memory}")
        weighting = parts.weighting
        assert weighting is not None  # given to every method with a meta set
        self.memory = memory
        self.learner = parts.learner()
        self.weights = parts.module("weights", lambda: FreeWeights(parts.train.batch_size))
        self.problem = Bilevel(
            self.learner.network,
            self.weights,
            parts.loss,
            weighting.meta_loss,
            by_sum,
            weights_at_zero=True,
        )
        self.engine = weighting.engine
        self.queue = weighting.queue
        self.share: Tensor
        self.register_buffer("share", torch.full((parts.num_samples,), torch.nan))

    @property
    def engine_name(self) -> str | None:
        return self.engine.name

    def begin_epoch(self, context: Context) -> None:
        if self.queue is not None:
            self.queue.refresh(self.epoch, training_set(self, context.train))

    def step(self, batch: Batch, meta_batch: Batch | None) -> dict[str, Tensor]:
        if meta_batch is None:  # while the queue of confident samples warms up
            self.weights.epsilon.data.fill_(1.0)
        else:
            self.weights.epsilon.data.zero_()
        optimizer = self.learner.optimizer
        report = bilevel_step(self.problem, self.engine, optimizer, self.weights, batch, meta_batch)
        self.learner.scheduler.step()
        counted = (self.weights.epsilon.detach() > 0).to(self.share.dtype)
        old = self.share[batch.index]
        mean = self.memory * old + (1 - self.memory) * counted
        self.share[batch.index] = torch.where(old.isnan(), counted, mean)
        return report

    def label_quality(self, logits: Tensor, labels: Tensor, index: Tensor) -> dict[str, Tensor]:
        share = self.share[index]
        own = torch.where(share.isnan(), given_probability(logits, labels), share)
        return {"own": own, "weight": share.nan_to_num(1.0)}

    def get_extra_state(self) -> dict[str, Any]:
        return self.engine.state_dict()

    def set_extra_state(self, state: dict[str, Any]) -> None:
        self.engine.load_state_dict(state)
