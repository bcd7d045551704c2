"""Steps that share a pass: the next training batch is the meta batch, and the look-ahead the step.

The pass of the next batch at w' = w(t+1) is the meta pass of this step and the training pass of the
next one. Where the gradient of the meta loss at the logits is a multiple c_i of that of the
training loss, as it is for all functions of p_y, one chain b_i serves both too, and

    G = sum_i c_i / m (b_i outer x_i).

In forward passes of a batch: forward 1, chain 1, g 1, G 1, inner products 1, so 5.
"""

from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from mwnet.bilevel import inputs
from mwnet.bilevel.ghost_engine import Record
from mwnet.bilevel.step import Bilevel, Steps, weigh
from mwnet.bilevel.updates import look_ahead
from mwnet.core.seeding import global_states, replayed
from mwnet.core.world import world
from mwnet.data.batches import Batch


class SharedPass:
    """Takes steps by the rules of the ghost engine, with ``lag``, and keeps the pass of the next.

    Args:
        problem: with ``lag`` and a classifier that the ghost engine can take.
    """

    def __init__(self, problem: Bilevel) -> None:
        self.problem = problem
        self._record: Record | None = None
        self._states: dict[str, Tensor] | None = None

    def step(
        self, optimizer: Optimizer, weight_optimizer: Steps, batch: Batch, following: Batch | None
    ) -> dict[str, Tensor]:
        """Update w on the batch, and Theta on the following one, which must come next.

        Args:
            optimizer: of the classifier.
            weight_optimizer: of the weight net.
            batch: training samples.
            following: those of the next step, or None to leave Theta as it is in this step.

        Returns:
            As ``bilevel_step`` does.
        """
        problem, record = self.problem, self._recorded(batch)
        w = record.parameters
        u = problem.normalise(weigh(problem, record.losses, batch))
        slopes = world().sums(record.gradient(u.detach()))
        g = [torch.zeros_like(p) if s is None else s for p, s in zip(w, slopes, strict=True)]
        pull_back = None if following is None else look_ahead(optimizer, "optimizer", w, g)[1]
        optimizer.zero_grad()
        for parameter, slope in zip(w, slopes, strict=True):
            parameter.grad = slope
        optimizer.step()
        report = {"train_loss": u.detach() @ record.losses}
        if following is None or pull_back is None:
            return report
        self._states = global_states(inputs.device_of(following.x))
        self._record = Record(problem, following)
        meta_losses, ratio = ratio_of(problem, self._record.logits, following.y)
        big_g = world().sums(self._record.gradient(ratio / world().count(ratio)))
        filled = [torch.zeros_like(p) if s is None else s for p, s in zip(w, big_g, strict=True)]
        direction, factor = pull_back(filled)
        a = factor * record.products(direction)
        theta = list(problem.weight_net.parameters())
        found = torch.autograd.grad(u, theta, a, allow_unused=True, materialize_grads=True)
        for parameter, slope in zip(theta, world().sums(found), strict=True):
            parameter.grad = slope
        weight_optimizer.step()
        return report | {"meta_loss": world().mean(meta_losses)}

    def state_dict(self) -> dict[str, Any]:
        """From where the pass of the next batch drew, so that it can be repeated."""
        return {"states": None if self._record is None else self._states}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what ``state_dict`` returned."""
        self._record, self._states = None, state["states"]

    def _recorded(self, batch: Batch) -> Record:
        """The pass of the batch: kept, repeated after a resume, or a first one."""
        record, states = self._record, self._states
        self._record = self._states = None
        if record is not None:
            return record
        if states is None:
            return Record(self.problem, batch)
        with replayed(states, inputs.device_of(batch.x)):
            return Record(self.problem, batch)


def ratio_of(problem: Bilevel, logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """``(n,)`` meta losses, and by how much their gradients are those of the training losses."""
    meta, (by_meta, by_loss) = _gradients(problem, logits, labels)
    size = (by_loss * by_loss).sum(1)
    return meta, (by_meta * by_loss).sum(1) / torch.where(size > 0, size, 1.0)


def shares_a_chain(problem: Bilevel, classes: int) -> bool:
    """Whether the gradients of meta and training loss at the logits are multiples of each other."""
    rng = torch.Generator().manual_seed(0)
    logits = 3 * torch.randn(64, classes, generator=rng)
    device = next(problem.classifier.parameters()).device
    labels = torch.randint(classes, (64,), generator=rng).to(device)
    logits = logits.to(device)
    _, (by_meta, by_loss) = _gradients(problem, logits, labels)
    _, ratio = ratio_of(problem, logits, labels)
    apart = (by_meta - ratio[:, None] * by_loss).abs().max()
    return bool(apart <= 1e-5 * by_meta.abs().max())


def _gradients(
    problem: Bilevel, logits: Tensor, labels: Tensor
) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """Meta losses, and the gradients of meta and training losses at the logits."""
    with torch.enable_grad():
        z = logits.detach().requires_grad_()
        meta, losses = problem.meta_loss(z, labels), problem.loss(z, labels)
        by_meta, by_loss = (torch.autograd.grad(each.sum(), z)[0] for each in (meta, losses))
    return meta.detach(), (by_meta, by_loss)
