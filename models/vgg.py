"""VGG-11 with batch norm: Simonyan and Zisserman, ICLR 2015, with the head that CIFAR code uses."""

from torch import nn

from ._parts import check_width, convolution, image_sides

STAGES = ((1,), (2,), (4, 4), (8, 8), (8, 8))  # channels of each convolution, in widths


def vgg11(
    *,
    num_classes: int,
    in_channels: int = 3,
    image_size: int | tuple[int, int] = 32,
    width: int = 64,
) -> nn.Sequential:
    """Build VGG-11 with batch norm: eight 3x3 convolutions, five 2x2 max-pools, one linear layer.

    This is configuration A of the paper. Batch norm and ReLU follow each convolution. The paper's
    three linear layers of 4096, 4096 and K units (``torchvision:vgg11_bn``) are one, as in
    kuangliu's CIFAR code. Before it the image is averaged, which changes nothing at 32x32, where
    one pixel is left. At 3 channels it has 9,231,114 parameters for 10 classes and 9,277,284 for
    100. Weights start as PyTorch starts them.

    Args:
        num_classes: number of logits.
        in_channels: channels of the image.
        image_size: checked only.
        width: channels of the first convolution.

    Raises:
        ValueError: images smaller than 32x32 pixels, of which five poolings leave nothing, or a
            width below 1.

    Source: Simonyan and Zisserman, ICLR 2015.

    Examples:
        >>> import torch
        >>> from mwnet import MODELS
        >>> network = MODELS["vgg11"](num_classes=10)
        >>> network(torch.zeros(2, 3, 32, 32)).shape
        torch.Size([2, 10])
        >>> sum(p.numel() for p in network.parameters())
        9231114
    """
    check_width(width, "vgg11")
    image_sides(image_size, "vgg11", 32)
    layers, channels_in = [], in_channels
    for stage in STAGES:
        for factor in stage:
            layers += convolution(channels_in, factor * width)
            channels_in = factor * width
        layers.append(nn.MaxPool2d(2))
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels_in, num_classes)]
    return nn.Sequential(*layers, *head)
