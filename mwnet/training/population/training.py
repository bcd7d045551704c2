"""Training steps of a population, and the accuracy of its members."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from mwnet.data import Batch, Batches, Pixels
from mwnet.data.batches import in_order
from mwnet.methods import Context
from mwnet.methods.stacks import Kind, stacked
from mwnet.training.population.losses import PopulationLoss


class Group:
    """Networks of one architecture that are trained together.

    Args:
        networks: with their initial weights.
        kind: how they are computed.
        loss: one for each.
        optimizer: builds an elementwise optimizer for a module's parameters.
        scheduler: builds the schedule of its learning rate, which advances every step.
        precision: dtype of the matrix products; None for float32.
    """

    def __init__(
        self,
        networks: Sequence[nn.Module],
        kind: Kind,
        loss: PopulationLoss,
        optimizer: Callable[[nn.Module], Optimizer],
        scheduler: Callable[[Optimizer], LRScheduler],
        precision: torch.dtype | None = None,
    ) -> None:
        self.stack = stacked(networks, kind)
        self.loss = loss
        self.optimizer = optimizer(self.stack)
        self.scheduler = scheduler(self.optimizer)
        self.precision = precision
        self.epoch = 0

    def logits(self, x: Tensor) -> Tensor:
        """Compute ``(M, K, n)`` float32 logits of ``(n, ...)`` or ``(M, n, ...)`` samples."""
        if self.precision is None:
            return self.stack(x)
        with torch.autocast(x.device.type, self.precision):
            return self.stack(x).float()

    def begin_epoch(self, context: Context) -> None:
        """Do nothing: plain training has no phases."""

    def step(self, batch: Batch, meta_batch: Batch | None = None) -> dict[str, Tensor]:
        """Take one optimizer step of every member.

        Args:
            batch: the same for all, or with a leading axis of members.
            meta_batch: not used.

        Returns:
            ``train_loss``: the mean losses ``(M,)`` before the step; empty where the loss does not
            give them.
        """
        self.optimizer.zero_grad()
        logits = self.logits(batch.x)
        gradient, means = self.loss.gradient(logits.detach(), batch.y)
        logits.backward(gradient)
        self.optimizer.step()
        self.scheduler.step()
        return {} if means is None else {"train_loss": means}


class Together:
    """Stacked batches of several members: the k-th one has the k-th batch of each."""

    def __init__(self, batches: Sequence[Batches]) -> None:
        self.batches = batches

    def __len__(self) -> int:
        """Return the number of steps in one pass of each member."""
        return len(self.batches[0])

    def __getitem__(self, step: int) -> Batch:
        """Return a batch with a leading axis of members."""
        parts = [batches[step] for batches in self.batches]
        return Batch(
            *(torch.stack([getattr(p, name) for p in parts]) for name in ("index", "x", "y"))
        )


def accuracy(group: Group, pixels: Pixels, ids: Tensor, labels: Tensor) -> Tensor:
    """Compute the share of samples that each member classifies correctly.

    Args:
        group: the networks.
        pixels: the samples.
        ids: ``(n,)`` int64 ids of those that are measured.
        labels: ``(n,)`` int64 correct labels.

    Returns:
        ``(M,)`` float64 on the CPU, in [0, 1]; NaN for a member whose logits are not finite.
    """
    group.stack.eval()
    right = torch.zeros(group.stack.size, dtype=torch.float64, device=labels.device)
    finite = torch.ones_like(right, dtype=torch.bool)
    done = 0
    with torch.no_grad():
        for x in in_order(pixels, ids):
            logits = group.logits(x)
            given = labels[done : done + len(x)]
            right += (logits.argmax(1) == given).sum(1)
            finite &= logits.isfinite().flatten(1).all(1)
            done += len(x)
    group.stack.train()
    return torch.where(finite, right / len(ids), torch.nan).cpu()
