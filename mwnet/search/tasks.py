"""What a loss is scored on: a data set with noise and an architecture, ready to be trained on."""

import functools
import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from mwnet.builders.dataset import dataset, load_source
from mwnet.builders.labels import given_labels
from mwnet.builders.network import classifier, try_out
from mwnet.builders.optimizer import optimizer, scheduler
from mwnet.config.schema import USER_DATASETS, DataOptions, NetworkOptions
from mwnet.config.search import SearchConfig
from mwnet.core import seeding
from mwnet.core.device import find_device
from mwnet.core.errors import UserError
from mwnet.data import Batches
from mwnet.losses import LOSSES, OF_BATCH, STATEFUL, TWO_VIEWS
from mwnet.losses.loss_file import TaylorLoss
from mwnet.methods.stacks import GROUP, Kind
from mwnet.search.space import degenerate
from mwnet.training.loop import steps
from mwnet.training.population import (
    EachLoss,
    Group,
    PopulationLoss,
    TaylorLosses,
    accuracy,
    kind_for,
)

Part = Literal["validation", "test"]
Loss = TaylorLoss | str
"""A point of the search space, or the name of a hand-made loss with its defaults."""

PROTOCOLS = {
    "ar": "mnist/mlp2,mnist/mlp3,mnist/cnn4",
    "dr": "mnist/cnn4,kmnist/cnn4,cifar10/cnn4",
    "joint": ",".join(
        f"{data}/{model}"
        for data in ("mnist", "kmnist", "cifar10")
        for model in ("mlp2", "mlp3", "cnn4")
    ),
}
"""The paper's randomisation of architectures, of data sets, and both at once."""

HAND_MADE = [n for n in LOSSES if n not in {*STATEFUL, *OF_BATCH, *TWO_VIEWS, "taylor"}]
"""Losses with a formula of their own and no memory."""

LOOPED_IN_JOB = 4


@dataclass(frozen=True)
class Job:
    """Several losses trained on one task with one seed; they share data, order and first weights.

    Attributes:
        task: position among the tasks.
        seed: what noise, samples, order and first weights are derived from.
        losses: what is minimised.
        epochs: of each training.
        at: after which epochs to measure, ascending.
        parts: on which samples.
    """

    task: int
    seed: int
    losses: tuple[Loss, ...]
    epochs: int
    at: tuple[int, ...]
    parts: tuple[Part, ...] = ("validation",)


@dataclass(frozen=True)
class Score:
    """Accuracy of one loss of a job by part, at each of the job's epochs; empty if it failed."""

    accuracy: dict[Part, list[float]]
    status: Literal["ok", "degenerate", "diverged", "died"] = "ok"


