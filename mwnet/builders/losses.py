"""Build the loss that the options name, as far as the method takes one."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from mwnet import noise
from mwnet.builders.hyper import bound
from mwnet.config.schema import TrainingOptions
from mwnet.core.errors import UserError, first_line
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
    options: TrainingOptions, takes: str, sizes: Sizes, device: torch.device
) -> Loss | StatefulLoss:
    """The training loss for a method that takes "any", one that is "per sample", or its "own".

    Raises:
        UserError: a loss that the method cannot take, hyper-parameters out of range.
    """
    if takes == "any":
        return _plain_loss(options, sizes, device)
    if takes == "per sample":
        return pure_loss(options, "loss", sizes)
    if options.loss != "ce" or options.loss_options:
        raise UserError(f"`method={options.method!r}` has a loss of its own: leave `loss` out")
    return cross_entropy


def _plain_loss(
    options: TrainingOptions, sizes: Sizes, device: torch.device
) -> Loss | StatefulLoss:
    """The loss of plain training, with its memory if it has one."""
    hyper = options.loss_options
    if options.loss not in STATEFUL or "matrix" in hyper:
        return _tried(bound(LOSSES, options.loss, "loss", hyper), options.loss, "loss", sizes)
    if options.cuda_graphs:
        raise UserError(f"`cuda_graphs` cannot record `loss={options.loss!r}`, which has a memory")
    given: dict[str, Any] = {"num_samples": sizes.samples, "num_classes": sizes.classes}
    if options.loss in ("forward", "backward"):
        given |= {"kind": options.loss, "estimate": noise.anchored_matrix}
    build = bound(STATEFUL, options.loss, "loss", hyper, reserved=tuple(given))
    loss = build(**given)
    for when in ("warmup", "start", "sieve"):
        epoch = getattr(loss, when, 0)
        if epoch >= options.epochs:
            raise UserError(
                f"`loss={options.loss!r}` changes in epoch {epoch}, and there are {options.epochs}"
                f": give a lower `loss.{when}`"
            )
    return loss.to(device)


def _tried(loss: Callable[..., Any], name: str, kind: str, sizes: Sizes) -> Loss:
    """The loss, after a call that shows whether its hyper-parameters are in range."""
    matrix = getattr(loss, "keywords", {}).get("matrix")
    try:
        if matrix is not None:
            if len(matrix) != sizes.classes:
                raise ValueError(f"the matrix is for {len(matrix)} classes, not {sizes.classes}")
            invertible(matrix, name)
        loss(torch.zeros(sizes.classes, sizes.classes), torch.arange(sizes.classes))
    except ValueError as error:
        raise UserError(f"`{kind}={name!r}`: {first_line(error)}") from error
    return loss


def pure_loss(options: TrainingOptions, kind: str, sizes: Sizes) -> Loss:
    """A loss that is evaluated several times in a step, so that it can have no memory.

    Args:
        options: what was asked for.
        kind: "loss" or "meta_loss".
        sizes: of the data.

    Raises:
        UserError: a loss with a memory, hyper-parameters out of range.
    """
    name, hyper = options.loss, options.loss_options
    if kind == "meta_loss":
        name, hyper = options.meta_loss, options.meta_loss_options
    needing = STATEFUL if kind == "loss" else MEMORY_ONLY
    if name in needing and "matrix" not in hyper:
        hint = f", or give `{kind}.matrix`" if name in ("forward", "backward") else ""
        raise UserError(
            f"`{kind}={name!r}` has a memory, which `method={options.method!r}` cannot keep: take "
            f"it with `method='erm'`{hint}"
        )
    if name in OF_BATCH and kind == "loss":
        raise UserError(
            f"`loss={name!r}` is a loss of whole batches, which `method={options.method!r}` cannot "
            "weight by sample: take it as `meta_loss`, or with `method='erm'`"
        )
    return _tried(bound(LOSSES, name, kind, hyper), name, kind, sizes)
