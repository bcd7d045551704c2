"""The steps of a population, and how good its members are."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from mwnet.data import Batch, Batches, Pixels
from mwnet.data.batches import in_order
from mwnet.methods import Context
from mwnet.training.population.losses import PopulationLoss
from mwnet.training.population.stacks import Kind, stacked


class Group:
    """Some networks that are trained together.

    Args:
        networks: with their initial weights.
        kind: how they are computed.
        loss: one for each.
        optimizer: builds an elementwise optimizer for a module's parameters.
        scheduler: builds the schedule of its learning rate, advanced every step.
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
        """``(M, K, n)`` float32 logits of ``(n, ...)`` or ``(M, n, ...)`` samples."""
        if self.precision is None:
            return self.stack(x)
        with torch.autocast(x.device.type, self.precision):
            return self.stack(x).float()

    def begin_epoch(self, context: Context) -> None:
        """Do nothing: plain training has no phases."""

    def step(self, batch: Batch, meta_batch: Batch | None = None) -> dict[str, Tensor]:
        """One optimizer step of every member.

        Args:
            batch: the same for all, or with a leading axis of members.
            meta_batch: not used.

        Returns:
            ``train_loss``: the mean losses ``(M,)`` before the step, where they come for free.
        """
        self.optimizer.zero_grad()
        logits = self.logits(batch.x)
        gradient, means = self.loss.gradient(logits.detach(), batch.y)
        logits.backward(gradient)
        self.optimizer.step()
        self.scheduler.step()
        return {} if means is None else {"train_loss": means}


class Together:
    """Batches of several members, stacked: the k-th has the k-th batch of each."""

    def __init__(self, batches: Sequence[Batches]) -> None:
        self.batches = batches

    def __len__(self) -> int:
        """Steps in one pass of each member."""
        return len(self.batches[0])

    def __getitem__(self, step: int) -> Batch:
        """Batch with a leading axis of members."""
        parts = [batches[step] for batches in self.batches]
        return Batch(
            *(torch.stack([getattr(p, name) for p in parts]) for name in ("index", "x", "y"))
        )


def accuracy(group: Group, pixels: Pixels, ids: Tensor, labels: Tensor) -> Tensor:
    """Share of samples that each member gets right; NaN for one whose logits are not finite.

    Args:
        group: the networks.
        pixels: the samples.
        ids: ``(n,)`` which of them.
        labels: ``(n,)`` what is right.

    Returns:
        ``(M,)`` float64 on the CPU.
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
