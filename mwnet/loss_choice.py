"""The loss that a Config names, as far as the method takes one, with its hyper-parameters."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

import noise
from mwnet.config import Config
from mwnet.errors import UserError, first_line
from mwnet.losses import (
    LOSSES,
    MEMORY_ONLY,
    OF_BATCH,
    STATEFUL,
    Loss,
    StatefulLoss,
    cross_entropy,
    invertible,
)
from mwnet.options import bound


@dataclass(frozen=True)
class Sizes:
    """Of the data: samples of the source, and training samples by given label."""

    samples: int
    class_sizes: Tensor

    @property
    def classes(self) -> int:
        """K."""
        return len(self.class_sizes)


def training_loss(
    config: Config, takes: str, sizes: Sizes, device: torch.device
) -> Loss | StatefulLoss:
    """The training loss for a method that takes "any", one that is "per sample", or its "own".

    Raises:
        UserError: a loss that the method cannot take, hyper-parameters out of range.
    """
    if takes == "any":
        return _plain_loss(config, sizes, device)
    if takes == "per sample":
        return pure_loss(config, "loss", sizes)
    if config.loss != "ce" or config.loss_options:
        raise UserError(f"--method {config.method} has a loss of its own: leave --loss out")
    return cross_entropy


def _plain_loss(config: Config, sizes: Sizes, device: torch.device) -> Loss | StatefulLoss:
    """The loss of plain training, with its memory if it has one."""
    options = config.loss_options
    if config.loss not in STATEFUL or "matrix" in options:
        return _tried(bound(LOSSES, config.loss, "loss", options), config.loss, "--loss", sizes)
    if config.cuda_graphs:
        raise UserError(f"--cuda-graphs cannot record --loss {config.loss}, which has a memory")
    given: dict[str, Any] = {"num_samples": sizes.samples, "num_classes": sizes.classes}
    if config.loss in ("forward", "backward"):
        given |= {"kind": config.loss, "estimate": noise.anchored_matrix}
    build = bound(STATEFUL, config.loss, "loss", options, reserved=tuple(given))
    loss = build(**given)
    for when in ("warmup", "start", "sieve"):
        epoch = getattr(loss, when, 0)
        if epoch >= config.epochs:
            raise UserError(
                f"--loss {config.loss} changes in epoch {epoch}, and there are {config.epochs}: "
                f"give a lower --loss.{when}"
            )
    return loss.to(device)


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


def pure_loss(config: Config, kind: str, sizes: Sizes) -> Loss:
    """A loss that is evaluated several times in a step, so that it can have no memory.

    Args:
        config: what was asked for.
        kind: "loss" or "meta loss".
        sizes: of the data.

    Raises:
        UserError: a loss with a memory, hyper-parameters out of range.
    """
    name, options = config.loss, config.loss_options
    if kind == "meta loss":
        name, options = config.meta_loss, config.meta_loss_options
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
