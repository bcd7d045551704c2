"""The parts that a Config names, one by one: network, optimizer, schedule, loss."""

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn
from torch.optim import SGD, Adam, AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR

from models import MODELS
from mwnet import schedules, seeding
from mwnet.config import Config
from mwnet.data import Source
from mwnet.errors import UserError, lookup, nearest


def classifier(config: Config, source: Source, device: torch.device) -> nn.Module:
    """The network for the source's classes and images, with initial weights from the seed."""
    builder = bound(
        MODELS,
        config.model,
        "model",
        config.model_options,
        reserved=("num_classes", "in_channels", "image_size"),
    )
    with seeding.seeded(config.seed, "classifier"):
        return builder(
            num_classes=source.num_classes,
            in_channels=source.in_channels,
            image_size=source.image_size,
        ).to(device)


def optimizer(config: Config, network: nn.Module) -> Optimizer:
    """The classifier's optimizer."""
    rate, decay = config.lr, config.weight_decay
    if config.optimizer == "adam":
        return Adam(network.parameters(), lr=rate, weight_decay=decay)
    if config.optimizer == "adamw":
        return AdamW(network.parameters(), lr=rate, weight_decay=decay)
    return SGD(
        network.parameters(),
        lr=rate,
        momentum=config.momentum,
        nesterov=config.nesterov,
        weight_decay=decay,
    )


def scheduler(config: Config, of: Optimizer, steps_per_epoch: int) -> LambdaLR:
    """The schedule of an optimizer's learning rate, to be advanced every step."""
    factor = schedules.constant()
    if config.lr_schedule == "cosine":
        factor = schedules.cosine(config.epochs)
    elif config.lr_schedule == "multistep":
        factor = schedules.multistep(config.lr_milestones)
    return LambdaLR(of, lambda step: factor(step / steps_per_epoch))


def bound(
    registry: Mapping[str, Callable[..., Any]],
    name: str,
    kind: str,
    options: Mapping[str, Any],
    reserved: tuple[str, ...] = ("logits", "labels"),
) -> Callable[..., Any]:
    """An entry of a registry with its hyper-parameters bound; unknown ones are refused."""
    entry = lookup(registry, name, kind)
    known = [key for key in inspect.signature(entry).parameters if key not in reserved]
    for key, value in options.items():
        flag = f"--{kind.replace(' ', '-')}.{key}"
        if key not in known:
            hint = nearest(key, known) if known else "it has none"
            raise UserError(f"{flag}: {kind} {name} has no hyper-parameter '{key}' ({hint})")
        if isinstance(value, str):
            raise UserError(f"{flag} got '{value}', which is no number")
    return functools.partial(entry, **options)
