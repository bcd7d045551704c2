"""The whole network of photos, pretrained part and head, trained on from where the head is."""

import copy
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from mwnet import models
from mwnet.bilevel import EngineChoice
from mwnet.bilevel.precision import Autocast
from mwnet.builders.experiment import Experiment
from mwnet.builders.method import method
from mwnet.builders.network import BuildNetwork, classifier
from mwnet.config.schema import NetworkOptions
from mwnet.data import Batches, Pixels, Source
from mwnet.data.decoding import BATCH
from mwnet.data.meta import MetaSource, NextBatches
from mwnet.data.photo_networks import find_extractor
from mwnet.data.photo_pixels import photo_pixels
from mwnet.methods import Learner, Method
from mwnet.methods.confident import ConfidentBatches

GPU_BATCH = 128
"""Photos that are evaluated together on a GPU, with room for their activations on a small one."""


class Whole(nn.Module):
    """A pretrained network, then its features on the scale of the head, then the head.

    The pretrained part stays in eval mode: its batch norms keep the statistics that they came with.

    Args:
        backbone: ``(n, c, h, w)`` pixels -> ``(n, d)`` features.
        head: ``(n, d, 1, 1)`` features -> ``(n, K)`` logits.
        mean, std: of the features, d values each.
    """

    def __init__(self, backbone: nn.Module, head: nn.Module, mean: Tensor, std: Tensor) -> None:
        super().__init__()
        self.backbone = backbone.requires_grad_(True)
        self.head: nn.Module = head
        self.centre: Tensor
        self.scale: Tensor
        self.register_buffer("centre", mean.flatten().clone())
        self.register_buffer("scale", std.flatten().clone())

    def train(self, mode: bool = True) -> "Whole":
        super().train(mode)
        self.backbone.eval()
        return self

    def forward(self, x: Tensor) -> Tensor:
        features = (self.backbone(x).flatten(1) - self.centre) / self.scale
        return self.head(features[:, :, None, None])


def whole_of(model: str, backbone: nn.Module, mean: Tensor, std: Tensor) -> BuildNetwork:
    """Return what builds a ``Whole`` with a copy of the backbone and a new head.

    Args:
        model: name of the head.
        backbone: pretrained.
        mean: of its features, d values.
        std: of its features, d values.
    """

    def build(
        num_classes: int, in_channels: int, image_size: tuple[int, int], **options: Any
    ) -> Whole:
        head = models.find(model)(
            num_classes=num_classes, in_channels=mean.numel(), image_size=(1, 1), **options
        )
        return Whole(copy.deepcopy(backbone), head, mean, std)

    return build


def saved_whole(
    options: NetworkOptions, backbone: nn.Module, tensors: dict[str, Tensor]
) -> BuildNetwork:
    """Return what builds the network of a saved model; its weights are loaded afterwards."""
    at = "network.network" if options.amp == "bf16" else "network"
    return whole_of(options.model, backbone, tensors[f"{at}.centre"], tensors[f"{at}.scale"])


def unfrozen(experiment: Experiment) -> Experiment:
    """Build the rest of an experiment with photos: its samples are pixels, its network is whole.

    Split, labels, order of the batches and the state of the method are those of the experiment. New
    are optimizers, AdamW at a constant ``unfreeze_lr``, and the choice of an engine.

    Args:
        experiment: with features of a pretrained network, trained or not.

    Raises:
        UserError: photos or weights that are no longer there.
    """
    config, data = experiment.config, experiment.data
    source = data.source
    assert config.data is not None
    assert source.extractor is not None
    assert source.names is not None
    network = find_extractor(source.extractor).load(config.download)
    x = photo_pixels([config.data / name for name in source.names], network.read)
    pixels = Pixels.of(x, data.parts.train, data.device, scaled=True)
    pixels = replace(
        pixels,
        channels_last=data.pixels.channels_last,
        at_once=GPU_BATCH if data.device.type == "cuda" else BATCH,
    )
    train = _with_pixels(experiment.train, pixels)
    meta: MetaSource | None = experiment.meta
    if isinstance(meta, Batches):
        meta = _with_pixels(meta, pixels)
    elif isinstance(meta, ConfidentBatches):
        meta = ConfidentBatches(train, meta.size, meta.batch_size, meta.memory, meta.warmup)
    elif isinstance(meta, NextBatches):
        meta = NextBatches(train)
    like = Source("like", x[:0], torch.empty(0), None, source.classes)
    build = whole_of(config.model, network.module, data.pixels.mean.cpu(), data.pixels.std.cpu())
    options = config.training_options.model_copy(
        update={"optimizer": "adamw", "lr": config.unfreeze_lr, "lr_schedule": "constant"}
    )
    built = method(
        options,
        lambda purpose: classifier(config.network_options, like, data.device, purpose, build),
        train,
        source.num_classes,
        precision="bfloat16" if config.amp == "bf16" else None,
        noise_rate=experiment.noise_rate,
        queue=meta if isinstance(meta, ConfidentBatches) else None,
    )
    _take_over(built, experiment.method)
    data = replace(data, source=replace(source, x=x), pixels=pixels)
    return replace(experiment, data=data, train=train, meta=meta, method=built)


def _with_pixels(batches: Batches, pixels: Pixels) -> Batches:
    """The same batches of other samples."""
    again = copy.copy(batches)
    again.pixels = pixels
    return again


def _take_over(method: Method, before: Method) -> None:
    """Continue another method whose networks are heads of this one's: all but its optimizers."""
    found = [getattr(module, "engine", None) for module in method.modules()]
    engines = [(one, one.state_dict()) for one in found if isinstance(one, EngineChoice)]
    learners, trained = _learners(method), _learners(before)
    parts = tuple(f"{name}." for name in learners)
    state = {
        name: value for name, value in before.state_dict().items() if not name.startswith(parts)
    }
    _, unknown = method.load_state_dict(state, strict=False)
    assert not unknown
    for name, learner in learners.items():
        whole = _plain(learner.network)
        assert isinstance(whole, Whole)
        whole.head.load_state_dict(_plain(trained[name].network).state_dict())
    for engine, fresh in engines:  # another network may need another engine
        engine.load_state_dict(fresh)
    method.epoch = before.epoch


def _learners(method: Method) -> dict[str, Learner]:
    return {name: each for name, each in method.named_modules() if isinstance(each, Learner)}


def _plain(network: nn.Module) -> nn.Module:
    """A network without the wrapper for bfloat16."""
    return network.network if isinstance(network, Autocast) else network
