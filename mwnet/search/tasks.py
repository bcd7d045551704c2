"""What a loss is scored on: a data set with noise and an architecture, ready to be trained on."""

import functools
import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from mwnet import components, seeding
from mwnet.accelerate import find_device
from mwnet.config import USER_DATASETS, Config
from mwnet.corruption import given_labels
from mwnet.data import Batches, Pixels, split
from mwnet.errors import UserError
from mwnet.loss_file import TaylorLoss
from mwnet.losses import LOSSES, OF_BATCH, STATEFUL, TWO_VIEWS
from mwnet.population import EachLoss, Group, PopulationLoss, TaylorLosses, accuracy, kind_for
from mwnet.population.stacks import GROUP, Kind
from mwnet.search.space import degenerate

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
        source: the data as loaded.
        parts: which sample is in which part.
        pixels: the samples on the device.
        truth: ``(n,)`` labels to measure with.
        samples: how many of the training part a job trains on.
        kind: how several networks are computed.

    The split is that of the run's seed, so that all losses are measured on the same samples. Each
    job draws its own noise and training samples, unless the labels are noisy as they are.

    Args:
        config: of the search, with the data set and the model of this task.
        validate: whether there is a validation part at all.

    Raises:
        UserError: the data cannot be loaded, is too small, or has no clean labels to measure with.
    """

    def __init__(self, config: Config, *, validate: bool = True) -> None:
        self.config = config
        self.device = find_device(config.device)
        self.source = components.source(config)
        given, truth, _ = given_labels(config, self.source)
        self.given = given
        if truth is None:
            raise UserError(
                f"a search measures on clean labels: {config.dataset} has none (y_true), and no "
                "--noise is added that would leave its own labels as the clean ones"
            )
        held_out = config.validation_size or min(5000, len(self.source.not_test()) // 5)
        self.parts = split(
            self.source,
            given,
            meta_size=0,
            clean_meta=False,
            validation_size=held_out if validate else 0,
            test_fraction=config.test_fraction,
            seed=config.seed,
        )
        self.samples = config.search_samples or len(self.parts.train)
        if self.samples > len(self.parts.train):
            raise UserError(
                f"--search-samples {self.samples} are more than the {len(self.parts.train)} "
                f"training samples of {config.dataset}"
            )
        if config.augment != "none" and self.source.image_size == (1, 1):
            raise UserError("--augment is for images; feature vectors take --augment none")
        self.pixels = Pixels.of(
            self.source.x,
            self.parts.train,
            self.device,
            config.augment,
            channels_last=config.channels_last,
        )
        self.truth = truth.to(self.device)
        network = self.network(config.seed)
        self.kind: Kind = kind_for(network, self.device)
        components.try_out(network, self.pixels.take(self.parts.train[:2].to(self.device)))

    @property
    def name(self) -> str:
        """As in ``--search-tasks``."""
        return f"{self.config.dataset}/{self.config.model}"

    def digest(self) -> str:
        """Of all that is trained on and measured with."""
        of = hashlib.blake2b(digest_size=8)
        for part in (self.source.x, self.given, self.truth, self.parts.test):
            of.update(part.cpu().contiguous().numpy().data)
        return of.hexdigest()

    @property
    def losses_in_job(self) -> int:
        """How many losses make a job: more are no faster each."""
        return LOOPED_IN_JOB if self.kind == "looped" else GROUP[self.kind]

    def network(self, seed: int) -> nn.Module:
        """The network with its weights from a seed."""
        config = self.config.model_copy(update={"seed": seed, "amp": "off"})
        return components.classifier(config, self.source, self.device)

    def batches(self, seed: int) -> Batches:
        """Training samples with the noise of a seed, in its order."""
        noise_seed = {"noise_seed": seed}
        given = given_labels(self.config.model_copy(update=noise_seed), self.source)[0]
        ids = self.parts.train
        if self.samples < len(ids):
            rng = seeding.generator(seed, "search", "samples")
            ids = ids[torch.randperm(len(ids), generator=rng)[: self.samples]]
        return Batches(self.pixels, given, ids, self.config.batch_size, seed, "train")

    def run(self, job: Job) -> list[Score]:
        """Train and measure; the scores are in the order of the losses."""
        classes = self.source.num_classes
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
            population_loss(losses, self.source.num_classes, self.device),
            lambda network: components.optimizer(self.config, network),
            lambda of: components.scheduler(self.config, of, len(train), job.epochs),
            torch.bfloat16 if self.config.amp == "bf16" else None,
        )
        measured: dict[Part, list[Tensor]] = {part: [] for part in job.parts}
        done = 0
        for epoch in job.at:
            for step in range(done * len(train), epoch * len(train)):
                group.step(train[step])
            done = epoch
            for part in job.parts:
                ids = getattr(self.parts, part)
                labels = self.truth[ids.to(self.device)]
                measured[part].append(accuracy(group, self.pixels, ids, labels))
        scores = []
        for member in range(len(losses)):
            values: dict[Part, list[float]] = {
                part: [float(accuracies[member]) for accuracies in measured[part]]
                for part in job.parts
            }
            finite = all(math.isfinite(value) for part in values.values() for value in part)
            scores.append(Score(values) if finite else Score({}, "diverged"))
        return scores


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


def task_configs(config: Config) -> list[Config]:
    """One configuration for each task of ``--search-tasks``.

    Raises:
        UserError: words that name no task.
    """
    if config.search_tasks == "own":
        return [config]
    listed = PROTOCOLS.get(config.search_tasks, config.search_tasks)
    pairs = [entry.strip().partition("/") for entry in listed.split(",")]
    if any(not slash or not dataset or not model for dataset, slash, model in pairs):
        raise UserError(
            f"--search-tasks got '{config.search_tasks}': own, {', '.join(PROTOCOLS)}, or "
            "DATASET/MODEL with commas between, as in mnist/mlp2,mnist/mlp3"
        )
    for dataset, _, _ in pairs:
        if dataset in USER_DATASETS and (dataset != config.dataset or config.data is None):
            raise UserError(f"a task of {dataset} needs --dataset {dataset} --data PATH")
    if len(set(pairs)) < len(pairs):
        raise UserError(f"--search-tasks got a task twice: {config.search_tasks}")
    return [
        config.model_copy(
            update={
                "dataset": dataset,
                "model": model,
                # options of the run's own model and data say nothing about another one
                **({} if model == config.model else {"model_options": {}}),
                **({} if dataset == config.dataset else {"data": None}),
            }
        )
        for dataset, _, model in pairs
    ]
