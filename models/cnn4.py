"""The 4-layer CNN of the Taylor-loss paper (its Table 6)."""

from torch import nn

from ._parts import check_width, image_sides


def cnn4(
    *,
    num_classes: int,
    in_channels: int = 3,
    image_size: int | tuple[int, int] = 32,
    width: int = 1024,
) -> nn.Sequential:
    """Build the 4-layer CNN: two 5x5 convolutions (32 and 64 channels) and two linear layers.

    The convolutions are unpadded, each followed by ReLU and 2x2 max-pool. Weights start as PyTorch
    starts them. With 10 classes it has 1,111,946 parameters for 1x28x28 images and 1,703,370 for
    3x32x32.

    The table calls it a net for 32x32 colour images, but prints "FC 1024 -> 1024", which fits only
    28x28: 64 channels of 4x4 pixels. Here the size of that layer follows from ``image_size``: 1,024
    inputs at 28x28, 1,600 at 32x32. The table does not print the poolings; the 1,024 imply them.

    Args:
        num_classes: number of logits.
        in_channels: channels of the image.
        image_size: side of the square image, or ``(height, width)``. The network takes no other
            size.
        width: units of the hidden linear layer.

    Raises:
        ValueError: images smaller than 16x16 pixels, or a width below 1.

    Source: Table 6 of Gao, Gouk and Hospedales, 2021.

    Examples:
        >>> import torch
        >>> from mwnet import MODELS
        >>> network = MODELS["cnn4"](num_classes=10, in_channels=1, image_size=28)
        >>> network(torch.zeros(2, 1, 28, 28)).shape
        torch.Size([2, 10])
        >>> sum(p.numel() for p in network.parameters())
        1111946
    """
    check_width(width, "cnn4")
    height, columns = image_sides(image_size, "cnn4", 16)
    return nn.Sequential(
        nn.Conv2d(in_channels, 32, 5),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 5),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(64 * _left_of(height) * _left_of(columns), width),
        nn.ReLU(),
        nn.Linear(width, num_classes),
    )


def _left_of(side: int) -> int:
    """Compute the side that is left after two unpadded 5x5 convolutions with 2x2 pooling."""
    return ((side - 4) // 2 - 4) // 2
