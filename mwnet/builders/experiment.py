"""From options to an experiment: everything a run consists of, built and checked."""

import hashlib
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mwnet import detection, noise
from mwnet.builders.dataset import load_source
from mwnet.builders.meta import check_needs
from mwnet.builders.method import method
from mwnet.builders.network import BuildNetwork, classifier, model_for, try_out
from mwnet.builders.samples import samples
from mwnet.builders.sharing import check_shared, check_shares
from mwnet.config.schema import Config
from mwnet.core.device import find_device
from mwnet.core.errors import UserError, lookup
from mwnet.core.world import world
from mwnet.data import Batches, Source
from mwnet.data.dataset import Dataset
from mwnet.data.meta import MetaSource
from mwnet.losses.loss_file import is_loss_file, read_loss
from mwnet.methods import METHODS, Method, Phase
from mwnet.methods.base import predict
from mwnet.methods.confident import ConfidentBatches
from mwnet.methods.noise_rate import NoiseRate

DIGESTED = 4096
"""Samples that are read at once for the digest, so that a mapped file is never read whole."""


@dataclass(frozen=True)
class Experiment:
    """Everything a run consists of, built and checked before anything is written.

    Attributes:
        config: what was asked for.
        data: samples, labels and parts.
        train, meta: batches; ``meta`` is None if the method needs none.
        clean_meta: whether the meta labels are the true ones.
        method: what will be trained.
        trajectory: of the training samples.
        noise_rate: share of wrong labels that the method was told, or None.
    """

    config: Config
    data: Dataset
    train: Batches
    meta: MetaSource | None
    clean_meta: bool
    method: Method
    trajectory: detection.Trajectory
    noise_rate: float | None = None

    @property
    def device(self) -> torch.device:
        """Where networks and samples are."""
        return self.data.device

    @property
    def phases(self) -> tuple[Phase, ...]:
        """The parts of the run: those of the method, and the one that trains the whole network."""
        own = self.method.phases
        if not self.config.unfreeze:
            return own
        head = own if len(own) > 1 else (Phase("head", self.method.epochs),)
        return (*head, Phase("whole", self.config.unfreeze))

    @property
    def frozen_steps(self) -> int:
        """The number of steps that the method takes before the whole network is trained."""
        return self.method.epochs * len(self.train)

    def assumed_noise_rate(self) -> dict[str, Any] | None:
        """Return the noise rate that the method works with and its origin; None without one."""
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

    def realised_rate(self) -> float | None:
        """Return the share of wrong training labels, None where the truth is unknown."""
        if self.data.truth is None:
            return None
        train = self.data.parts.train
        return noise.realised_rate(self.data.labels.cpu()[train], self.data.truth[train])

    def metrics(self, scored: detection.Scored) -> dict[str, Any]:
        """Measure accuracy on test and validation data, and how well wrong labels are found.

        Args:
            scored: the training samples as the method scores them now.
        """
        data = self.data
        test_labels = data.labels.cpu() if data.truth is None else data.truth
        line: dict[str, Any] = {"test_accuracy": self._accuracy(data.parts.test, test_labels)}
        if len(data.parts.validation):
            # Given labels: choosing a model must not need the truth.
            line["validation_accuracy"] = self._accuracy(data.parts.validation, data.labels.cpu())
        if data.truth is not None:
            line |= detection.detection_metrics(scored, data.truth[data.parts.train].numpy())
        line["weights"] = detection.health_of(self.method, scored)
        return line

    def identity(self) -> dict[str, Any]:
        """Return what must be the same for a run to be resumed: options and all it learns from."""
        digest = hashlib.blake2b(digest_size=8)
        source, meta_labels = self.data.source, []
        if isinstance(self.meta, Batches):
            meta_labels = [self.meta.labels[self.data.parts.meta]]
        pixels = []
        if source.fingerprint is None:
            pixels = [source.x]
        else:
            digest.update(source.fingerprint.encode())
        for part in (*pixels, self.data.labels, *meta_labels):
            for some in part.cpu().split(DIGESTED):
                digest.update(some.contiguous().numpy().data)
        harmless = {"out", *self.config.resumable()}
        options = self.config.model_dump(mode="json", exclude=harmless)
        for kind in ("loss_options", "meta_loss_options"):
            theta = options[kind].get("theta", ",")
            if is_loss_file(theta):  # which may have changed
                found = read_loss(Path(theta))
                options[kind] = {"eta": found.eta, **options[kind], "theta": found.theta}
        review = None if source.review is None else source.review.digest
        return {
            **options,
            "contents of the data": digest.hexdigest(),
            "contents of the corrections": review,
        }

    def score(self, ids: Tensor, *, look: bool = False) -> detection.Scored:
        """Score the given labels of some samples, by the method as it is now; see ``look``."""
        data = self.data
        trusted = None if data.corrections is None else data.trusted
        return detection.score(
            self.method, data.pixels, data.labels, ids, self.trajectory, look=look, trusted=trusted
        )

    def _accuracy(self, ids: Tensor, labels: Tensor) -> float:
        if not len(ids):
            return math.nan
        predicted = predict(self.method, self.data.pixels, ids).argmax(1).cpu()
        return float((predicted == labels[ids]).double().mean())


