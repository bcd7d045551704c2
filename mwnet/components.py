"""The parts that a Config names, one by one: network, optimizer, schedule, loss, method."""

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.optim import SGD, Adam, AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR
from tqdm import tqdm

import models
import noise
from mwnet import schedules, seeding
from mwnet.accelerate import Autocast, compile_in_place
from mwnet.bilevel import Bilevel, EngineChoice
from mwnet.config import Config
from mwnet.cuda_graphs import Captured, Update
from mwnet.data import Source
from mwnet.errors import UserError, first_line
from mwnet.losses import (
    LOSSES,
    MEMORY_ONLY,
    OF_BATCH,
    STATEFUL,
    Loss,
    StatefulLoss,
    invertible,
)
from mwnet.methods import ERM, Method, MWNet
from mwnet.options import bound
from mwnet.weighting import NORMALISATIONS, WeightNet


def classifier(config: Config, source: Source, device: torch.device) -> nn.Module:
    """The network for the source's classes and images, with initial weights from the seed."""
    builder = bound(
        {config.model: models.find(config.model)},
        config.model,
        "model",
        config.model_options,
        reserved=("num_classes", "in_channels", "image_size"),
    )
    if config.model_options.get("pretrained") and not config.download:
        raise UserError("--model.pretrained fetches weights: give --download too")
    try:
        with seeding.seeded(config.seed, "classifier"):
            network = builder(
                num_classes=source.num_classes,
                in_channels=source.in_channels,
                image_size=source.image_size,
            ).to(device)
    except (TypeError, RuntimeError, OSError) as error:
        given = ", ".join(f"{key} = {value}" for key, value in config.model_options.items())
        reason = str(error).splitlines()[0]
        raise UserError(f"--model {config.model} with {given} cannot be built: {reason}") from error
    if config.amp == "bf16":
        network = Autocast(network)
    if config.channels_last:
        network = network.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    if config.compile:
        compile_in_place(network, device)
    return network


def optimizer(config: Config, network: nn.Module) -> Optimizer:
    """The classifier's optimizer."""
    rate: float | torch.Tensor = config.lr
    recorded: dict[str, Any] = {}
    if config.cuda_graphs:  # a replay repeats numbers; what changes must be a tensor
        rate = torch.tensor(rate, device=next(network.parameters()).device)
        recorded = {"fused": True}
    if config.optimizer == "sgd":
        return SGD(
            network.parameters(),
            lr=rate,
            momentum=config.momentum,
            nesterov=config.nesterov,
            weight_decay=config.weight_decay,
            **recorded,
        )
    kind = {"adam": Adam, "adamw": AdamW}[config.optimizer]
    recorded["capturable"] = config.cuda_graphs
    return kind(network.parameters(), lr=rate, weight_decay=config.weight_decay, **recorded)


def scheduler(config: Config, of: Optimizer, steps_per_epoch: int) -> LambdaLR:
    """The schedule of an optimizer's learning rate, to be advanced every step."""
    factor = schedules.constant()
    if config.lr_schedule == "cosine":
        factor = schedules.cosine(config.epochs)
    elif config.lr_schedule == "multistep":
        factor = schedules.multistep(config.lr_milestones)
    return LambdaLR(of, lambda step: factor(step / steps_per_epoch))


def try_out(network: nn.Module, x: torch.Tensor) -> None:
    """Pass a few samples through a copy of the network, in training mode, without a trace.

    Raises:
        UserError: samples that the network cannot take.
    """
    try:
        with torch.no_grad(), seeding.seeded(0, "try out"):
            copy.deepcopy(network).train()(x)
    except (RuntimeError, ValueError) as error:
        shape = tuple(x.shape[1:])
        reason = str(error).splitlines()[0]
        raise UserError(f"the model cannot train on samples of shape {shape}: {reason}") from error


@dataclass(frozen=True)
class Sizes:
    """What a builder may need to know of the data: steps of an epoch, samples, classes."""

    steps_per_epoch: int
    samples: int
    classes: int


def erm(config: Config, network: nn.Module, sizes: Sizes) -> ERM:
    """Plain training of the network."""
    of = optimizer(config, network)
    schedule = scheduler(config, of, sizes.steps_per_epoch)
    return ERM(network, of, schedule, _plain_loss(config, network, sizes), _recorded(config))


