"""ResNet-18 with pre-activation: He et al., "Identity mappings in deep residual networks", 2016."""

import torch.nn.functional as F
from torch import Tensor, nn

from ._parts import check_width, image_sides
from .wrn import WideBlock


class PreActResNet18(nn.Module):
    """Four stages of two pre-activated blocks with 1, 2, 4 and 8 times ``width`` channels."""

    def __init__(self, num_classes: int, in_channels: int, width: int) -> None:
        super().__init__()
        self.stem = nn.Conv2d(in_channels, width, 3, 1, 1, bias=False)
        blocks, channels_in = [], width
        for stage in range(4):
            channels = width * 2**stage
            for block in range(2):
                stride = 2 if stage > 0 and block == 0 else 1
                blocks.append(WideBlock(channels_in, channels, stride, dropout=0.0))
                channels_in = channels
        self.blocks = nn.Sequential(*blocks)
        self.bn = nn.BatchNorm2d(channels_in)
        self.head = nn.Linear(channels_in, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.bn(self.blocks(self.stem(x))))
        return self.head(x.mean(dim=(2, 3)))


def preact_resnet18(
    *,
    num_classes: int,
    in_channels: int = 3,
    image_size: int | tuple[int, int] = 32,
    width: int = 64,
) -> PreActResNet18:
    """Build ResNet-18 with batch norm and ReLU before each convolution and a 3x3 stem.

    At 3 channels it has 11,172,170 parameters for 10 classes and 11,218,340 for 100. Weights start
    as PyTorch starts them. As in the paper, batch norm and ReLU follow the last block. Widely used
    CIFAR code (kuangliu's and its descendants) leaves them out and has 1,024 parameters fewer.

    Args:
        num_classes: number of logits.
        in_channels: channels of the image.
        image_size: checked only; the last stage has an eighth of the side.
        width: channels of the first stage.

    Raises:
        ValueError: images smaller than 8x8 pixels, or a width below 1.

    Source: He et al., "Identity mappings in deep residual networks", ECCV 2016.

    Examples:
        >>> import torch
        >>> from mwnet import MODELS
        >>> network = MODELS["preact-resnet18"](num_classes=10)
        >>> network(torch.zeros(2, 3, 8, 8)).shape
        torch.Size([2, 10])
        >>> sum(p.numel() for p in network.parameters())
        11172170
    """
    check_width(width, "preact-resnet18")
    image_sides(image_size, "preact-resnet18", 8)
    return PreActResNet18(num_classes, in_channels, width)
