"""Builds the objects that a Config names and runs them.

With components.py and corruption.py the only one that knows what a Config is made of and where its
parts come from.
"""

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

import noise
from mwnet import checkpoint, components, detection, report, seeding
from mwnet.accelerate import find_device
from mwnet.config import RESUMABLE_CHANGES, Config
from mwnet.corruption import given_labels
from mwnet.data import Batches, Pixels, Source, Split, split
from mwnet.errors import UserError, lookup
from mwnet.loss_file import is_loss_file, read_loss
from mwnet.losses import LOSSES, TWO_VIEWS
from mwnet.memory import start_measuring
from mwnet.methods import METHODS, Method
from mwnet.methods.base import predict
from mwnet.methods.confident import ConfidentBatches
from mwnet.methods.noise_rate import NoiseRate
from mwnet.needs import check_needs, meta_batches
from mwnet.recipe import load_yaml
from mwnet.report.folder import CONFIG
from mwnet.trainer import Trainer, load_checkpoint
from mwnet.validation import validate


@dataclass(frozen=True)
class Experiment:
    """Everything a run consists of, built and checked before anything is written.

    Attributes:
        config: what was asked for.
        device: where networks and samples are.
        source: the data as loaded.
        truth: ``(n,)`` true labels by sample id where known, else None; for metrics only.
        matrix: ``(K, K)`` transition matrix of the added noise, or None.
        parts: which sample is in which part.
        pixels: the samples on the device.
        labels: ``(n,)`` given labels, after noise, on the device.
        train, meta: batches; ``meta`` is None if the method needs none.
        clean_meta: whether the meta labels are the true ones.
        method: what will be trained.
    """

    config: Config
    device: torch.device
    source: Source
    truth: Tensor | None
    matrix: Tensor | None
    parts: Split
    pixels: Pixels
    labels: Tensor
    train: Batches
    meta: Batches | ConfidentBatches | None
    clean_meta: bool
    method: Method

    def assumed_noise_rate(self) -> dict[str, Any] | None:
        """The noise rate that the method works with and where it is from, if it needs one."""
        if not self.method.needs_noise_rate:
            return None
        source = "estimated"
        if self.config.noise_rate_known:
            source = "known"
        elif self.config.noise_rate_estimate is not None:
            source = "given"
        noise_rate = self.method.noise_rate
        assert isinstance(noise_rate, NoiseRate)  # every method that needs it has one
        rate = noise_rate.value
        return {"rate": None if math.isnan(rate) else rate, "source": source}

    @property
    def test_labels(self) -> Literal["true", "given"]:
        """Which labels accuracy on test data is measured with."""
        known = self.truth is not None or self.source.clean_test
        return "true" if known else "given"

    def metrics(self, scored: detection.Scored) -> dict[str, Any]:
        """Accuracy on test and validation data, and how well wrong training labels are found.

        Args:
            scored: the training samples as the method scores them now.
        """
        test_labels = self.source.labels if self.truth is None else self.truth
        line: dict[str, Any] = {"test_accuracy": self._accuracy(self.parts.test, test_labels)}
        if len(self.parts.validation):
            # Given labels: choosing a model must not need the truth.
            given = self.labels.cpu()
            line["validation_accuracy"] = self._accuracy(self.parts.validation, given)
        if self.truth is not None:
            truth = self.truth[self.parts.train].numpy()
            line["detection_auc"] = detection.detection_auc(scored, truth)
            line["precision_at_noise"] = detection.precision_at_noise(scored, truth)
        line["weights"] = detection.weight_health(scored, learnt=self.method.learns_weights)
        return line

    def identity(self) -> dict[str, Any]:
        """What must be the same for a run to be resumed: its options and all it learns from."""
        digest = hashlib.blake2b(digest_size=8)
        meta_labels = []
        if isinstance(self.meta, Batches):
            meta_labels = [self.meta.labels[self.parts.meta]]
        pixels = []
        if self.source.fingerprint is None:
            pixels = [self.source.x]
        else:
            digest.update(self.source.fingerprint.encode())
        for part in (*pixels, self.labels, *meta_labels):
            digest.update(part.cpu().contiguous().numpy().data)
        options = self.config.model_dump(mode="json", exclude={"out", *RESUMABLE_CHANGES})
        for kind in ("loss_options", "meta_loss_options"):
            theta = options[kind].get("theta", ",")
            if is_loss_file(theta):  # which may have changed
                found = read_loss(Path(theta))
                options[kind] = {"eta": found.eta, **options[kind], "theta": found.theta}
        return {**options, "contents of the data": digest.hexdigest()}

    def score(self, ids: Tensor) -> detection.Scored:
        """Scores of the given labels of some samples, by the method as it is now."""
        return detection.score(self.method, self.pixels, self.labels, ids)

    def _accuracy(self, ids: Tensor, labels: Tensor) -> float:
        predicted = predict(self.method, self.pixels, ids).argmax(1).cpu()
        return float((predicted == labels[ids]).double().mean())


def build(config: Config) -> Experiment:
    """Load, corrupt and split the data, and build method, networks and batches.

    Raises:
        UserError: whatever is wrong with names, files, sizes or labels.
    """
    try:
        return _build(config)
    except UserError:
        raise
    except ValueError as error:
        raise UserError(str(error)) from error


