"""Batch norm whose statistics are those of the whole batch, of which each process has a share."""

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from mwnet.core.world import world


class SharedBatchNorm(_BatchNorm):
    """Normalise by the statistics of the batch of all processes; in one process, of its batch.

    It has the parameters and buffers of torch's batch norm. It is written in operators that have
    every derivative: double backward for ``higher``, forward mode for ``forward``.
    """

    def _check_input_dim(self, input: Tensor) -> None:
        """Take samples of any shape, as torch's synchronised batch norm does."""

    def forward(self, input: Tensor) -> Tensor:
        if world().size == 1 or not (self.training or self.running_mean is None):
            return super().forward(input)
        others = [axis for axis in range(input.dim()) if axis != 1]
        shape = [1, -1, *[1] * (input.dim() - 2)]
        x = input.to(torch.promote_types(input.dtype, torch.float32))
        sizes = x.new_full((1,), x.numel() // x.shape[1])
        sums, n = world().total(torch.cat([x.sum(others), sizes])).split([x.shape[1], 1])
        mean = sums / n
        centred = x - mean.view(shape)
        variance = world().total((centred * centred).sum(others)) / n
        self._remember(mean.detach(), (variance * n / (n - 1)).detach())
        y = centred * (variance + self.eps).rsqrt().view(shape)
        if self.weight is not None:
            y = y * self.weight.view(shape) + self.bias.view(shape)
        return y.to(input.dtype)

    def _remember(self, mean: Tensor, variance: Tensor) -> None:
        """Move the running statistics."""
        if self.running_mean is None or self.running_var is None:
            return
        assert self.num_batches_tracked is not None
        self.num_batches_tracked.add_(1)
        rate = self.momentum
        if rate is None:
            rate = 1 / float(self.num_batches_tracked)
        self.running_mean.lerp_(mean.to(self.running_mean.dtype), rate)
        self.running_var.lerp_(variance.to(self.running_var.dtype), rate)


def share_batch_norms(network: nn.Module) -> nn.Module:
    """Replace torch's batch norms in a network; names and values of its state stay."""
    for name, child in network.named_children():
        setattr(network, name, share_batch_norms(child))
    kinds = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)
    if not isinstance(network, kinds):
        return network
    norm = SharedBatchNorm(
        network.num_features,
        network.eps,
        network.momentum,
        network.affine,
        network.track_running_stats,
    )
    norm.__dict__.update(network.__dict__)
    return norm


def has_batch_norm(network: nn.Module) -> bool:
    """Whether a network normalises by the statistics of a batch."""
    return any(isinstance(module, _BatchNorm) for module in network.modules())


@torch.no_grad()
def average_statistics(network: nn.Module) -> None:
    """Give all processes the mean of their running statistics, where each has its own."""
    norms = [module for module in network.modules() if isinstance(module, _BatchNorm)]
    known = [b for norm in norms for b in (norm.running_mean, norm.running_var) if b is not None]
    for buffer, total in zip(known, world().sums(known), strict=True):
        buffer.copy_(total / world().size)
