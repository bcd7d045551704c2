"""The fast engine: exact for one look-ahead step, without a second-order graph.

g = sum_i u_i grad l_i(w) is linear in u, so with w' = U(w, g), G = dM/dw' and J = dU/dg

    dM/du_i = < J^T G, grad l_i(w) >

which is the derivative of the i-th loss in the direction J^T G: one forward-mode pass gives it for
all samples at once. Passes: forward and backward for g, forward and backward for G, one
forward-mode pass (about two forward passes: see tangents.py), and u.backward for Theta.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.optim import Optimizer

from mwnet.bilevel import inputs
from mwnet.bilevel.differentiable import differentiable, is_compiled
from mwnet.bilevel.step import Bilevel, MetaGradient, weigh
from mwnet.bilevel.tangents import Primals, tangent
from mwnet.bilevel.updates import look_ahead
from mwnet.core.seeding import global_states, replayed
from mwnet.core.world import world
from mwnet.data.batches import Batch


def forward_engine(
    problem: Bilevel, optimizer: Optimizer, batch: Batch, meta_batch: Batch, *, lean: bool = False
) -> MetaGradient:
    """dM/dTheta for one look-ahead step of SGD, Adam or AdamW.

    Args:
        problem: with ``inner_steps`` 1.
        optimizer: of the classifier.
        batch: training samples.
        meta_batch: meta samples.
        lean: free the graph of the virtual pass instead of lending it to the actual step, which
            then runs the classifier again: never two graphs at once. Compiled networks are
            always treated so, because their graphs serve for one backward pass.

    Raises:
        NotImplementedError: an operator without a forward-mode rule, an optimizer without formula.
    """
    named = {name: p for name, p in problem.classifier.named_parameters() if p.requires_grad}
    w = tuple(named.values())
    device = inputs.device_of(batch.x)

    # Virtual: g = J_l^T u, with u constant in the gradient but carrying Theta.
    before = global_states(device)
    primals = Primals()
    lean = lean or is_compiled(problem.classifier)
    if lean:  # the actual step will move the batch-norm statistics
        losses = problem.loss(inputs.call_at(problem.classifier, named, batch.x), batch.y)
    else:
        with primals:
            logits = inputs.call(problem.classifier, batch.x)
        losses = problem.loss(logits, batch.y)
    u = problem.normalise(weigh(problem, losses.detach(), batch))
    if problem.weights_at_zero:
        g = tuple(torch.zeros_like(p) for p in w)
    else:
        g = _gradient(losses, w, u.detach(), retain_graph=not (lean or problem.lag))
        g = tuple(world().sums(g))

    # Meta: G = dM/dw', and J^T G through the elementwise update.
    ahead, pull_back = look_ahead(optimizer, problem.virtual_step, w, g)
    w_ahead = {name: p.requires_grad_() for name, p in zip(named, ahead, strict=True)}
    with problem.draws(1):
        logits = inputs.call_at(problem.classifier, w_ahead, meta_batch.x)
        meta_loss = world().mean(problem.meta_loss(logits, meta_batch.y))
    big_g = world().sums(_gradient(meta_loss, list(w_ahead.values())))
    direction, factor = pull_back(big_g)

    # Tangent: a_i = < J^T G, grad l_i(w) >, with the dropout masks of the virtual pass.
    def losses_at(parameters: dict[str, Tensor]) -> Tensor:
        return problem.loss(inputs.call_at(problem.classifier, parameters, batch.x), batch.y)

    point = {name: p.detach() for name, p in named.items()}
    with replayed(before, device), differentiable():
        a = tangent(losses_at, point, dict(zip(named, direction, strict=True)), primals.outputs)
    theta = _gradient(u, list(problem.weight_net.parameters()), factor * a)
    theta = tuple(world().sums(theta))
    if problem.lag and not lean:
        return MetaGradient(theta, meta_loss.detach(), losses.detach(), lambda _: g)
    return MetaGradient(theta, meta_loss.detach(), None if lean else losses)


def _gradient(
    of: Tensor, by: Sequence[Tensor], weights: Tensor | None = None, *, retain_graph: bool = False
) -> tuple[Tensor, ...]:
    """The gradient of sum(weights * of); zeros for what ``of`` does not use."""
    return torch.autograd.grad(
        of,
        by,
        grad_outputs=weights,
        retain_graph=retain_graph,
        allow_unused=True,
        materialize_grads=True,
    )
