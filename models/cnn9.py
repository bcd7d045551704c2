"""The 9-layer CNN of Co-teaching: Han et al., NeurIPS 2018, Table 2."""

from functools import partial

from torch import nn

from ._parts import check_width, convolution, image_sides


def cnn9(
    *,
    num_classes: int,
    in_channels: int = 3,
    image_size: int | tuple[int, int] = 32,
    width: int = 128,
    dropout: float = 0.25,
) -> nn.Sequential:
    """Build the 9-layer CNN: nine 3x3 convolutions and one linear layer.

    Batch norm and leaky ReLU of slope 0.01 follow each convolution. There are three of 128
    channels, pool, dropout, three of 256, pool, dropout, and unpadded ones of 512, 256 and 128. The
    average over all pixels goes to the linear layer. At 3 channels it has 4,434,570 parameters for
    10 classes and 4,446,180 for 100. Weights start as PyTorch starts them.

    Dropout drops whole channels, as in the authors' code. It is off in evaluation, where that code
    leaves it on.

    Args:
        num_classes: number of logits.
        in_channels: channels of the image.
        image_size: checked only.
        width: channels of the first three convolutions; the others have 2, 4, 2 and 1 times as
            many.
        dropout: probability of dropping a channel after each pooling, in [0, 1).

    Raises:
        ValueError: images smaller than 28x28 pixels, of which the unpadded convolutions leave
            nothing; a width below 1; a dropout outside [0, 1).

    Source: Table 2 of Han et al., NeurIPS 2018.

    Examples:
        >>> import torch
        >>> from mwnet import MODELS
        >>> network = MODELS["cnn9"](num_classes=10)
        >>> network(torch.zeros(2, 3, 32, 32)).shape
        torch.Size([2, 10])
        >>> sum(p.numel() for p in network.parameters())
        4434570
    """
    check_width(width, "cnn9")
    if not 0 <= dropout < 1:
        raise ValueError(f"dropout is a probability below 1, got {dropout}")
    image_sides(image_size, "cnn9", 28)
    block = partial(convolution, activation=nn.LeakyReLU)  # its default slope is 0.01
    return nn.Sequential(
        *block(in_channels, width),
        *block(width, width),
        *block(width, width),
        nn.MaxPool2d(2),
        nn.Dropout2d(dropout),
        *block(width, 2 * width),
        *block(2 * width, 2 * width),
        *block(2 * width, 2 * width),
        nn.MaxPool2d(2),
        nn.Dropout2d(dropout),
        *block(2 * width, 4 * width, padding=0),
        *block(4 * width, 2 * width, padding=0),
        *block(2 * width, width, padding=0),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(width, num_classes),
    )
