"""What the trainer asks of a method."""

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from mwnet.data.batches import Batch, Batches, in_order
from mwnet.losses import TrainingSet


@dataclass(frozen=True)
class Context:
    """What a method may look at beside its batches: given labels, never the truth."""

    epochs: int
    train: Batches
    meta: Batches | None


class Method(nn.Module):
    """A way to train on noisy labels. It owns its networks, optimizers and schedules.

    Everything that training changes must be reachable by a checkpoint: parameters and buffers of
    the module, attributes with a ``state_dict`` (optimizers, schedulers), and whatever
    ``get_extra_state`` returns.
    """

    uses_meta: ClassVar[bool] = False
    """Whether ``step`` needs meta samples."""

    def begin_epoch(self, epoch: int, context: Context) -> None:
        """Called before the first step of an epoch: schedules, phases, passes over the data."""

    def step(self, batch: Batch, meta_batch: Batch | None) -> dict[str, Tensor]:
        """One training step; returns detached scalars, among them ``train_loss``."""
        raise NotImplementedError

    def logits(self, x: Tensor) -> Tensor:
        """``(n, K)`` logits of ``(n, c, h, w)`` images, by the network that one would deploy."""
        raise NotImplementedError

    def label_quality(self, logits: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """Score given labels.

        Args:
            logits: ``(n, K)`` of un-augmented samples, in eval mode.
            labels: ``(n,)`` given labels.

        Returns:
            ``own``: ``(n,)`` in [0, 1], the method's own score, low = suspect; ``weight``:
            ``(n,)``, how much the sample counts in training.
        """
        raise NotImplementedError


def given_probability(logits: Tensor, labels: Tensor) -> Tensor:
    """``(n,)`` predicted probability of the given label: cleanlab's self-confidence."""
    return logits.softmax(-1).gather(-1, labels[:, None]).squeeze(-1)


def training_set(method: Method, train: Batches) -> TrainingSet:
    """The training samples as the method sees them between two epochs."""

    def logits() -> Tensor:
        mode = method.training
        method.eval()
        with torch.no_grad():
            passes = [method.logits(x) for x in in_order(train.pixels, train.ids)]
        method.train(mode)
        return torch.cat(passes)

    ids = train.ids.to(train.labels.device)
    return TrainingSet(ids, train.labels[ids], logits)


def training_state(method: Method) -> dict[str, Any]:
    """State of the module and of every attribute that has a state of its own, by name."""
    parts = {
        name: part.state_dict()
        for name, part in vars(method).items()
        if hasattr(part, "state_dict") and hasattr(part, "load_state_dict")
    }
    return {"module": method.state_dict(), **parts}


def load_training_state(method: Method, state: dict[str, Any]) -> None:
    """Undo everything since :func:`training_state`."""
    for name, part in state.items():
        target = method if name == "module" else getattr(method, name)
        target.load_state_dict(part)
