"""Meta-Weight-Net and its relatives MNW-Net and RMNW-Net."""

from collections.abc import Callable
from typing import Any, ClassVar, final

from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from mwnet.bilevel import Bilevel, EngineChoice, bilevel_step
from mwnet.cuda_graphs import Update
from mwnet.data.batches import Batch
from mwnet.methods.base import Method


@final
class MWNet(Method):
    """A weight net maps each sample's loss to its weight and is trained on a meta set.

    Every step: look ahead by one weighted step of the classifier, move the weight net against the
    gradient of the meta loss there, then take the classifier's step with the new weights.

    The three methods of the paper differ only in what is passed in:

    - MW-Net (Shu et al., 2019): meta loss CE, clean meta labels.
    - MNW-Net: meta loss CE, noisy meta labels.
    - RMNW-Net (Ghosh and Lan, WACV 2021): meta loss MAE, noisy meta labels.

    Its label-quality score is the weight net's output for the sample's loss. Cost of a step with
    the ``forward`` engine, in forward passes of a batch (a backward is two): virtual 3, meta 3,
    tangent about 2, actual 2, so 10 against plain training's 3.

    Where the authors' code differs: it divides a batch's weights by their sum (the paper by n;
    ``normalise`` decides), and feeds the CE loss to the weight net whatever the training loss.

    Args:
        problem: both networks, both losses and the kind of look-ahead.
        optimizer, scheduler: of the classifier; the scheduler advances every step.
        weight_optimizer: of the weight net, at a constant learning rate.
        engine: computes the meta-gradient.
        meta_interval: update the weight net every this many steps.
        wrap: around the update of a step, for instance a recorder of CUDA graphs.
    """

    uses_meta: ClassVar[bool] = True

    def __init__(
        self,
        problem: Bilevel,
        optimizer: Optimizer,
        scheduler: LRScheduler,
        weight_optimizer: Optimizer,
        engine: EngineChoice,
        meta_interval: int = 1,
        wrap: Callable[[Update], Update] = lambda update: update,
    ) -> None:
        super().__init__()
        self.classifier: nn.Module = problem.classifier
        self.weight_net: nn.Module = problem.weight_net
        self.problem = problem
        self.optimizer = optimizer
        self.scheduler = scheduler
        self.weight_optimizer = weight_optimizer
        self.engine = engine
        self.meta_interval = meta_interval
        self.steps = 0
        self.update = wrap(self._update)

    def _update(self, batch: Batch, meta_batch: Batch | None) -> dict[str, Tensor]:
        return bilevel_step(
            self.problem,
            self.engine,
            self.optimizer,
            self.weight_optimizer,
            batch,
            meta_batch,
        )

    def step(self, batch: Batch, meta_batch: Batch | None) -> dict[str, Tensor]:
        due = self.steps % self.meta_interval == 0
        report = self.update(batch, meta_batch if due else None)
        self.scheduler.step()
        self.steps += 1
        return report

    def logits(self, x: Tensor) -> Tensor:
        return self.classifier(x)

    def label_quality(self, logits: Tensor, labels: Tensor) -> dict[str, Tensor]:
        weight = self.weight_net(self.problem.loss(logits, labels))
        return {"own": weight, "weight": weight}

    def get_extra_state(self) -> dict[str, Any]:
        return {"steps": self.steps}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        self.steps = state["steps"]
