"""GLC: gold loss correction with a transition matrix measured on the clean meta set."""

from typing import Any, final

import torch
from torch import Tensor

from mwnet.data.batches import Batch, Batches
from mwnet.losses import cross_entropy
from mwnet.losses.targets import forward_correction
from mwnet.losses.unlearnable import warn_unlearnable
from mwnet.methods.base import Context, Method, Phase, predict
from mwnet.methods.learner import Learner, Parts


@final
class GLC(Method):
    """Train, measure the transition matrix on the clean meta set, and train again on both.

    1. ``baseline``: train on the given ("silver") labels.
    2. C[k] = mean prediction over the meta ("gold") samples of class k.
    3. ``corrected``: train from the same initial weights on silver and gold samples together, in
       the proportion of their numbers: -log sum_k p_k C[k, y] for silver, cross-entropy for gold.

    A class without a gold sample has the row of the identity. The label-quality score is the
    probability p_y of the given label. A step costs 3 forward passes; in the second phase its batch
    has gold samples added.

    Args:
        parts: what to build from.

    Source: Hendrycks et al., NeurIPS 2018. Where the authors' code differs: it shuffles gold and
    silver into common batches. Here each batch has its silver samples and the proportional number
    of gold ones, at most those of the meta batch.
    """

    meta = "clean"

    def __init__(self, parts: Parts) -> None:
        super().__init__(Phase("baseline", parts.epochs), Phase("corrected", parts.epochs))
        self.parts = parts
        self.learner = parts.learner()
        self.matrix: Tensor
        self.register_buffer("matrix", torch.eye(parts.num_classes))
        self.gold_share = 0.0

    def begin_epoch(self, context: Context) -> None:
        if self.epoch == self.start_of("corrected"):
            assert isinstance(context.meta, Batches)
            self.matrix.copy_(gold_matrix(self.learner, context.meta))
            warn_unlearnable(self.matrix, "the estimated matrix")
            self.gold_share = len(context.meta.ids) / len(context.train.ids)
            self.learner = self.parts.learner()

    def step(self, batch: Batch, meta_batch: Batch | None) -> dict[str, Tensor]:
        if self.phase == "baseline":
            return self.learner.update(cross_entropy(self.learner(batch.x), batch.y).mean())
        assert meta_batch is not None
        silver = len(batch.y)
        gold = min(len(meta_batch.y), max(1, round(self.gold_share * silver)))
        logits = self.learner(torch.cat([batch.x, meta_batch.x[:gold]]))
        corrected = forward_correction(logits[:silver], batch.y, matrix=self.matrix)
        trusted = cross_entropy(logits[silver:], meta_batch.y[:gold])
        return self.learner.update(torch.cat([corrected, trusted]).mean())

    def get_extra_state(self) -> dict[str, Any]:
        return {"gold_share": self.gold_share}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        self.gold_share = state["gold_share"]


def gold_matrix(learner: Learner, gold: Batches) -> Tensor:
    """Compute ``(K, K)`` mean predictions over the gold samples of each class."""
    p = predict(learner, gold.pixels, gold.ids).softmax(-1)
    labels = gold.labels[gold.ids.to(p.device)]
    sums = torch.zeros(p.shape[1], p.shape[1], device=p.device).index_add_(0, labels, p)
    counts = labels.bincount(minlength=p.shape[1])[:, None]
    identity = torch.eye(p.shape[1], device=p.device)
    return torch.where(counts > 0, sums / counts.clamp_min(1), identity)
