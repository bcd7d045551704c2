"""The interface of a method, as the trainer uses it."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from mwnet.bilevel import EngineChoice
from mwnet.core.world import world
from mwnet.data.batches import Batch, Batches, Pixels, in_order
from mwnet.data.meta import MetaSource
from mwnet.losses import TrainingSet
from mwnet.methods.learner import Learner


@dataclass(frozen=True)
class Phase:
    """A part of a method's training.

    Attributes:
        name: for reports.
        epochs: passes over the training samples.
    """

    name: str
    epochs: int


@dataclass(frozen=True)
class Context:
    """What a method may read beside its batches; it has given labels, never the truth.

    Attributes:
        train: the training batches.
        meta: the meta batches, None where there is no meta set.
    """

    train: Batches
    meta: MetaSource | None


class Method(nn.Module):
    """The base of all training methods: it owns its networks, optimizers and schedules.

    A method is built as ``METHODS[name](parts, **hyper)``; the hyper-parameters are
    ``method_options``. Its ``state_dict`` must contain everything that training changes, because a
    checkpoint holds nothing else: parameters, buffers, learners with their optimizers, and for the
    rest ``get_extra_state``.

    Args:
        phases: the parts of the training, at least one.

    Attributes:
        phases: as given.
        epoch: the current epoch, counted from 0 over all phases; the trainer sets it.
        learner: the network that is deployed, with its optimizer.

    Example:
        >>> from mwnet.builders.experiment import build
        >>> from mwnet.config.checks import validate
        >>> experiment = build(validate({"dataset": "digits", "method": "erm", "epochs": 2}))
        >>> method, train = experiment.method, experiment.train
        >>> list(method.step(train[0], None)), method.epochs
        (['train_loss'], 2)
    """

    meta: ClassVar[Literal["none", "any", "clean"]] = "none"
    """Which meta set ``step`` needs."""
    takes_loss: ClassVar[Literal["any", "per sample", "own"]] = "own"
    """What ``loss`` may be: all, those that can be weighted by sample, or not set at all."""
    needs_noise_rate: ClassVar[bool] = False
    """Whether it has a ``noise_rate``, a ``NoiseRate``."""
    recordable: ClassVar[bool] = False
    """Whether ``parts.record`` is around its update, as CUDA graphs need it."""
    stays_frozen: ClassVar[str] = ""
    """Why its network cannot be trained on together with a pretrained one; empty if it can."""
    takes_sample_weight: ClassVar[bool] = False
    """Whether it multiplies losses with the weights that came with the samples."""
    learns_weights: ClassVar[bool] = False
    """Whether a weight net sets the weights, which may then collapse."""
    takes_lag: ClassVar[bool] = False
    """Whether its look-ahead may be its step."""
    weight_of_loss: ClassVar[bool] = True
    """Whether the weight of a sample depends on its loss alone."""
    out_of_fold: ClassVar[bool] = False
    """Whether ``judge`` says what networks say that have not seen the sample.

    Then no samples are held out as a meta set. With other methods they are, even where the method
    needs none, so that all learn from the same samples.
    """
    distributed: ClassVar[bool] = False
    """Whether several processes can train it together."""
    networks: ClassVar[int] = 1
    passes: ClassVar[float] = 3
    """Cost of a step in forward passes of one network for one batch; a backward counts two."""

    learner: Learner
    fell_back: bool = False
    """Whether the method found that its weights do harm, and went back to weights of 1."""

    def __init__(self, *phases: Phase) -> None:
        super().__init__()
        self.phases = phases
        self.epoch = 0

    @property
    def epochs(self) -> int:
        """The number of epochs of all phases."""
        return sum(phase.epochs for phase in self.phases)

    @property
    def phase(self) -> str:
        """The name of the current phase."""
        return self.phase_of(self.epoch).name

    def phase_of(self, epoch: int) -> Phase:
        """Return the phase of an epoch counted from 0; after the end, the last phase."""
        for phase in self.phases:
            if epoch < phase.epochs:
                return phase
            epoch -= phase.epochs
        return self.phases[-1]

    def start_of(self, name: str) -> int:
        """Return the first epoch of a phase, counted from 0."""
        names = [phase.name for phase in self.phases]
        return sum(phase.epochs for phase in self.phases[: names.index(name)])

    @property
    def network(self) -> nn.Module:
        """The network that is deployed."""
        return self.learner.network

    @property
    def engine_name(self) -> str | None:
        """The engine of the meta-gradient; None before it is chosen, or if there is none."""
        return None

    @property
    def engine_passed_over(self) -> str | None:
        """Why no faster engine was taken; None if there is none, or nothing has been chosen."""
        engines = (getattr(module, "engine", None) for module in self.modules())
        return next((e.passed_over for e in engines if isinstance(e, EngineChoice)), None)

    def begin_epoch(self, context: Context) -> None:
        """Prepare an epoch; called before its first step."""

    def step(self, batch: Batch, meta_batch: Batch | None) -> dict[str, Tensor]:
        """Take one training step; return detached scalars, among them ``train_loss``."""
        raise NotImplementedError

    def logits(self, x: Tensor) -> Tensor:
        """Compute ``(n, K)`` logits of ``(n, c, h, w)`` images by the network that is deployed."""
        return self.learner(x)

    def judge(self, pixels: Pixels, ids: Tensor) -> Tensor:
        """Return ``(m, K)`` logits that given labels are judged by.

        They are those of the network, unless a method has better ones of its training samples.

        Args:
            pixels: the samples.
            ids: ``(m,)`` sample ids, on the device of the labels.
        """
        return predict(self, pixels, ids)

    def label_quality(self, logits: Tensor, labels: Tensor, index: Tensor) -> dict[str, Tensor]:
        """Score given labels; unless a method overrides this, by the probability of the label.

        Args:
            logits: ``(n, K)`` of un-augmented samples, in eval mode.
            labels: ``(n,)`` int64 given labels.
            index: ``(n,)`` int64 sample ids; they need not be training samples.

        Returns:
            ``own``: ``(n,)`` in [0, 1], the method's own score, low = suspect; ``weight``:
            ``(n,)``, how much the sample counts in training.
        """
        own = given_probability(logits, labels)
        return {"own": own, "weight": torch.ones_like(own)}


def given_probability(logits: Tensor, labels: Tensor) -> Tensor:
    """Compute ``(n,)`` probabilities of the given labels, which cleanlab calls self-confidence."""
    return logits.softmax(-1).gather(-1, labels[:, None]).squeeze(-1)


def log_margin(logits: Tensor, labels: Tensor) -> Tensor:
    """Compute ``(n,)`` log p of the given labels minus those of the best other classes, in nats.

    Beyond 30 nats a margin says nothing more, so it lies in [-30, 30].
    """
    own = logits.gather(1, labels[:, None]).squeeze(1)
    others = logits.scatter(1, labels[:, None], -torch.inf)
    return (own - others.max(1).values).clamp(-30, 30)


def training_set(method: Method, train: Batches) -> TrainingSet:
    """Return the training samples with the present predictions of a method."""

    def logits() -> Tensor:
        return predict(method, train.pixels, train.ids)

    ids = train.ids.to(train.labels.device)
    return TrainingSet(ids, train.labels[ids], logits)


@torch.no_grad()
def predict(method: nn.Module, pixels: Pixels, ids: Tensor) -> Tensor:
    """Compute ``(m, K)`` logits of un-augmented samples by a method or a network in eval mode.

    Each process takes its share of the samples, and all get the logits of all.
    """
    apply = method.logits if isinstance(method, Method) else method
    was_training = method.training
    method.eval()
    mine = ids[world().share(len(ids))]
    logits = world().gather(torch.cat([apply(x) for x in in_order(pixels, mine)]))
    method.train(was_training)
    return logits
