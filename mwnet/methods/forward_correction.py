"""Forward correction with an estimated transition matrix, in both stages."""

from typing import final

import torch
from torch import Tensor

from mwnet import noise
from mwnet.data.batches import Batch
from mwnet.losses import cross_entropy
from mwnet.losses.targets import forward_correction
from mwnet.losses.unlearnable import warn_unlearnable
from mwnet.methods.base import Context, Method, Phase, predict
from mwnet.methods.learner import Parts


@final
class ForwardCorrection(Method):
    """Train, estimate the transition matrix, and train again with forward loss correction.

    1. ``baseline``: train on the given labels.
    2. T[i] = prediction at the anchor point of class i, a sample that is almost surely of that
    class. 3. ``corrected``: train from the same initial weights on -log sum_i p_i T[i, y].

    The label-quality score is the probability p_y of the given label. A step costs 3 forward
    passes.

    Args:
        parts: what to build from.

    Source: Patrini et al., CVPR 2017. Where the authors' code differs: it zeroes entries of later
    rows of T by a view. It takes the 97th percentile, and the maximum for CIFAR-100. Here the
    maximum is taken where a class has so few samples (6 %) that the percentile would lie outside
    it.
    """

    def __init__(self, parts: Parts) -> None:
        super().__init__(Phase("baseline", parts.epochs), Phase("corrected", parts.epochs))
        self.parts = parts
        self.learner = parts.learner()
        self.matrix: Tensor
        self.register_buffer("matrix", torch.eye(parts.num_classes))

    def begin_epoch(self, context: Context) -> None:
        if self.epoch == self.start_of("corrected"):
            train = context.train
            p = predict(self.learner, train.pixels, train.ids).softmax(-1)
            self.matrix.copy_(noise.anchored_matrix(p.cpu(), train.labels.cpu()[train.ids]))
            warn_unlearnable(self.matrix, "the estimated matrix")
            self.learner = self.parts.learner()

    def step(self, batch: Batch, meta_batch: Batch | None = None) -> dict[str, Tensor]:
        logits = self.learner(batch.x)
        if self.phase == "baseline":
            return self.learner.update(cross_entropy(logits, batch.y).mean())
        losses = forward_correction(logits, batch.y, matrix=self.matrix)
        return self.learner.update(losses.mean())
