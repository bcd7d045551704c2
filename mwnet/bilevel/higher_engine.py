"""The reference engine: `higher` unrolls the look-ahead and differentiates through it."""

from collections.abc import Sequence
from typing import Any

import higher
import torch
from higher.optim import DifferentiableOptimizer
from torch import Tensor, nn
from torch.optim import SGD, Adam, AdamW, Optimizer

from mwnet.bilevel import inputs
from mwnet.bilevel.differentiable import differentiable, uncompiled
from mwnet.bilevel.step import Bilevel, MetaGradient, weigh
from mwnet.bilevel.updates import adam, formula
from mwnet.core.world import world
from mwnet.data.batches import Batch


def higher_engine(
    problem: Bilevel, optimizer: Optimizer, batch: Batch, meta_batch: Batch
) -> MetaGradient:
    """dM/dTheta by double backward, for any number of look-ahead steps and a known optimizer.

    The look-ahead runs on a copy of the classifier with its own buffers, so batch-norm statistics
    of the classifier itself do not move here. All look-ahead steps see the same batch.

    Raises:
        NotImplementedError: an optimizer or a setting of it that has no formula here.
    """
    inner = optimizer
    if problem.virtual_step == "optimizer":
        formula(optimizer)  # `higher` itself ignores settings that it does not know
    else:
        inner = SGD(problem.classifier.parameters(), lr=optimizer.param_groups[0]["lr"])
    with (
        differentiable(),
        uncompiled(problem.classifier) as network,
    ):
        classifier: Any = higher.monkeypatch(network)
        virtual = _differentiable(inner, network, classifier)
        for step in range(problem.inner_steps):
            with problem.draws(step):
                losses = problem.loss(inputs.call(classifier, batch.x), batch.y)
            # At w the losses do not depend on Theta; after a look-ahead step they do.
            seen = losses.detach() if step == 0 else losses
            u = problem.normalise(weigh(problem, seen, batch))
            _weighted_step(virtual, list(classifier.parameters()), losses, u)
        with problem.draws(problem.inner_steps):
            logits = inputs.call(classifier, meta_batch.x)
            meta_loss = world().mean(problem.meta_loss(logits, meta_batch.y))
        theta = torch.autograd.grad(
            meta_loss,
            list(problem.weight_net.parameters()),
            allow_unused=True,
            materialize_grads=True,
        )
    return MetaGradient(tuple(world().sums(theta)), meta_loss.detach())


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
    slopes = torch.autograd.grad(
        losses, trained, grad_outputs=u, create_graph=True, allow_unused=True
    )
    gradients = iter(world().sums(slopes))
    aligned: list[Any] = [next(gradients) if p.requires_grad else None for p in parameters]
    virtual.step(torch.stack([p.sum() for p in trained]).sum(), grad_callback=lambda _: aligned)


class _DifferentiableAdam(DifferentiableOptimizer):
    """Adam and AdamW as torch computes them.

    `higher` has no AdamW, and its Adam adds epsilon before the bias correction instead of after.
    """

    def _update(self, grouped_grads: Any, **kwargs: object) -> None:
        for group, states, gradients in zip(
            self.param_groups, self.state, grouped_grads, strict=True
        ):
            for index, (p, g) in enumerate(zip(group["params"], gradients, strict=True)):
                if g is not None:
                    group["params"][index] = adam(p, g, group, states[index])


def _differentiable(
    optimizer: Optimizer, network: nn.Module, patched: Any
) -> DifferentiableOptimizer:
    """The differentiable form of an optimizer, for the copy of the network that `higher` made.

    As ``higher.innerloop_ctx`` builds it, but without its registry, which belongs to the process.
    """
    kind = {Adam: _DifferentiableAdam, AdamW: _DifferentiableAdam}.get(type(optimizer))
    build = kind or higher.get_diff_optim
    return build(optimizer, network.parameters(), fmodel=patched)