Watch = Callable[[Experiment, detection.Scored], dict[str, Any]]
"""Looks at a run when it is measured; what it returns is added to that line of the metrics."""


def run(config: Config, resume: Path | None = None, watch: Watch | None = None) -> dict[str, Any]:
    """Train as configured, in a new run folder or on from a checkpoint.

    Args:
        config: what to run.
        resume: run folder to go on in.
        watch: measures more than the metrics of every run; plain values only.

    Returns:
        The summary, as in ``summary.json``.

    Raises:
        UserError: bad input, a disk that cannot be written, a loss that is no longer finite; a
            run folder without a checkpoint is not left behind.
        Interrupted: asked to stop; a checkpoint is in the run folder.
    """
    experiment = build(config)
    start_measuring(experiment.device)
    latest: list[detection.Scored] = []

    def evaluate() -> dict[str, Any]:
        latest[:] = [experiment.score(experiment.parts.train)]
        line = experiment.metrics(latest[0])
        return line if watch is None else line | watch(experiment, latest[0])

    with report.run_folder(config, resume) as folder:
        report.announce(experiment, folder)
        trainer = Trainer(
            experiment.method,
            experiment.train,
            experiment.meta,
            evaluate,
            selector="validation_accuracy" if config.validation_size else "test_accuracy",
            folder=folder,
            identity=experiment.identity(),
            max_steps=config.max_steps,
            checkpoint_every=config.checkpoint_every,
            eval_every=config.eval_every,
            events=config.tensorboard,
            log_every=config.log_every,
        )
        if resume is not None:
            trainer.resume()
            print(f"continuing after step {trainer.progress.step}", flush=True)
        history = trainer.fit()
        # A finished run that is resumed has nothing left to evaluate.
        scored = latest[0] if latest else experiment.score(experiment.parts.train)
        return report.finish(experiment, scored, history, trainer.progress, folder)


def finished(folder: Path) -> Experiment:
    """The experiment of a run folder as it was after the last epoch.

    Raises:
        UserError: no run there, no readable checkpoint, or data that is not what it was.
    """
    if not (folder / checkpoint.LAST).is_file():
        raise UserError(f"{folder} holds no run with a checkpoint ({checkpoint.LAST})")
    experiment = build(validate(load_yaml(folder / CONFIG), f"{folder / CONFIG}: "))
    load_checkpoint(
        folder / checkpoint.LAST, experiment.method, experiment.identity(), experiment.device
    )
    return experiment


def _build(config: Config) -> Experiment:
    device = find_device(config.device)
    if config.cuda_graphs and device.type != "cuda":
        raise UserError(f"--cuda-graphs needs a CUDA device, this run is on {device.type}")
    if config.threads is not None:
        torch.set_num_threads(config.threads)
    wanted = lookup(METHODS, config.method, "method")
    lookup(LOSSES, config.meta_loss, "meta loss")  # also where the method does not read it
    confident = config.meta_source == "confident"
    clean_meta = wanted.meta != "none" and not (config.meta_noisy or confident)
    check_needs(config, wanted)
    source = components.source(config)
    if clean_meta and source.truth is None:
        hint = "give --meta-noisy, best with --meta-loss mae, or --meta-source confident"
        raise UserError(
            f"--method {config.method} has a clean meta set, which needs true labels, and this "
            "data has none (y_true): " + (hint if wanted.meta == "any" else "take another method")
        )
    given, truth, matrix = given_labels(config, source)
    parts = split(
        source,
        given,
        meta_size=0 if confident else config.meta_size,
        clean_meta=clean_meta,
        validation_size=config.validation_size,
        test_fraction=config.test_fraction,
        seed=config.seed,
        train_size=config.train_size,
    )
    if config.augment != "none" and source.image_size == (1, 1):
        raise UserError("--augment is for images; feature vectors can only have --augment none")
    pixels = Pixels.of(
        source.x, parts.train, device, config.augment, channels_last=config.channels_last
    )
    train = Batches(
        pixels,
        given,
        parts.train,
        config.batch_size,
        config.seed,
        "train",
        two_views=wanted.takes_loss == "any" and config.loss in TWO_VIEWS,
    )
    meta = None
    if wanted.meta != "none":
        meta = meta_batches(config, train, parts, truth if clean_meta else given)
    known = config.noise_rate_estimate
    if config.noise_rate_known:
        if truth is None:
            raise UserError("--noise-rate-known needs true labels, and this data has none")
        known = noise.realised_rate(given[parts.train], truth[parts.train])

    def network(purpose: str) -> nn.Module:
        built = components.classifier(config, source, device, purpose)
        components.try_out(built, pixels.take(parts.train[: train.batch_size][:2].to(device)))
        return built

    method = components.method(
        config,
        network,
        train,
        source.num_classes,
        noise_rate=known,
        queue=meta if isinstance(meta, ConfidentBatches) else None,
    )
    # From here on only the networks themselves draw from the global generators (dropout).
    torch.manual_seed(seeding.derive(config.seed, "network"))
    return Experiment(
        config=config,
        device=device,
        source=source,
        truth=truth,
        matrix=matrix,
        parts=parts,
        pixels=pixels,
        labels=given.to(device),
        train=train,
        meta=meta,
        clean_meta=clean_meta,
        method=method,
    )
