"""S-Model: a noise adaptation layer on top of the network, learnt with it."""

from typing import Any, final

import torch
from torch import Tensor, nn
from torch.optim import SGD

from mwnet.data.batches import Batch, Batches
from mwnet.losses import cross_entropy
from mwnet.losses.unlearnable import warn_unlearnable
from mwnet.methods.base import Context, Method, Phase, predict
from mwnet.methods.learner import Parts


class NoiseLayer(nn.Module):
    """A layer that turns log-probabilities of the true label into those of the given label.

    Q = softmax of each row of theta;   Pr(given j) = sum_i p_i Q[i, j]
    """

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.theta = nn.Parameter(torch.full((num_classes, num_classes), -30.0))
        self.theta.data.fill_diagonal_(0.0)

    def forward(self, logits: Tensor) -> Tensor:
        log_p = logits.float().log_softmax(-1)
        return (log_p[:, :, None] + self.theta.log_softmax(-1)).logsumexp(1)

    @torch.no_grad()
    def set_to(self, confusion: Tensor) -> None:
        """Set Q to a row-normalised ``(K, K)`` matrix."""
        self.theta.copy_((confusion + 1e-8).log())


@final
class SModel(Method):
    """Train a network, then train it with a noise layer (the s-model, simple noise model).

    1. ``baseline``: train the network on the given labels, for the first part of a full training.
    2. Q[i, j] <- share of the samples predicted as i that are given as j.
    3. ``noise layer``: train network and Q together on -log sum_i p_i Q[i, y], with a new optimizer
       and schedule; p is the prediction.

    The label-quality score is the probability p_y of the given label before the noise layer. A step
    costs 3 forward passes.

    The first phase must be short. A network that has memorised the given labels agrees with them,
    so Q is the identity and corrects nothing.

    Args:
        parts: what to build from.
        share: epochs of the first phase, as a share of a training's; above 0.
        layer_lr: learning rate of Q, without momentum and decay; 0 freezes it.

    Raises:
        ValueError: share or layer_lr outside its range.

    Source: Goldberger and Ben-Reuven, ICLR 2017. The authors stop the first phase early, on
    validation data; its length is fixed here. A public port trains the first phase on *clean*
    labels, which is another method.
    """

    def __init__(self, parts: Parts, *, share: float = 0.25, layer_lr: float = 0.01) -> None:
        if not (share > 0 and layer_lr >= 0):
            raise ValueError(
                f"s-model needs share above 0 and layer-lr from 0, got {share} and {layer_lr}"
            )
        first = max(1, round(share * parts.epochs))
        super().__init__(Phase("baseline", first), Phase("noise layer", parts.epochs))
        self.parts = parts
        self.learner = parts.learner()
        self.layer = parts.module("noise layer", lambda: NoiseLayer(parts.num_classes))
        self.layer_optimizer = SGD(self.layer.parameters(), lr=layer_lr)

    def begin_epoch(self, context: Context) -> None:
        if self.epoch == self.start_of("noise layer"):
            matrix = confusion(self.learner, context.train)
            warn_unlearnable(matrix, "the estimated matrix")
            self.layer.set_to(matrix)
            baseline = self.learner.network.state_dict()
            self.learner = self.parts.learner()
            self.learner.network.load_state_dict(baseline)

    def step(self, batch: Batch, meta_batch: Batch | None = None) -> dict[str, Tensor]:
        logits = self.learner(batch.x)
        if self.phase == "baseline":
            return self.learner.update(cross_entropy(logits, batch.y).mean())
        log_given = self.layer(logits)
        objective = -log_given.gather(-1, batch.y[:, None]).mean()
        self.layer_optimizer.zero_grad()
        report = self.learner.update(objective)
        self.layer_optimizer.step()
        return report

    def get_extra_state(self) -> dict[str, Any]:
        return self.layer_optimizer.state_dict()

    def set_extra_state(self, state: dict[str, Any]) -> None:
        self.layer_optimizer.load_state_dict(state)


def confusion(network: nn.Module, samples: Batches) -> Tensor:
    """Compute the ``(K, K)`` shares of the samples predicted as i (rows) that are given as j.

    The row of a class that is never predicted is that of the identity.
    """
    logits = predict(network, samples.pixels, samples.ids)
    classes = logits.shape[1]
    given = samples.labels[samples.ids.to(logits.device)]
    counts = (logits.argmax(1) * classes + given).bincount(minlength=classes**2)
    counts = counts.reshape(classes, classes).to(logits.dtype)
    rows = counts.sum(1, keepdim=True)
    identity = torch.eye(classes, device=logits.device)
    return torch.where(rows > 0, counts / rows.clamp_min(1), identity)