def _plain_loss(config: Config, network: nn.Module, sizes: Sizes) -> Loss | StatefulLoss:
    """The loss of plain training, with its memory if it has one."""
    options = config.loss_options
    if config.loss not in STATEFUL or "matrix" in options:
        return _tried(bound(LOSSES, config.loss, "loss", options), config.loss, "--loss", sizes)
    if config.cuda_graphs:
        raise UserError(f"--cuda-graphs cannot record --loss {config.loss}, which has a memory")
    given: dict[str, Any] = {"num_samples": sizes.samples, "num_classes": sizes.classes}
    if config.loss in ("forward", "backward"):
        given |= {"kind": config.loss, "estimate": _estimate}
    build = bound(STATEFUL, config.loss, "loss", options, reserved=tuple(given))
    loss = build(**given)
    for when in ("warmup", "start", "sieve"):
        epoch = getattr(loss, when, 0)
        if epoch >= config.epochs:
            raise UserError(
                f"--loss {config.loss} changes in epoch {epoch}, and there are {config.epochs}: "
                f"give a lower --loss.{when}"
            )
    return loss.to(next(network.parameters()).device)


def _estimate(probabilities: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """T by anchor points: at the 97th percentile, unless a class is so rare that it has none."""
    rarest = float(torch.bincount(labels, minlength=probabilities.shape[1]).min()) / len(labels)
    return noise.anchor_points(probabilities, percentile=0.97 if rarest > 0.06 else None)


def _tried(loss: Callable[..., Any], name: str, flag: str, sizes: Sizes) -> Loss:
    """The loss, after a call that shows whether its hyper-parameters are in range."""
    matrix = getattr(loss, "keywords", {}).get("matrix")
    try:
        if matrix is not None:
            if len(matrix) != sizes.classes:
                raise ValueError(f"the matrix is for {len(matrix)} classes, not {sizes.classes}")
            invertible(matrix, name)
        loss(torch.zeros(sizes.classes, sizes.classes), torch.arange(sizes.classes))
    except ValueError as error:
        raise UserError(f"{flag} {name}: {first_line(error)}") from error
    return loss


def _pure_loss(
    config: Config, name: str, kind: str, options: Mapping[str, Any], sizes: Sizes
) -> Loss:
    """A loss that is evaluated several times in a step, so that it can have no memory."""
    flag = f"--{kind.replace(' ', '-')}"
    needing = STATEFUL if kind == "loss" else MEMORY_ONLY
    if name in needing and "matrix" not in options:
        hint = f", or give {flag}.matrix" if name in ("forward", "backward") else ""
        raise UserError(
            f"{flag} {name} has a memory, which --method {config.method} cannot keep: take it with "
            f"--method erm{hint}"
        )
    if name in OF_BATCH and kind == "loss":
        raise UserError(
            f"--loss {name} is a loss of whole batches, which --method {config.method} cannot "
            "weight by sample: take it as --meta-loss, or with --method erm"
        )
    return _tried(bound(LOSSES, name, kind, options), name, flag, sizes)


def mwnet(config: Config, network: nn.Module, sizes: Sizes) -> MWNet:
    """MW-Net, MNW-Net or RMNW-Net around the network, with a weight net of its own."""
    of = optimizer(config, network)
    with seeding.seeded(config.seed, "weight net"):
        weight_net = WeightNet().to(next(network.parameters()).device)
    rate, decay = config.weight_net_lr, config.weight_net_weight_decay
    if config.weight_net_optimizer == "adam":
        weight_optimizer: Optimizer = Adam(
            weight_net.parameters(), lr=rate, weight_decay=decay, capturable=config.cuda_graphs
        )
    else:
        weight_optimizer = SGD(
            weight_net.parameters(), lr=rate, momentum=0.9, nesterov=True, weight_decay=decay
        )
    problem = Bilevel(
        network,
        weight_net,
        _pure_loss(config, config.loss, "loss", config.loss_options, sizes),
        _pure_loss(config, config.meta_loss, "meta loss", config.meta_loss_options, sizes),
        NORMALISATIONS[config.normalisation],
        config.virtual_step,
        config.inner_steps,
    )
    schedule = scheduler(config, of, sizes.steps_per_epoch)
    engine = EngineChoice(
        config.engine,
        lean=config.lean,
        precision="bfloat16" if config.amp == "bf16" else None,
        say=_refuse if config.cuda_graphs else tqdm.write,
    )
    return MWNet(
        problem,
        of,
        schedule,
        weight_optimizer,
        engine,
        config.meta_interval,
        _recorded(config),
    )


def _refuse(fallback: str) -> None:
    raise UserError(f"--cuda-graphs needs the engine forward; {fallback}")


def _recorded(config: Config) -> Callable[[Update], Update]:
    """What wraps a method's update: a CUDA graph, or nothing."""
    return Captured if config.cuda_graphs else lambda update: update


# One builder for each entry of METHODS: (config, network, sizes) -> method.
METHOD_BUILDERS: dict[str, Callable[[Config, nn.Module, Sizes], Method]] = {
    "erm": erm,
    "mwnet": mwnet,
}
