"""U(w, g): one step of an optimizer as a function of the gradient, differentiable in it.

The formulas are those of torch.optim, element by element; tests compare them with real steps.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.optim import SGD, Adam, AdamW, Optimizer

Group = dict[str, Any]
Pullback = Callable[[Sequence[Tensor]], tuple[Sequence[Tensor], "float | Tensor"]]
"""G -> a direction and a factor, whose product is J^T G."""
Update = Callable[[Tensor, Tensor, Group, dict[str, Any]], Tensor]


def look_ahead(
    optimizer: Optimizer,
    virtual_step: str,
    parameters: Sequence[Tensor],
    gradients: Sequence[Tensor],
) -> tuple[list[Tensor], Pullback]:
    """W' = U(w, g) without touching parameters or optimizer, and the pullback by J = dU/dg.

    Args:
        optimizer: of the parameters.
        virtual_step: "sgd" for w - lr g at the first group's learning rate, "optimizer" for the
            optimizer's own update.
        parameters: w, each one a parameter of the optimizer.
        gradients: g, in the same order.

    Returns:
        Detached w', in the same order, and the pullback, to be called once.

    Raises:
        NotImplementedError: an optimizer or a setting of it that has no formula here.
    """
    if virtual_step == "sgd":
        rate = optimizer.param_groups[0]["lr"]
        ahead = [_minus(p.detach(), g, rate) for p, g in zip(parameters, gradients, strict=True)]
        return ahead, lambda big_g: (big_g, -rate)
    update = formula(optimizer)
    groups = {id(p): group for group in optimizer.param_groups for p in group["params"]}
    gradients = [g.detach().requires_grad_() for g in gradients]
    ahead = [
        update(p.detach(), g, groups[id(p)], dict(optimizer.state.get(p, {})))
        for p, g in zip(parameters, gradients, strict=True)
    ]
    return (
        [p.detach() for p in ahead],
        lambda big_g: (torch.autograd.grad(ahead, gradients, grad_outputs=big_g), 1.0),
    )


def formula(optimizer: Optimizer) -> Update:
    """Find the update of an optimizer as a function ``(p, g, group, state) -> p'``.

    Raises:
        NotImplementedError: an optimizer or a setting of it that has no formula here.
    """
    name = type(optimizer).__name__
    update = {SGD: sgd, Adam: adam, AdamW: adam}.get(type(optimizer))
    if update is None:
        raise NotImplementedError(f"no look-ahead formula for {name}")
    for group in optimizer.param_groups:
        for setting in ("maximize", "amsgrad"):
            if group.get(setting):
                raise NotImplementedError(f"no look-ahead formula for {name} with {setting}")
    return update


def sgd(p: Tensor, g: Tensor, group: Group, state: dict[str, Any]) -> Tensor:
    """SGD with weight decay, momentum (its first buffer ignores dampening) and Nesterov."""
    if group["weight_decay"]:
        g = g + group["weight_decay"] * p
    if group["momentum"]:
        buffer = state.get("momentum_buffer")
        damped = (1 - group["dampening"]) * g
        buffer = g if buffer is None else group["momentum"] * buffer + damped
        g = g + group["momentum"] * buffer if group["nesterov"] else buffer
    return _minus(p, g, group["lr"])


def adam(p: Tensor, g: Tensor, group: Group, state: dict[str, Any]) -> Tensor:
    """Adam, or AdamW where the group says that weight decay is decoupled.

    Where the second moment is zero its square root has no derivative: such entries (a dead pixel's
    weights) have a zero gradient as well, and get a zero derivative. ``state`` is brought up to
    date, for a further step.
    """
    rate, decay, (beta1, beta2) = group["lr"], group["weight_decay"], group["betas"]
    if group["decoupled_weight_decay"]:
        p = p * (1 - rate * decay)
    elif decay:
        g = g + decay * p
    # torch counts in a float32 tensor, too coarse for 1 - beta2^step. It stays on its device.
    step = torch.as_tensor(state.get("step", 0), dtype=torch.float64) + 1
    m = beta1 * state.get("exp_avg", 0) + (1 - beta1) * g
    v = beta2 * state.get("exp_avg_sq", 0) + (1 - beta2) * g * g
    correction1, correction2 = ((1 - beta**step).to(p.dtype) for beta in (beta1, beta2))
    state.update(step=step, exp_avg=m, exp_avg_sq=v)
    empty = v == 0
    root = torch.where(empty, 0.0, torch.where(empty, 1.0, v).sqrt())
    return p - rate / correction1 * m / (root / correction2.sqrt() + group["eps"])


def _minus(p: Tensor, g: Tensor, rate: float | Tensor) -> Tensor:
    """Compute p - rate g in one pass over memory."""
    if isinstance(rate, Tensor):
        return torch.addcmul(p, g, rate, value=-1)
    return torch.sub(p, g, alpha=rate)
