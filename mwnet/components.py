"""The parts that a Config names, one by one: network, optimizer, schedule, loss, method."""

import copy
import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn
from torch.optim import SGD, Adam, AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR
from tqdm import tqdm

from models import MODELS
from mwnet import schedules, seeding
from mwnet.accelerate import Autocast, compile_in_place
from mwnet.bilevel import Bilevel, EngineChoice
from mwnet.config import Config
from mwnet.cuda_graphs import Captured, Update
from mwnet.data import Source
from mwnet.errors import UserError, lookup, nearest
from mwnet.losses import LOSSES
from mwnet.methods import ERM, Method, MWNet
from mwnet.weighting import NORMALISATIONS, WeightNet


def classifier(config: Config, source: Source, device: torch.device) -> nn.Module:
    """The network for the source's classes and images, with initial weights from the seed."""
    builder = bound(
        MODELS,
        config.model,
        "model",
        config.model_options,
        reserved=("num_classes", "in_channels", "image_size"),
    )
    try:
        with seeding.seeded(config.seed, "classifier"):
            network = builder(
                num_classes=source.num_classes,
                in_channels=source.in_channels,
                image_size=source.image_size,
            ).to(device)
    except (TypeError, RuntimeError) as error:
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


def erm(config: Config, network: nn.Module, steps_per_epoch: int) -> ERM:
    """Plain training of the network."""
    of = optimizer(config, network)
    loss = bound(LOSSES, config.loss, "loss", config.loss_options)
    return ERM(network, of, scheduler(config, of, steps_per_epoch), loss, _recorded(config))


def mwnet(config: Config, network: nn.Module, steps_per_epoch: int) -> MWNet:
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
        bound(LOSSES, config.loss, "loss", config.loss_options),
        bound(LOSSES, config.meta_loss, "meta loss", config.meta_loss_options),
        NORMALISATIONS[config.normalisation],
        config.virtual_step,
        config.inner_steps,
    )
    schedule = scheduler(config, of, steps_per_epoch)
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


# One builder for each entry of METHODS: (config, network, steps of an epoch) -> method.
METHOD_BUILDERS: dict[str, Callable[[Config, nn.Module, int], Method]] = {
    "erm": erm,
    "mwnet": mwnet,
}


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