class Task:
    """A data set with noise and an architecture.

    Attributes:
        data: samples, labels and parts.
        truth: ``(n,)`` labels to measure with.
        samples: how many of the training part a job trains on.
        kind: how several networks are computed.

    The split is that of the run's seed, so that all losses are measured on the same samples. Each
    job draws its own noise and training samples, unless the labels are noisy as they are.

    Args:
        config: of the search, with the data set and the model of this task.
        validate: whether there is a validation part at all.

    Raises:
        UserError: the data cannot be loaded, is too small, or has no clean labels to measure with;
            an option that a search does not heed.
    """

    def __init__(self, config: SearchConfig, *, validate: bool = True) -> None:
        _check(config)
        self.config = config
        self.options = config.part(DataOptions)
        self.device = find_device(config.device)
        source = load_source(self.options)
        held_out = config.validation_size or min(5000, len(source.not_test()) // 5)
        divided = {"validation_size": held_out if validate else 0, "train_size": None}
        self.data = dataset(
            self.options.model_copy(update=divided),
            source,
            self.device,
            meta_size=0,
            clean_meta=False,
            channels_last=config.channels_last,
        )
        if self.data.truth is None:
            raise UserError(
                f"a search measures on clean labels: {config.dataset} has none (y_true), and no "
                "`noise` is added that would leave its own labels as the clean ones"
            )
        self.truth = self.data.truth.to(self.device)
        self.samples = config.search_samples or len(self.data.parts.train)
        if self.samples > len(self.data.parts.train):
            raise UserError(
                f"`search_samples={self.samples}` are more than the {len(self.data.parts.train)} "
                f"training samples of {config.dataset}"
            )
        network = self.network(config.seed)
        self.kind: Kind = kind_for(network, self.device)
        few = self.data.pixels.take(self.data.parts.train[:2].to(self.device))
        try_out(network, few, self.data.source.num_classes)

    @property
    def name(self) -> str:
        """As in ``search_tasks``."""
        return f"{self.config.dataset}/{self.config.model}"

    def digest(self) -> str:
        """Of all that is trained on and measured with."""
        of = hashlib.blake2b(digest_size=8)
        for part in (
            self.data.source.x,
            self.data.labels,
            self.truth,
            self.data.parts.test,
        ):
            of.update(part.cpu().contiguous().numpy().data)
        return of.hexdigest()

    @property
    def losses_in_job(self) -> int:
        """How many losses make a job: more are no faster each."""
        return LOOPED_IN_JOB if self.kind == "looped" else GROUP[self.kind]

    def network(self, seed: int) -> nn.Module:
        """The network with its weights from a seed."""
        options = self.config.part(NetworkOptions).model_copy(update={"seed": seed, "amp": "off"})
        return classifier(options, self.data.source, self.device)

    def batches(self, seed: int) -> Batches:
        """Training samples with the noise of a seed, in its order."""
        noisy = self.options.model_copy(update={"noise_seed": seed})
        given = given_labels(noisy, self.data.source)[0]
        ids = self.data.parts.train
        if self.samples < len(ids):
            rng = seeding.generator(seed, "search", "samples")
            ids = ids[torch.randperm(len(ids), generator=rng)[: self.samples]]
        return Batches(self.data.pixels, given, ids, self.config.batch_for(len(ids)), seed, "train")

    def run(self, job: Job) -> list[Score]:
        """Train and measure; the scores are in the order of the losses."""
        classes = self.data.source.num_classes
        failed = [
            not isinstance(loss, str) and degenerate(loss.theta, classes) for loss in job.losses
        ]
        fit = [loss for loss, bad in zip(job.losses, failed, strict=True) if not bad]
        train = self.batches(job.seed)
        scores: list[Score] = []
        size = GROUP[self.kind]
        for first in range(0, len(fit), size):
            with seeding.seeded(job.seed, "search", "network"):  # for dropout
                scores += self._trained(job, fit[first : first + size], train)
        in_order = iter(scores)
        return [Score({}, "degenerate") if bad else next(in_order) for bad in failed]

    def _trained(self, job: Job, losses: Sequence[Loss], train: Batches) -> list[Score]:
        group = Group(
            [self.network(job.seed) for _ in losses],
            self.kind,
            population_loss(losses, self.data.source.num_classes, self.device),
            lambda network: optimizer(self.config, network),
            lambda of: scheduler(self.config, of, len(train), job.epochs),
            torch.bfloat16 if self.config.amp == "bf16" else None,
        )
        measured: dict[Part, list[Tensor]] = {part: [] for part in job.parts}
        done = 0
        for epoch in job.at:
            for _ in steps(group, train, start=done * len(train), stop=epoch * len(train)):
                pass
            done = epoch
            for part in job.parts:
                ids = getattr(self.data.parts, part)
                labels = self.truth[ids.to(self.device)]
                measured[part].append(accuracy(group, self.data.pixels, ids, labels))
        scores = []
        for member in range(len(losses)):
            values: dict[Part, list[float]] = {
                part: [float(accuracies[member]) for accuracies in measured[part]]
                for part in job.parts
            }
            finite = all(math.isfinite(value) for part in values.values() for value in part)
            scores.append(Score(values) if finite else Score({}, "diverged"))
        return scores


def _check(config: SearchConfig) -> None:
    """Refuse options of data and network that a search would not heed."""
    if config.train_size is not None:
        raise UserError("`train_size` is for one training; a search has `search_samples`")
    if config.corrections is not None:
        raise UserError("`corrections` are for one training: leave them out of a search")
    for name in ("compile", "cuda_graphs"):
        if getattr(config, name):
            raise UserError(f"`mode='loss-search'` does not go with `{name}`")


def population_loss(
    losses: Sequence[Loss], num_classes: int, device: torch.device
) -> PopulationLoss:
    """The losses of a group: polynomials in closed form, or whatever by autograd."""
    found = [loss for loss in losses if not isinstance(loss, str)]
    if len(found) == len(losses):
        thetas, etas = [loss.theta for loss in found], [loss.eta for loss in found]
        return TaylorLosses(thetas, etas, num_classes, device)
    return EachLoss(
        [
            LOSSES[loss]
            if isinstance(loss, str)
            else functools.partial(LOSSES["taylor"], theta=loss.theta, eta=loss.eta)
            for loss in losses
        ]
    )


def task_configs(config: SearchConfig) -> list[SearchConfig]:
    """One configuration for each task of ``search_tasks``.

    Raises:
        UserError: words that name no task.
    """
    if config.search_tasks == "own":
        return [config]
    listed = PROTOCOLS.get(config.search_tasks, config.search_tasks)
    pairs = [entry.strip().partition("/") for entry in listed.split(",")]
    if any(not slash or not dataset or not model for dataset, slash, model in pairs):
        raise UserError(
            f"`search_tasks` got '{config.search_tasks}': own, {', '.join(PROTOCOLS)}, or "
            "DATASET/MODEL with commas between, as in mnist/mlp2,mnist/mlp3"
        )
    for name, _, _ in pairs:
        if name in USER_DATASETS and (name != config.dataset or config.data is None):
            raise UserError(f"a task of {name} needs `dataset={name!r}` and `data=PATH`")
    if len(set(pairs)) < len(pairs):
        raise UserError(f"`search_tasks` got a task twice: {config.search_tasks}")
    return [
        config.model_copy(
            update={
                "dataset": name,
                "model": model,
                # options of the run's own model and data say nothing about another one
                **({} if model == config.model else {"model_options": {}}),
                **({} if name == config.dataset else {"data": None}),
            }
        )
        for name, _, model in pairs
    ]
