"""Parts that methods are built from: networks with their optimizers, and plain numbers."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from mwnet.bilevel import EngineChoice
from mwnet.bilevel.cuda_graphs import Update
from mwnet.bilevel.weighting import Normalise
from mwnet.core.world import world
from mwnet.data.batches import Batches
from mwnet.losses import Loss
from mwnet.methods.confident import ConfidentBatches

AnyModule = TypeVar("AnyModule", bound=nn.Module)


class Learner(nn.Module):
    """A network with its optimizer and its learning-rate schedule; a checkpoint holds all three.

    Called with x it returns the network's logits.
    """

    def __init__(self, network: nn.Module, optimizer: Optimizer, scheduler: LRScheduler) -> None:
        super().__init__()
        self.network = network
        self.optimizer = optimizer
        self.scheduler = scheduler

    def forward(self, x: Tensor) -> Tensor:
        return self.network(x)

    @property
    def steps(self) -> int:
        """The number of steps that were taken."""
        return self.scheduler.last_epoch

    def descend(self, objective: Tensor) -> None:
        """Take one optimizer step on a scalar, a sum over processes; the schedule stays."""
        self.optimizer.zero_grad()
        objective.backward()
        world().sum_gradients(self.network.parameters())
        self.optimizer.step()

    def update(self, objective: Tensor) -> dict[str, Tensor]:
        """Take one step of optimizer and schedule on a scalar; return it as ``train_loss``."""
        self.descend(objective)
        self.scheduler.step()
        return {"train_loss": objective.detach()}

    def get_extra_state(self) -> dict[str, Any]:
        return {
            "optimizer": self.optimizer.state_dict(),
            "scheduler": self.scheduler.state_dict(),
        }

    def set_extra_state(self, state: dict[str, Any]) -> None:
        self.optimizer.load_state_dict(state["optimizer"])
        self.scheduler.load_state_dict(state["scheduler"])


class MakeLearner(Protocol):
    """Builds a network with initial weights from the run's seed and a purpose."""

    def __call__(
        self, purpose: str = "classifier", epochs: float | None = None, copies: int | None = None
    ) -> Learner:
        """Build the learner. The same purpose gives the same weights.

        Args:
            purpose: what the network is for.
            epochs: length of its schedule; None for the training's.
            copies: networks with weights of their own, in ``SideBySide``; None for the one network.
        """
        ...


class MakeModule(Protocol):
    """Builds another module with initial weights from the run's seed and a purpose."""

    def __call__(self, purpose: str, build: Callable[[], AnyModule]) -> AnyModule:
        """Build the module on the device of the run."""
        ...


@dataclass(frozen=True)
class Weighting:
    """What methods share that learn weights on a meta set.

    Attributes:
        meta_loss: the loss on the meta batch.
        optimizer: builds the optimizer of a weight net.
        engine: computes the meta-gradient.
        normalise: turns the weights of a batch into the factors of its losses.
        virtual_step, inner_steps: see ``Bilevel``.
        meta_interval: steps between two updates of the weight net.
        queue: the meta set of confident samples, None where there is none.
        lag: see ``Bilevel``.
        shared: with ``lag`` and the next batch as the meta batch, one pass may serve two steps.
    """

    meta_loss: Loss
    optimizer: Callable[[nn.Module], Optimizer]
    engine: EngineChoice
    normalise: Normalise
    virtual_step: str
    inner_steps: int
    meta_interval: int
    queue: ConfidentBatches | None
    lag: bool = False
    shared: bool = False


@dataclass(frozen=True)
class Parts:
    """What a method is built from.

    Attributes:
        learner: builds networks with their optimizers.
        module: builds other modules.
        loss: the training loss, where the method takes one.
        epochs: length of one training of a network.
        train: the training batches.
        num_samples: samples of the source; all ids are below it.
        class_sizes: ``(K,)`` int64, number of training samples by given label.
        weighting: for methods that learn weights on a meta set, else None.
        noise_rate: share of wrong labels in [0, 1], None if it has to be estimated.
        seed: of the run.
        record: wraps the update of a step, for instance to record it as a CUDA graph.
    """

    learner: MakeLearner
    module: MakeModule
    loss: Callable[..., Tensor]
    epochs: int
    train: Batches
    num_samples: int
    class_sizes: Tensor
    weighting: Weighting | None
    noise_rate: float | None
    seed: int
    record: Callable[[Update], Update]

    @property
    def num_classes(self) -> int:
        """The number of classes K."""
        return len(self.class_sizes)