def build(
    config: Config,
    source: Source | None = None,
    network: BuildNetwork | None = None,
    *,
    progress: bool = False,
) -> Experiment:
    """Load, corrupt and divide the data, and build method, networks and batches.

    Nothing of the process changes: no seed, no number of threads.

    Args:
        config: what was asked for.
        source: the samples, instead of those that the config names.
        network: builds the network, instead of the model that the config names.
        progress: show a bar on stderr while features of photos are taken.

    Raises:
        UserError: whatever is wrong with names, files, sizes or labels.
    """
    try:
        return _build(config, source, network, progress)
    except UserError:
        raise
    except ValueError as error:
        raise UserError(str(error)) from error


def _build(
    config: Config, source: Source | None, build_network: BuildNetwork | None, progress: bool
) -> Experiment:
    device = find_device(config.device)
    if config.cuda_graphs and device.type != "cuda":
        raise UserError(f"`cuda_graphs` needs a CUDA device, this run is on {device.type}")
    wanted = lookup(METHODS, config.method, "method")
    check_needs(config.training_options, wanted)
    check_shared(config.training_options, wanted)
    if world().size > 1 and config.compile:
        raise UserError("`compile` is for one process: leave it out")
    if source is None:
        source = load_source(config.data_options, progress=progress)
    _check_unfreeze(config, source)
    if config.model == "auto":
        config = config.model_copy(update={"model": model_for(source)})
    options = config.data_options, config.network_options, config.training_options
    data, train, meta, clean_meta = samples(*options, wanted, device, source)
    check_shares(batch_size=train.batch_size)
    if isinstance(meta, (Batches, ConfidentBatches)):
        check_shares(meta_batch_size=meta.batch_size)
    noise_rate = config.noise_rate_estimate
    if config.noise_rate_known:
        if data.truth is None:
            raise UserError("`noise_rate_known` needs true labels, and this data has none")
        ids = data.parts.train
        noise_rate = noise.realised_rate(data.labels.cpu()[ids], data.truth[ids])

    # A method keeps what builds its networks, so nothing in there may hold labels.
    like = Source("like", data.source.x[:0], torch.empty(0), None, data.source.classes)
    few = data.pixels.take(data.parts.train[: train.batch_size][:2].to(device))

    def network(purpose: str) -> nn.Module:
        built = classifier(options[1], like, device, purpose, build_network)
        try_out(built, few, like.num_classes)
        return built

    built = method(
        options[2],
        network,
        train,
        data.source.num_classes,
        precision="bfloat16" if config.amp == "bf16" else None,
        noise_rate=noise_rate,
        queue=meta if isinstance(meta, ConfidentBatches) else None,
    )
    trajectory = detection.Trajectory(len(data.labels))
    return Experiment(config, data, train, meta, clean_meta, built, trajectory, noise_rate)


def _check_unfreeze(config: Config, source: Source) -> None:
    """Refuse to unfreeze what is not frozen, or what a method cannot go on with."""
    if not config.unfreeze:
        return
    if world().size > 1:
        raise UserError("`unfreeze` is for one process: leave it out")
    if source.extractor is None or config.data is None or source.names is None:
        raise UserError(
            "`unfreeze` trains the network that photos in class folders went through, and this "
            "data has no features of one: leave it out"
        )
    why = METHODS[config.method].stays_frozen
    if why:
        raise UserError(f"`unfreeze` does not go with `method={config.method!r}`, {why}")
