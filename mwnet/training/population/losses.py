"""Losses of a population, as the gradient at each member's logits."""

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from mwnet.losses import Loss
from mwnet.losses.taylor import coefficients, taylor_range


class PopulationLoss(Protocol):
    """The interface of a population's training losses, given by their gradient at the logits."""

    def gradient(self, logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor | None]:
        """Compute the gradient of the sum, over members, of each one's mean loss.

        Args:
            logits: ``(M, K, n)`` float32, without a graph.
            labels: ``(n,)`` int64 for all, or ``(M, n)``.

        Returns:
            The gradient ``(M, K, n)``, and the mean losses ``(M,)``, or None where they would cost
            a computation of their own.
        """
        ...


class EachLoss:
    """One pure loss of LOSSES for each member, differentiated by autograd.

    Args:
        losses: of the M members.
    """

    def __init__(self, losses: Sequence[Loss]) -> None:
        self.losses = list(losses)

    def gradient(self, logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor | None]:
        gradients, means = [], []
        for member, loss in enumerate(self.losses):
            own = logits[member].mT.requires_grad_()
            mean = loss(own, labels if labels.dim() == 1 else labels[member]).mean()
            gradients += torch.autograd.grad(mean, own)
            means.append(mean.detach())
        return torch.stack(gradients).mT, torch.stack(means)


class TaylorLosses:
    """One Taylor loss for each member, all computed at once and differentiated in closed form.

    With L' the derivative of eq. 4 by the prediction, the gradient at the logits is
    p_k (L'_k - sum_j L'_j p_j), times eta / (K (f_max - f_min)) of eq. 5.

    Args:
        thetas: twelve numbers for each of the M members.
        etas: the range of each.
        num_classes: K.
        device: where the logits are.

    Raises:
        ValueError: a polynomial without a range, or another number of ranges than of losses.
    """

    def __init__(
        self,
        thetas: Sequence[Sequence[float]],
        etas: Sequence[float],
        num_classes: int,
        device: torch.device | str = "cpu",
    ) -> None:
        ranges = [taylor_range(tuple(theta), num_classes) for theta in thetas]
        widths = [highest - lowest for lowest, highest in ranges]
        if len(etas) != len(widths):
            raise ValueError(f"{len(widths)} losses need as many ranges, got {len(etas)}")
        if not all(width > 0 for width in widths):
            raise ValueError("a constant polynomial has no range to normalise by")
        double = torch.float64
        scale = torch.tensor(etas, dtype=double) / torch.tensor(widths, dtype=double) / num_classes
        self.centre = torch.tensor([theta[0] for theta in thetas])[:, None, None].to(device)
        # d/dp of c_1 z + ... + c_4 z^4: factors of 1, z, z^2, z^3, for the label and the others.
        self.on, self.off = (
            torch.tensor([coefficients(theta, y) for theta in thetas], dtype=double)
            .mul(torch.arange(1, 5) * scale[:, None])
            .float()
            .T[:, :, None, None]
            .contiguous()
            .to(device)
            for y in (1, 0)
        )

    @torch.no_grad()
    def gradient(self, logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor | None]:
        p = logits.softmax(1)
        z = p - self.centre
        label = labels.expand(len(z), logits.shape[-1])[:, None]
        slope = _cubic(self.off, z)
        slope.scatter_(1, label, _cubic(self.on, z.gather(1, label)))
        slope *= p
        total = slope.sum(1, keepdim=True)
        return torch.addcmul(slope, p, total, value=-1).div_(logits.shape[-1]), None


def _cubic(factors: Tensor, z: Tensor) -> Tensor:
    value = torch.addcmul(factors[2], z, factors[3])
    value = torch.addcmul(factors[1], value, z)
    return torch.addcmul(factors[0], value, z)
