"""What the trainer asks of a method."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from mwnet.data.batches import Batch, Batches, Pixels, in_order
from mwnet.data.meta import MetaSource
from mwnet.losses import TrainingSet
from mwnet.methods.learner import Learner


@dataclass(frozen=True)
class Phase:
    """A part of a method's training: ``name`` for reports, ``epochs`` passes over the data."""

    name: str
    epochs: int


@dataclass(frozen=True)
class Context:
    """What a method may look at beside its batches: given labels, never the truth."""

    train: Batches
    meta: MetaSource | None


class Method(nn.Module):
    """A way to train on noisy labels. It owns its networks, optimizers and schedules.

    Built as ``METHODS[name](parts, **hyper)``; the hyper-parameters are ``method_options``.
    Everything that training changes must be in its ``state_dict``, which is what a checkpoint
    holds: parameters, buffers, learners with their optimizers, and for the rest
    ``get_extra_state``.

    Args:
        phases: what the training consists of, at least one.

    Attributes:
        phases: as given.
        epoch: the current one, counted from 0 over all phases; the trainer sets it.
        learner: the network that one would deploy.
    """

    meta: ClassVar[Literal["none", "any", "clean"]] = "none"
    """Which meta set ``step`` needs."""
    takes_loss: ClassVar[Literal["any", "per sample", "own"]] = "own"
    """What ``loss`` may be: all, those that can be weighted by sample, or not set at all."""
    needs_noise_rate: ClassVar[bool] = False
    """Whether it has a ``noise_rate``, a ``NoiseRate``."""
    recordable: ClassVar[bool] = False
    """Whether ``parts.record`` is around its update, as CUDA graphs need it."""
    takes_sample_weight: ClassVar[bool] = False
    """Whether it multiplies losses with the weights that came with the samples."""
    learns_weights: ClassVar[bool] = False
    """Whether a weight net sets the weights, which may then collapse."""
    weight_of_loss: ClassVar[bool] = True
    """Whether the weight of a sample depends on its loss alone."""
    networks: ClassVar[int] = 1
    passes: ClassVar[float] = 3
    """Cost of a step in forward passes of one network for one batch; a backward counts two."""

    learner: Learner

    def __init__(self, *phases: Phase) -> None:
        super().__init__()
        self.phases = phases
        self.epoch = 0

    @property
    def epochs(self) -> int:
        """Epochs of all phases."""
        return sum(phase.epochs for phase in self.phases)

    @property
    def phase(self) -> str:
        """Name of the current phase."""
        return self.phase_of(self.epoch).name

    def phase_of(self, epoch: int) -> Phase:
        """The phase of an epoch counted from 0; the last one also after its end."""
        for phase in self.phases:
            if epoch < phase.epochs:
                return phase
            epoch -= phase.epochs
        return self.phases[-1]

    def start_of(self, name: str) -> int:
        """First epoch of a phase, counted from 0."""
        names = [phase.name for phase in self.phases]
        return sum(phase.epochs for phase in self.phases[: names.index(name)])

    @property
    def network(self) -> nn.Module:
        """The network that one would deploy."""
        return self.learner.network

    @property
    def engine_name(self) -> str | None:
        """Which engine computes the meta-gradient; None before it is chosen or if there is none."""
        return None

    def begin_epoch(self, context: Context) -> None:
        """Called before the first step of an epoch: schedules, phases, passes over the data."""

    def step(self, batch: Batch, meta_batch: Batch | None) -> dict[str, Tensor]:
        """One training step; returns detached scalars, among them ``train_loss``."""
        raise NotImplementedError

    def logits(self, x: Tensor) -> Tensor:
        """``(n, K)`` logits of ``(n, c, h, w)`` images, by the network that one would deploy."""
        return self.learner(x)

    def label_quality(self, logits: Tensor, labels: Tensor, index: Tensor) -> dict[str, Tensor]:
        """Score given labels; unless a method says otherwise, by the probability of the label.

        Args:
            logits: ``(n, K)`` of un-augmented samples, in eval mode.
            labels: ``(n,)`` given labels.
            index: ``(n,)`` sample ids; not all need be training samples.

        Returns:
            ``own``: ``(n,)`` in [0, 1], the method's own score, low = suspect; ``weight``:
            ``(n,)``, how much the sample counts in training.
        """
        own = given_probability(logits, labels)
        return {"own": own, "weight": torch.ones_like(own)}


def given_probability(logits: Tensor, labels: Tensor) -> Tensor:
    """``(n,)`` predicted probability of the given label: cleanlab's self-confidence."""
    return logits.softmax(-1).gather(-1, labels[:, None]).squeeze(-1)


def training_set(method: Method, train: Batches) -> TrainingSet:
    """The training samples as the method sees them between two epochs."""

    def logits() -> Tensor:
        return predict(method, train.pixels, train.ids)

    ids = train.ids.to(train.labels.device)
    return TrainingSet(ids, train.labels[ids], logits)


@torch.no_grad()
def predict(method: nn.Module, pixels: Pixels, ids: Tensor) -> Tensor:
    """``(m, K)`` logits of samples, un-augmented, by a method or a network in eval mode."""
    apply = method.logits if isinstance(method, Method) else method
    was_training = method.training
    method.eval()
    logits = torch.cat([apply(x) for x in in_order(pixels, ids)])
    method.train(was_training)
    return logits
