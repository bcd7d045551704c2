"""What a user hands to a bilevel step, checked where it enters: one sentence for what is wrong.

Shapes, types and devices are looked at, never values on an accelerator, so no check waits for one.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import LBFGS, Optimizer

from mwnet.bilevel import inputs
from mwnet.bilevel.updates import formula
from mwnet.bilevel.weighting import Normalise
from mwnet.core.arguments import count, entry
from mwnet.core.errors import UserError, first_line
from mwnet.losses import LOSSES, MEMORY_ONLY, OF_BATCH, STATEFUL, Loss


def per_sample_loss(loss: str | Loss, argument: str, labels: str) -> "CheckedLoss":
    """Find a loss by name, or take a callable, and check all that goes in and comes out.

    Args:
        loss: a name in LOSSES, or ``(logits, labels) -> (n,)`` losses.
        argument: what the user calls it.
        labels: what the user calls its labels.

    Raises:
        UserError: an unknown name, a loss with a memory or of a whole batch, no callable.
    """
    if not isinstance(loss, str):
        if not callable(loss):
            raise UserError(
                f"`{argument}` must be a name or a function (logits, labels) -> losses, "
                f"got {_kind(loss)}"
            )
        return CheckedLoss(loss, argument, labels)
    remembering = STATEFUL if argument == "loss" else MEMORY_ONLY
    if loss in remembering:
        raise UserError(
            f"`{argument}` {loss!r} has a memory, and a bilevel step evaluates its losses several "
            "times: take one without"
        )
    if loss in OF_BATCH:
        raise UserError(
            f"`{argument}` {loss!r} is a loss of whole batches, which cannot be weighted by sample"
        )
    pure = {name: function for name, function in LOSSES.items() if name not in remembering}
    return CheckedLoss(entry(pure, loss, argument), argument, labels)


@dataclass(frozen=True)
class CheckedLoss:
    """A loss that says in the user's words what is wrong with its arguments or its result.

    Attributes:
        loss: ``(n, K)`` logits and ``(n,)`` labels -> ``(n,)`` losses.
        argument: what the user calls the loss.
        labels: what the user calls the labels.
    """

    loss: Loss
    argument: str
    labels: str

    def __call__(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Evaluate the loss; half precision becomes float32.

        Raises:
            UserError: logits, labels or losses that do not fit.
        """
        n = len(labels)
        wanted = f"`network` must return its logits alone, a floating-point tensor ({n}, K)"
        if not isinstance(logits, Tensor):
            hint = "give a module whose forward returns the tensor"
            raise UserError(f"{wanted}, got {_kind(logits)}: {hint}")
        if logits.dim() != 2 or len(logits) != n or not logits.is_floating_point():
            raise UserError(f"{wanted}, got {_kind(logits)}")
        if labels.device != logits.device:
            raise UserError(
                f"`{self.labels}` is on {labels.device} and the output of `network` on "
                f"{logits.device}: move the labels there"
            )
        if labels.device.type == "cpu":  # numpy sees the same memory and no torch operator runs
            low, high = int(labels.numpy().min()), int(labels.numpy().max())
            if low < 0 or high >= logits.shape[1]:
                raise UserError(
                    f"`{self.labels}` must have labels from 0 to {logits.shape[1] - 1}, as "
                    f"`network` has {logits.shape[1]} outputs, got {low if low < 0 else high}"
                )
        losses = self.loss(logits, labels)
        if not isinstance(losses, Tensor) or losses.shape != (n,):
            reduced = isinstance(losses, Tensor) and losses.dim() == 0
            raise UserError(
                f"`{self.argument}` must return one loss for each sample, shape ({n},), got "
                f"{_kind(losses)}" + (": build it with reduction='none'" if reduced else "")
            )
        if logits.requires_grad and not losses.requires_grad:
            raise UserError(f"`{self.argument}` returns losses without a gradient to the logits")
        return losses.to(torch.promote_types(losses.dtype, torch.float32))


@dataclass(frozen=True)
class CheckedNormalise:
    """A normalisation that refuses what cannot be the weights of a batch."""

    normalise: Normalise

    def __call__(self, weights: Tensor) -> Tensor:
        """Normalise ``(n,)`` weights.

        Raises:
            UserError: anything else.
        """
        if not isinstance(weights, Tensor) or weights.dim() != 1:
            raise UserError(
                "`weight_net` must return one weight for each sample, shape (n,), got "
                f"{_kind(weights)}"
            )
        return self.normalise(weights)


