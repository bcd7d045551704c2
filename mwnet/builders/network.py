"""Build the classifier that the options name."""

import copy
import functools
from collections.abc import Callable

import torch
from torch import nn

from mwnet import models
from mwnet.bilevel.batch_norm import share_batch_norms
from mwnet.bilevel.precision import Autocast, compile_in_place
from mwnet.builders.hyper import bound
from mwnet.config.schema import NetworkOptions
from mwnet.core import seeding
from mwnet.core.errors import UserError
from mwnet.core.world import alone, world
from mwnet.data import Source

BuildNetwork = Callable[..., nn.Module]
"""Called with ``num_classes``, ``in_channels``, ``image_size``: an entry of MODELS, or a user's."""


def classifier(
    options: NetworkOptions,
    source: Source,
    device: torch.device,
    purpose: str = "classifier",
    build: BuildNetwork | None = None,
) -> nn.Module:
    """Build the network for the source's classes and images, its weights from seed and purpose.

    Args:
        options: of the network.
        source: says how many classes and channels there are, and how large images are.
        device: of the network.
        purpose: networks of one purpose and seed have the same first weights.
        build: builds the network instead of ``options.model``.

    Raises:
        UserError: an unknown name, hyper-parameters that the network cannot have.
    """
    own = build
    if build is None:
        build = bound(
            {options.model: models.find(options.model)},
            options.model,
            "model",
            options.model_options,
            reserved=("num_classes", "in_channels", "image_size"),
        )
    elif options.model_options:
        build = functools.partial(build, **options.model_options)
    if options.model_options.get("pretrained") and not options.download:
        raise UserError("`model.pretrained` fetches weights: give `download=True` too")
    try:
        with seeding.seeded(options.seed, purpose):
            network = build(
                num_classes=source.num_classes,
                in_channels=source.in_channels,
                image_size=source.image_size,
            )
        if not isinstance(network, nn.Module):
            raise UserError(f"`model` must build a torch.nn.Module, got a {type(network).__name__}")
        network = network.to(device)
    except ValueError as error:  # what a builder says about its options
        raise UserError(str(error)) from error
    except (TypeError, RuntimeError, OSError) as error:
        given = ", ".join(f"{key} = {value}" for key, value in options.model_options.items())
        reason = str(error).splitlines()[0]
        if "can't allocate memory" in reason:
            reason = "there is not enough memory for it; take smaller values"
        what = f"`model={options.model!r}`" if own is None else "the network of `model`"
        with_ = f" with {given}" if given else ""
        raise UserError(f"{what}{with_} cannot be built: {reason}") from error
    if world().size > 1 and options.batch_norm == "sync":
        network = share_batch_norms(network)
    if options.amp == "bf16":
        network = Autocast(network)
    if options.channels_last:
        network = network.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    if options.compile:
        compile_in_place(network, device)
    return network


def model_for(source: Source) -> str:
    """Return the name of the network that ``auto`` stands for: tabm for features, else mlp2."""
    return "tabm" if source.image_size == (1, 1) else "mlp2"


def try_out(network: nn.Module, x: torch.Tensor, num_classes: int) -> None:
    """Pass a few samples through a copy of the network, in training mode, without a trace.

    Raises:
        UserError: samples that the network cannot take, an output that is no ``(n, K)`` logits.
    """
    try:
        with alone(), torch.no_grad(), seeding.seeded(0, "try out"):
            logits = copy.deepcopy(network).train()(x)
    except (RuntimeError, ValueError) as error:
        shape = tuple(x.shape[1:])
        reason = str(error).splitlines()[0]
        if "can't allocate memory" in reason:
            reason = "there is not enough memory for it; take smaller values"
        raise UserError(f"the model cannot train on samples of shape {shape}: {reason}") from error
    shape = tuple(getattr(logits, "shape", ()))
    if shape != (len(x), num_classes):
        raise UserError(
            f"the network of `model` must return logits of shape {(len(x), num_classes)}, got "
            f"{shape or type(logits).__name__}"
        )
