"""Meta-Weight-Net and its variants MNW-Net and RMNW-Net."""

from typing import Any, final

from torch import Tensor, nn

from mwnet.bilevel import Bilevel, bilevel_step
from mwnet.bilevel.shared_pass import SharedPass, shares_a_chain
from mwnet.bilevel.weighting import WeightNet
from mwnet.data.batches import Batch
from mwnet.methods.base import Context, Method, Phase, training_set
from mwnet.methods.learner import Parts


@final
class MWNet(Method):
    """Train with a weight net that maps each sample's loss to its weight and learns on a meta set.

    Every step looks ahead by one weighted step of the classifier, and moves the weight net against
    the gradient of the meta loss there. Then the classifier takes its step with the new weights.

    Three methods of the papers differ only in meta loss and meta labels:

    - MW-Net (Shu et al., 2019): meta loss CE, clean meta labels.
    - MNW-Net: meta loss CE, noisy meta labels.
    - RMNW-Net (Ghosh and Lan, WACV 2021): meta loss MAE, noisy meta labels.

    The label-quality score is the weight net's output for the sample's loss. A step costs 8 forward
    passes of a batch with the ``ghost`` engine and 10 with ``forward`` (a backward is two). Plain
    training costs 3.

    Args:
        parts: what to build from.
        weight_net: (losses, labels) -> weights; None for the papers' perceptron.

    Source: Shu et al., NeurIPS 2019; Ghosh and Lan, WACV 2021. Where the authors' code differs: it
    divides a batch's weights by their sum, while the paper divides by n (``normalise`` decides),
    and it feeds the CE loss to the weight net whatever the training loss.

    Example:
        >>> from mwnet.builders.experiment import build
        >>> from mwnet.config.checks import validate
        >>> options = {"dataset": "digits", "method": "mwnet", "meta_noisy": True}
        >>> experiment = build(validate({**options, "meta_loss": "mae"}))
        >>> report = experiment.method.step(experiment.train[0], experiment.meta[0])
        >>> 0 < float(report["meta_loss"]) < 2
        True
    """

    meta = "any"
    takes_loss = "per sample"
    recordable = True
    takes_sample_weight = True
    learns_weights = True
    takes_lag = True
    distributed = True
    passes = 10

    def __init__(self, parts: Parts, weight_net: nn.Module | None = None) -> None:
        super().__init__(Phase("training", parts.epochs))
        weighting = parts.weighting
        assert weighting is not None  # given to every method with a meta set
        self.learner = parts.learner()
        self.weight_net = weight_net or parts.module("weight net", WeightNet)
        self.problem = Bilevel(
            self.learner.network,
            self.weight_net,
            parts.loss,
            weighting.meta_loss,
            weighting.normalise,
            weighting.virtual_step,
            weighting.inner_steps,
            lag=weighting.lag,
        )
        self.weight_optimizer = weighting.optimizer(self.weight_net)
        self.engine = weighting.engine
        may_share = weighting.shared and shares_a_chain(self.problem, parts.num_classes)
        self.shared = SharedPass(self.problem) if may_share else None
        self.meta_interval = weighting.meta_interval
        self.queue = weighting.queue
        self.update = parts.record(self._update)

    @property
    def engine_name(self) -> str | None:
        return self.engine.name

    def begin_epoch(self, context: Context) -> None:
        if self.queue is not None:
            self.queue.refresh(self.epoch, training_set(self, context.train))

    def _update(self, batch: Batch, meta_batch: Batch | None) -> dict[str, Tensor]:
        if self.shared is not None and self.engine.name == "ghost" and not self.engine.lean:
            optimizer = self.learner.optimizer
            return self.shared.step(optimizer, self.weight_optimizer, batch, meta_batch)
        return bilevel_step(
            self.problem,
            self.engine,
            self.learner.optimizer,
            self.weight_optimizer,
            batch,
            meta_batch,
        )

    def step(self, batch: Batch, meta_batch: Batch | None) -> dict[str, Tensor]:
        due = self.learner.steps % self.meta_interval == 0
        report = self.update(batch, meta_batch if due else None)
        self.learner.scheduler.step()
        return report

    def label_quality(self, logits: Tensor, labels: Tensor, index: Tensor) -> dict[str, Tensor]:
        weight = self.weight_net(self.problem.loss(logits, labels), labels)
        return {"own": weight, "weight": weight}

    def get_extra_state(self) -> dict[str, Any]:
        return {
            "weight_optimizer": self.weight_optimizer.state_dict(),
            "engine": self.engine.state_dict(),
            **({} if self.shared is None else {"shared": self.shared.state_dict()}),
        }

    def set_extra_state(self, state: dict[str, Any]) -> None:
        self.weight_optimizer.load_state_dict(state["weight_optimizer"])
        self.engine.load_state_dict(state["engine"])
        if self.shared is not None and "shared" in state:
            self.shared.load_state_dict(state["shared"])