def check_optimizer(network: nn.Module, optimizer: Optimizer, virtual_step: str) -> None:
    """Refuse an optimizer that does not move exactly the network, or cannot look ahead.

    Raises:
        UserError: says what it lacks, or what it has that is not the network's.
    """
    if not isinstance(network, nn.Module):
        raise UserError(f"`network` must be a torch module, got {_kind(network)}")
    if not isinstance(optimizer, Optimizer) or isinstance(optimizer, LBFGS):
        raise UserError(
            "`optimizer` must be a torch optimizer whose step needs no closure, got "
            f"{_kind(optimizer)}"
        )
    held = {id(p) for group in optimizer.param_groups for p in group["params"]}
    trained = {name: p for name, p in network.named_parameters() if p.requires_grad}
    if not trained:
        raise UserError("`network` has no parameter that requires a gradient")
    missing = [name for name, p in trained.items() if id(p) not in held]
    if missing:
        raise UserError(
            f"`optimizer` must hold the parameters of `network`, but {len(missing)} of "
            f"{len(trained)} are missing, such as {missing[0]!r}: add them, or freeze them with "
            "requires_grad_(False)"
        )
    foreign = held - {id(p) for p in network.parameters()}
    if foreign:
        raise UserError(
            f"`optimizer` holds {len(foreign)} tensors that are no parameters of `network`: give "
            "them an optimizer of their own"
        )
    if virtual_step == "optimizer":
        try:
            formula(optimizer)
        except NotImplementedError as error:
            raise UserError(
                f"`virtual_step='optimizer'` does not go with this `optimizer` "
                f"({first_line(error)}): take SGD, Adam or AdamW, or `virtual_step='sgd'`"
            ) from error


def check_weight_net(weight_net: nn.Module | None, weight_optimizer: Optimizer | None) -> None:
    """Refuse a weight net that cannot learn, or an optimizer that is not its own.

    Raises:
        UserError: says which.
    """
    if weight_net is None:
        if weight_optimizer is not None:
            raise UserError(
                "`weight_optimizer` needs the `weight_net` whose parameters it holds: give both"
            )
        return
    if not isinstance(weight_net, nn.Module):
        raise UserError(f"`weight_net` must be a torch module, got {_kind(weight_net)}")
    parameters = list(weight_net.parameters())
    if not parameters or not all(p.requires_grad for p in parameters):
        raise UserError("`weight_net` must have parameters, and all must require a gradient")
    if weight_optimizer is None:
        return
    if not isinstance(weight_optimizer, Optimizer):
        raise UserError(
            f"`weight_optimizer` must be a torch optimizer, got {_kind(weight_optimizer)}"
        )
    held = {id(p) for group in weight_optimizer.param_groups for p in group["params"]}
    if held != {id(p) for p in parameters}:
        raise UserError("`weight_optimizer` must hold the parameters of `weight_net`, and no other")


def check_samples(x: Any, y: Any, names: tuple[str, str]) -> None:
    """Refuse samples and labels that do not fit together.

    Args:
        x: tensor, tuple, list or mapping.
        y: labels.
        names: of both, as the user calls them.

    Raises:
        UserError: labels of another type or shape, another number of samples, or none.
    """
    x_name, y_name = names
    if not isinstance(y, Tensor):
        raise UserError(
            f"`{y_name}` must be a tensor of labels, got {_kind(y)}: the call is "
            "step(x, y, x_meta, y_meta)"
        )
    if y.dim() != 1:
        raise UserError(
            f"`{y_name}` must have one label for each sample, shape (n,), got {_kind(y)}"
        )
    if y.dtype != torch.int64:
        raise UserError(f"`{y_name}` must have int64 class numbers, got {y.dtype}: call .long()")
    if not len(y):
        raise UserError(f"`{y_name}` has no samples: leave empty batches out")
    tensors = list(inputs.tensors(x))
    if not tensors:
        raise UserError(
            f"`{x_name}` must be a tensor, a tuple, a list or a mapping of tensors, got {_kind(x)}"
        )
    for tensor in tensors:
        if tensor.dim() == 0 or len(tensor) != len(y):
            raise UserError(
                f"`{x_name}` and `{y_name}` must have as many samples, got {_kind(tensor)} for "
                f"{len(y)} labels: the first dimension of every tensor counts the samples"
            )


def check_state(state: object, own: Mapping[str, Any], engines: Collection[str]) -> None:
    """Refuse what is no state of a bilevel step, but for the tensors, which their owners check.

    Args:
        state: to be taken over.
        own: the state of the step that takes it.
        engines: names of engines.

    Raises:
        UserError: says what it lacks, or which part is wrong.
    """
    wanted = "`state` must come from BilevelStep.state_dict()"
    if not isinstance(state, Mapping):
        raise UserError(f"{wanted}, got {_kind(state)}")
    missing = own.keys() - state.keys()
    if missing:
        raise UserError(f"{wanted}, it lacks {', '.join(sorted(missing))}")
    for part in ("weight_net", "weight_optimizer", "engine"):
        if not isinstance(state[part], Mapping):
            raise UserError(f"{wanted}, its {part} is {_kind(state[part])}")
    name = state["engine"].get("name", state)
    if name is not None and not (isinstance(name, str) and name in engines):
        raise UserError(f"{wanted}, its engine has no name of {', '.join(sorted(engines))}")
    count(state["steps"], "state['steps']", least=0)


def check_mode() -> None:
    """Refuse contexts in which a step would compute something else.

    Raises:
        UserError: gradients are off, or autocast is on.
    """
    if not torch.is_grad_enabled():
        raise UserError("a bilevel step needs gradients: call it outside torch.no_grad()")
    if any(torch.is_autocast_enabled(device) for device in ("cpu", "cuda")):
        raise UserError(
            "a bilevel step must be called outside torch.autocast: enter it in the forward of "
            "`network`, and return float32 logits"
        )


def _kind(value: object) -> str:
    """What a value is, for a message."""
    if isinstance(value, Tensor):
        return f"a {value.dtype} tensor of shape {tuple(value.shape)}"
    return type(value).__name__
