"""A network whose parameters are a moving average of another one's."""

import copy

import torch
from torch import Tensor, nn

WARMUP = 10
"""Steps after which about half of the average is what the network was before."""


class Averaged(nn.Module):
    """Follow a network by a moving average of its parameters, in evaluation mode.

    Buffers, such as the statistics of batch norm, are copied. In the t-th step the share that is
    kept is at most (1 + t) / (10 + t), so that the first weights are forgotten soon.

    Args:
        network: is copied.
        decay: share of the average that a step keeps, in [0, 1); 0 copies the network.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        super().__init__()
        self.network = copy.deepcopy(network).requires_grad_(False)
        self.decay = decay

    @torch.no_grad()
    def follow(self, network: nn.Module, step: int) -> None:
        """Move towards the network.

        Args:
            network: like the one that was copied.
            step: of the training, from 0.
        """
        kept = min(self.decay, (1 + step) / (WARMUP + step)) if self.decay else 0.0
        for own, other in zip(self.network.parameters(), network.parameters(), strict=True):
            own.lerp_(other, 1 - kept)
        for own, other in zip(self.network.buffers(), network.buffers(), strict=True):
            own.copy_(other)

    @torch.no_grad()
    def predict(self, x: Tensor) -> Tensor:
        """Compute ``(n, K)`` logits in evaluation mode."""
        mode = self.network.training
        self.network.eval()
        logits = self.network(x)
        self.network.train(mode)
        return logits
