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
    """Two unpadded 5x5 convolutions (32, 64), each with ReLU and 2x2 max-pool, two linear layers.

    The table calls it a net for 32x32 colour images and prints "FC 1024 -> 1024", which fits only
    images of 28x28: 64 channels of 4x4. The input of that layer is inferred from ``image_size``
    here: 1,024 at 28x28, 1,600 at 32x32. With 10 classes that makes 1,111,946 parameters for
    1x28x28 images and 1,703,370 for 3x32x32. The table does not print the poolings, but
    the 1,024 imply them. Weights start as PyTorch starts them.

    Args:
        num_classes: number of logits.
        in_channels: channels of the image.
        image_size: side of the square image, or ``(height, width)``; other sizes do not fit later.
        width: units of the hidden linear layer.

    Raises:
        ValueError: images smaller than 16x16 pixels, or a width below 1.
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
    """What two unpadded 5x5 convolutions with 2x2 pooling leave of a side."""
    return ((side - 4) // 2 - 4) // 2
