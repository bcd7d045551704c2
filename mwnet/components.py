"""The parts that a Config names, one by one: network, optimizer, schedule, method."""

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.optim import SGD, Adam, AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR
from tqdm import tqdm

import models
from mwnet import schedules, seeding
from mwnet.accelerate import Autocast, compile_in_place
from mwnet.bilevel import EngineChoice
from mwnet.bilevel.tangents import load_rules
from mwnet.config import Config
from mwnet.cuda_graphs import Captured
from mwnet.data import Batches, Source
from mwnet.data.load import load
from mwnet.errors import UserError, first_line, lookup
from mwnet.loss_choice import Sizes, pure_loss, training_loss
from mwnet.methods import METHODS, Learner, Method, Parts, Weighting
from mwnet.methods.confident import ConfidentBatches
from mwnet.methods.learner import AnyModule
from mwnet.options import bound
from mwnet.weighting import NORMALISATIONS


def source(config: Config) -> Source:
    """The data set, as loaded.

    Raises:
        ValueError: unknown name, missing or broken data.
    """
    return load(
        config.dataset,
        path=config.data,
        root=config.data_root,
        download=config.download,
        label_column=config.label_column,
        image_size=config.image_size,
        skip_bad=config.skip_bad,
    )


def classifier(
    config: Config, source: Source, device: torch.device, purpose: str = "classifier"
) -> nn.Module:
    """The network for the source's classes and images, its weights from seed and purpose."""
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
        with seeding.seeded(config.seed, purpose):
            network = builder(
                num_classes=source.num_classes,
                in_channels=source.in_channels,
                image_size=source.image_size,
            ).to(device)
    except ValueError as error:  # what a builder says about its options
        raise UserError(str(error)) from error
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


def scheduler(config: Config, of: Optimizer, steps_per_epoch: int, epochs: float) -> LambdaLR:
    """The schedule of an optimizer's learning rate, to be advanced every step.

    A training of another length than ``--epochs`` goes through the same schedule faster.
    """
    factor = schedules.constant()
    if config.lr_schedule == "cosine":
        factor = schedules.cosine(config.epochs)
    elif config.lr_schedule == "multistep":
        factor = schedules.multistep(config.lr_milestones, config.lr_gamma)
    pace = config.epochs / epochs
    return LambdaLR(of, lambda step: factor(pace * step / steps_per_epoch))


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


def method(
    config: Config,
    network: Callable[[str], nn.Module],
    train: Batches,
    num_classes: int,
    *,
    noise_rate: float | None = None,
    queue: ConfidentBatches | None = None,
) -> Method:
    """The method that the Config names, with everything it is built from.

    Args:
        config: what was asked for.
        network: builds a classifier with weights for a purpose.
        train: the training samples, on the device of the run.
        num_classes: K.
        noise_rate: share of wrong labels if it was told.
        queue: meta set of confident samples, where that is asked for.

    Raises:
        UserError: options that do not fit.
    """
    wanted = lookup(METHODS, config.method, "method")
    device = train.labels.device
    class_sizes = train.labels[train.ids.to(device)].bincount(minlength=num_classes).cpu()
    sizes = Sizes(len(train.labels), class_sizes)
    build = bound(
        METHODS, config.method, "method", config.method_options, reserved=("parts", "weight_net")
    )
    if config.cuda_graphs and not wanted.recordable:
        raise UserError(f"--cuda-graphs cannot record --method {config.method}: leave it out")

    def learner(purpose: str = "classifier", epochs: float | None = None) -> Learner:
        built = network(purpose)
        of = optimizer(config, built)
        length = config.epochs if epochs is None else epochs
        return Learner(built, of, scheduler(config, of, len(train), length))

    def module(purpose: str, build: Callable[[], AnyModule]) -> AnyModule:
        with seeding.seeded(config.seed, purpose):
            return build().to(device)

    parts = Parts(
        learner=learner,
        module=module,
        loss=training_loss(config, wanted.takes_loss, sizes, device),
        epochs=config.epochs,
        train=train,
        num_samples=sizes.samples,
        class_sizes=class_sizes,
        weighting=weighting(config, sizes, queue) if wanted.meta == "any" else None,
        noise_rate=noise_rate,
        seed=config.seed,
        record=Captured if config.cuda_graphs else lambda update: update,
    )
    try:
        return build(parts).to(device)
    except UserError:
        raise
    except ValueError as error:
        raise UserError(f"--method {config.method}: {first_line(error)}") from error


def weighting(config: Config, sizes: Sizes, queue: ConfidentBatches | None) -> Weighting:
    """What methods with a meta-gradient share."""
    if config.engine != "higher":
        load_rules()

    def weight_optimizer(weight_net: nn.Module) -> Optimizer:
        parameters = weight_net.parameters()
        rate, decay = config.weight_net_lr, config.weight_net_weight_decay
        if config.weight_net_optimizer == "adam":
            return Adam(parameters, lr=rate, weight_decay=decay, capturable=config.cuda_graphs)
        return SGD(parameters, lr=rate, momentum=0.9, nesterov=True, weight_decay=decay)

    return Weighting(
        meta_loss=pure_loss(config, "meta loss", sizes),
        optimizer=weight_optimizer,
        engine=EngineChoice(
            config.engine,
            lean=config.lean,
            precision="bfloat16" if config.amp == "bf16" else None,
            say=_refuse if config.cuda_graphs else tqdm.write,
        ),
        normalise=NORMALISATIONS[config.normalisation],
        virtual_step=config.virtual_step,
        inner_steps=config.inner_steps,
        meta_interval=config.meta_interval,
        queue=queue,
    )


def _refuse(fallback: str) -> None:
    raise UserError(f"--cuda-graphs needs the engine forward; {fallback}")
