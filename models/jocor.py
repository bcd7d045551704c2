"""Two CNNs called JoCoR-Net: the one of a printed table, and the one of the public code.

JoCoR is Wei et al., CVPR 2020. Table 6 of the Taylor-loss paper prints a "JoCoR-Net" that differs
from the network in the JoCoR authors' repository in its last convolution and its head. Neither is
the 9-layer CNN of Co-teaching (``cnn9``).
"""

from torch import nn

from ._parts import convolution, image_sides


def jocor_net(
    *,
    num_classes: int,
    in_channels: int = 3,
    image_size: int | tuple[int, int] = 32,
) -> nn.Sequential:
    """Build JoCoR-Net as it is printed: six 3x3 convolutions and one linear layer.

    The convolutions have 64, 64, pool, 128, 128, pool, 196 and 196 channels, each with batch norm
    and ReLU. The printed 8x8 average pool is the average over all pixels at 32x32, and is that at
    every size here. At 3 channels it has 835,610 parameters for 10 classes and 853,340 for 100.
    Weights start as PyTorch starts them.

    Args:
        num_classes: number of logits.
        in_channels: channels of the image.
        image_size: checked only.

    Raises:
        ValueError: images smaller than 4x4 pixels.

    Source: Table 6 of Gao, Gouk and Hospedales, 2021.

    Examples:
        >>> import torch
        >>> from mwnet import MODELS
        >>> network = MODELS["jocor-net"](num_classes=10)
        >>> network(torch.zeros(2, 3, 32, 32)).shape
        torch.Size([2, 10])
        >>> sum(p.numel() for p in network.parameters())
        835610
    """
    image_sides(image_size, "jocor-net", 4)
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(196, num_classes)]
    return nn.Sequential(*_convolutions(in_channels, 196), *head)


def jocor_repo(
    *,
    num_classes: int,
    in_channels: int = 3,
    image_size: int | tuple[int, int] = 32,
) -> nn.Sequential:
    """Build the CNN of the JoCoR authors' public code.

    It differs from ``jocor_net`` in three layers. The last convolution has 16 channels, a third 2x2
    max-pool follows it, and the linear layer takes all pixels that are left: 16 channels of 4x4 at
    32x32. At 3x32x32 it has 518,150 parameters for 10 classes and 541,280 for 100. Weights start as
    PyTorch starts them.

    Args:
        num_classes: number of logits.
        in_channels: channels of the image.
        image_size: side of the square image, or ``(height, width)``. The network takes no other
            size.

    Raises:
        ValueError: images smaller than 8x8 pixels.

    Source: the code of Wei et al., CVPR 2020.

    Examples:
        >>> import torch
        >>> from mwnet import MODELS
        >>> network = MODELS["jocor-repo"](num_classes=10)
        >>> network(torch.zeros(2, 3, 32, 32)).shape
        torch.Size([2, 10])
        >>> sum(p.numel() for p in network.parameters())
        518150
    """
    height, width = image_sides(image_size, "jocor-repo", 8)
    left = 16 * (height // 8) * (width // 8)
    head = [nn.MaxPool2d(2), nn.Flatten(), nn.Linear(left, num_classes)]
    return nn.Sequential(*_convolutions(in_channels, 16), *head)


def _convolutions(in_channels: int, last: int) -> list[nn.Module]:
    return [
        *convolution(in_channels, 64),
        *convolution(64, 64),
        nn.MaxPool2d(2),
        *convolution(64, 128),
        *convolution(128, 128),
        nn.MaxPool2d(2),
        *convolution(128, 196),
        *convolution(196, last),
    ]
