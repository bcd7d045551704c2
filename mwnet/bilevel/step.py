"""One bilevel step of Meta-Weight-Net, in three blocks (Ghosh and Lan, WACV 2021, section 3)."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from mwnet.bilevel import inputs
from mwnet.bilevel.weighting import Normalise
from mwnet.core.seeding import global_states, replayed
from mwnet.core.world import world
from mwnet.data.batches import Batch
from mwnet.losses import Loss


def go_on(look_aheads: int) -> AbstractContextManager[Any]:
    """Let a pass draw what comes next from the global generators."""
    return nullcontext()


@dataclass(frozen=True)
class Bilevel:
    """The two levels: what is learnt, and by which losses.

    Attributes:
        classifier: x -> logits, parameters w.
        weight_net: (per-sample losses, labels) -> weights in (0, 1), parameters Theta.
        loss: the training loss l_i(w).
        meta_loss: the loss on the meta batch.
        normalise: weights of a batch -> u_i.
        virtual_step: "sgd" (a plain gradient step at the current learning rate) or "optimizer"
            (the classifier's own update, with its momentum and weight decay).
        inner_steps: look-ahead steps before the meta loss.
        weights_at_zero: the weights are 0 at the look-ahead, as in L2RW, so that w' is w.
        draws: a context around the network's pass after so many look-ahead steps, for what that
            pass draws at random (dropout). The pass after 0 of them is the training pass. The last
            one is that on the meta batch.
        weigh_by: what the weight net gets of a batch instead of its losses.
        lag: the look-ahead is the step: the actual step takes the weights of the old Theta, whose
            update acts one step later. For ``virtual_step`` "optimizer".
    """

    classifier: nn.Module
    weight_net: nn.Module
    loss: Loss
    meta_loss: Loss
    normalise: Normalise
    virtual_step: str = "sgd"
    inner_steps: int = 1
    weights_at_zero: bool = False
    draws: Callable[[int], AbstractContextManager[Any]] = go_on
    weigh_by: Callable[[Batch], Tensor] | None = None
    lag: bool = False


@dataclass(frozen=True)
class MetaGradient:
    """What an engine returns.

    Attributes:
        theta: dM/dTheta in the order of ``weight_net.parameters()``, summed over processes.
        meta_loss: M at w', detached; this process's part of it.
        losses: ``(n,)`` losses of the virtual pass with their graph, if the engine ran it on the
            classifier itself, batch-norm statistics included: the actual step then takes them.
        gradient: u -> the gradient of sum_i u_i l_i(w) by each trained parameter, summed over
            processes, None for one that is not used, if the engine has it at hand. With ``lag``
            that is the gradient of the look-ahead, whatever u. The losses are detached then.
    """

    theta: tuple[Tensor, ...]
    meta_loss: Tensor
    losses: Tensor | None = None
    gradient: Callable[[Tensor], Sequence[Tensor | None]] | None = None


class Steps(Protocol):
    """What can take a step along ``.grad``: an optimizer, or something simpler."""

    def step(self) -> Any: ...


Engine = Callable[[Bilevel, Optimizer, Batch, Batch], MetaGradient]
"""Differentiates the look-ahead: (problem, the classifier's optimizer, batch, meta batch).

An engine changes no parameter, no ``.grad`` and no optimizer state, and a buffer only by the one
training pass whose losses it returns.
"""


def weigh(problem: Bilevel, losses: Tensor, batch: Batch) -> Tensor:
    """Compute ``(n,)`` weights: those of the weight net, times those that came with the samples."""
    seen = losses if problem.weigh_by is None else problem.weigh_by(batch)
    weights = problem.weight_net(seen, batch.y)
    return weights if batch.weight is None else weights * batch.weight


def bilevel_step(
    problem: Bilevel,
    engine: Engine,
    optimizer: Optimizer,
    weight_optimizer: Steps,
    batch: Batch,
    meta_batch: Batch | None,
    *,
    per_sample: bool = False,
) -> dict[str, Tensor]:
    """Update Theta on the meta batch, then w on the training batch.

    Args:
        problem: networks and losses.
        engine: computes dM/dTheta.
        optimizer: of the classifier; its first group's learning rate is that of the look-ahead.
        weight_optimizer: of the weight net.
        batch: training samples with given labels.
        meta_batch: meta samples, or None to leave Theta as it is in this step.
        per_sample: hand out losses and weights too.

    Returns:
        Detached scalars: ``train_loss``, the weighted one, and ``meta_loss`` where it was computed.
        Of several processes each has its part; the parts sum to the loss.
        With ``per_sample`` also ``(n,)`` ``losses`` before the step, and ``(n,)`` ``weights`` by
        the new Theta, before their normalisation.
    """
    report = {}
    losses = gradient = None
    device = inputs.device_of(batch.x)
    before = global_states(device)

    # Virtual and meta: w'(Theta) = w - alpha sum_i u_i grad l_i(w), and Theta <- Theta - beta
    # dM(w'(Theta))/dTheta, eqs. 2 to 4.
    if meta_batch is not None:
        meta = engine(problem, optimizer, batch, meta_batch)
        for parameter, slope in zip(problem.weight_net.parameters(), meta.theta, strict=True):
            parameter.grad = slope
        if not problem.lag:
            weight_optimizer.step()
        report["meta_loss"] = meta.meta_loss
        losses, gradient = meta.losses, meta.gradient

    # Actual: w <- w - alpha sum_i u_i grad l_i(w) with the new Theta. The pass draws the dropout
    # masks that the virtual one drew; afterwards the generators stand where the engine left them.
    if losses is None:
        again = replayed(before, device) if meta_batch is not None else nullcontext()
        with again:
            losses = problem.loss(inputs.call(problem.classifier, batch.x), batch.y)
    with torch.no_grad():
        weights = weigh(problem, losses.detach(), batch)
        u = problem.normalise(weights)
    if problem.lag and meta_batch is not None:
        weight_optimizer.step()
    objective = u @ losses
    optimizer.zero_grad()
    if gradient is None:
        objective.backward()
        world().sum_gradients(problem.classifier.parameters())
    else:
        trained = (p for p in problem.classifier.parameters() if p.requires_grad)
        for parameter, slope in zip(trained, gradient(u), strict=True):
            parameter.grad = slope
    optimizer.step()
    report["train_loss"] = objective.detach()
    if per_sample:
        report |= {"losses": losses.detach(), "weights": weights}
    return report
