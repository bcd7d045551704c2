"""Run an unchanged network faster: bfloat16 and compilation."""

import torch
from torch import Tensor, nn

from mwnet.core.errors import UserError, first_line


class Autocast(nn.Module):
    """Runs a network in bfloat16 where that is safe, and returns float32 logits.

    Parameters stay in float32, and so does all that comes after the logits: losses, weights, inner
    products. The context ends with each pass, so no cast of a parameter outlives it.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, torch.bfloat16):
            return self.network(x).float()


def compile_in_place(network: nn.Module, device: torch.device) -> None:
    """Have torch compile the passes of a network; its names and its state stay as they are.

    Raises:
        UserError: no compiler works here.
    """
    try:
        torch.compile(torch.exp)(torch.zeros(2, device=device))
    except Exception as error:  # one of several classes, none of them public
        raise UserError(f"`compile=True` does not work here: {first_line(error)}") from error
    # Dropout draws what it draws without compilation, so that other passes can replay its masks.
    network.compile(dynamic=False, options={"fallback_random": True})
