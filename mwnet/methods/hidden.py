"""What goes into the last linear layer of a network, which is a good space for neighbours."""

import torch
from torch import Tensor, nn

from mwnet.data.batches import Pixels, in_order


def last_linear(network: nn.Module) -> nn.Linear | None:
    """Return the last linear layer, None where a network has none."""
    layers = [layer for layer in network.modules() if isinstance(layer, nn.Linear)]
    return layers[-1] if layers else None


@torch.no_grad()
def hidden(network: nn.Module, pixels: Pixels, ids: Tensor) -> Tensor:
    """Compute ``(m, d)`` inputs of the last linear layer, in evaluation mode.

    Args:
        network: with a linear layer.
        pixels: the samples.
        ids: ``(m,)`` of the samples.
    """
    layer = last_linear(network)
    assert layer is not None
    seen: list[Tensor] = []
    hook = layer.register_forward_pre_hook(lambda _, x: seen.append(x[0].flatten(1).float()))
    mode = network.training
    network.eval()
    try:
        for x in in_order(pixels, ids):
            network(x)
    finally:
        hook.remove()
        network.train(mode)
    return torch.cat(seen)
