"""The reference engine: `higher` unrolls the look-ahead and differentiates through it."""

from collections.abc import Sequence
from typing import Any

import higher
import torch
from higher.optim import DifferentiableOptimizer
from torch import Tensor
from torch.optim import SGD, Adam, AdamW, Optimizer

from mwnet.bilevel.step import Bilevel, MetaGradient
from mwnet.data.batches import Batch


def higher_engine(
    problem: Bilevel, optimizer: Optimizer, batch: Batch, meta_batch: Batch
) -> MetaGradient:
    """dM/dTheta by double backward, for any number of look-ahead steps and a known optimizer.

    The look-ahead runs on a copy of the classifier with its own buffers, so batch-norm statistics
    of the classifier itself do not move here. All look-ahead steps see the same batch.

    Raises:
        ValueError: an optimizer that `higher` has no differentiable form of.
    """
    inner = optimizer
    if problem.virtual_step == "sgd":
        inner = SGD(problem.classifier.parameters(), lr=optimizer.param_groups[0]["lr"])
    with higher.innerloop_ctx(problem.classifier, inner) as (classifier, virtual):
        for step in range(problem.inner_steps):
            losses = problem.loss(classifier(batch.x), batch.y)
            # At w the losses do not depend on Theta; after a look-ahead step they do.
            seen = losses.detach() if step == 0 else losses
            u = problem.normalise(problem.weight_net(seen))
            _weighted_step(virtual, list(classifier.parameters()), losses, u)
        meta_loss = problem.meta_loss(classifier(meta_batch.x), meta_batch.y).mean()
        theta = torch.autograd.grad(meta_loss, list(problem.weight_net.parameters()))
    return MetaGradient(theta, meta_loss.detach())


def _weighted_step(
    virtual: DifferentiableOptimizer, parameters: Sequence[Tensor], losses: Tensor, u: Tensor
) -> None:
    """One look-ahead step along J^T u.

    The gradient is taken of the losses alone, with u as a constant factor: u may depend on the
    parameters (from the second step on), and that path belongs to dM/dTheta but not to the
    training gradient. `step` can only differentiate a scalar, so it gets one that costs nothing,
    and the gradient through its callback.
    """
    trained = [p for p in parameters if p.requires_grad]
    gradients = iter(
        torch.autograd.grad(losses, trained, grad_outputs=u, create_graph=True, allow_unused=True)
    )
    aligned: list[Any] = [next(gradients) if p.requires_grad else None for p in parameters]
    virtual.step(torch.stack([p.sum() for p in trained]).sum(), grad_callback=lambda _: aligned)


class _DifferentiableAdam(DifferentiableOptimizer):
    """Adam and AdamW as torch computes them.

    `higher` has no AdamW, and its Adam adds epsilon before the bias correction instead of after.
    Where the second moment is zero its square root has no derivative: such entries (a dead pixel's
    weights) have a zero gradient as well, and get a zero derivative.
    """

    decoupled = False

    def _update(self, grouped_grads: Any, **kwargs: object) -> None:
        for group_index, (group, grads) in enumerate(
            zip(self.param_groups, grouped_grads, strict=True)
        ):
            if group["amsgrad"] or group["maximize"]:
                raise ValueError("the look-ahead supports Adam without amsgrad and maximize")
            beta1, beta2 = group["betas"]
            for index, (p, g) in enumerate(zip(group["params"], grads, strict=True)):
                if g is None:
                    continue
                state = self.state[group_index][index]
                # torch counts in a float32 tensor, too coarse for 1 - beta2^step: leave it.
                step = float(state.get("step", 0)) + 1
                if self.decoupled:
                    p = p * (1 - group["lr"] * group["weight_decay"])
                elif group["weight_decay"]:
                    g = g + group["weight_decay"] * p
                m = beta1 * state.get("exp_avg", 0) + (1 - beta1) * g
                v = beta2 * state.get("exp_avg_sq", 0) + (1 - beta2) * g * g
                state.update(step=step, exp_avg=m, exp_avg_sq=v)
                empty = v == 0
                root = torch.where(empty, 0.0, torch.where(empty, 1.0, v).sqrt())
                denominator = root / (1 - beta2**step) ** 0.5 + group["eps"]
                group["params"][index] = p - group["lr"] / (1 - beta1**step) * m / denominator


class _DifferentiableAdamW(_DifferentiableAdam):
    decoupled = True


# The annotations of register_optim ask for instances, its documentation and code for types.
higher.register_optim(Adam, _DifferentiableAdam)  # pyright: ignore[reportArgumentType]
higher.register_optim(AdamW, _DifferentiableAdamW)  # pyright: ignore[reportArgumentType]
