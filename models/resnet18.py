"""ResNet-18 for small images: He et al., CVPR 2016, with the stem that CIFAR code gives it."""

import torch.nn.functional as F
from torch import Tensor, nn

from ._parts import check_width, image_sides


class ProjectionBlock(nn.Module):
    """Two 3x3 convolutions; where the shape changes, a 1x1 convolution (option B) as shortcut."""

    def __init__(self, channels_in: int, channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.shortcut = nn.Sequential()
        if stride > 1 or channels_in != channels:
            self.shortcut.append(nn.Conv2d(channels_in, channels, 1, stride, bias=False))
            self.shortcut.append(nn.BatchNorm2d(channels))

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        return F.relu(out + self.shortcut(x))


class ResNet18(nn.Module):
    """Four stages of two blocks with 1, 2, 4 and 8 times ``width`` channels."""

    def __init__(self, num_classes: int, in_channels: int, width: int) -> None:
        super().__init__()
        self.stem = nn.Conv2d(in_channels, width, 3, 1, 1, bias=False)
        self.bn = nn.BatchNorm2d(width)
        blocks, channels_in = [], width
        for stage in range(4):
            channels = width * 2**stage
            for block in range(2):
                stride = 2 if stage > 0 and block == 0 else 1
                blocks.append(ProjectionBlock(channels_in, channels, stride))
                channels_in = channels
        self.blocks = nn.Sequential(*blocks)
        self.head = nn.Linear(channels_in, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.blocks(F.relu(self.bn(self.stem(x))))
        return self.head(x.mean(dim=(2, 3)))


def resnet18(
    *,
    num_classes: int,
    in_channels: int = 3,
    image_size: int | tuple[int, int] = 32,
    width: int = 64,
) -> ResNet18:
    """Build ResNet-18 with one 3x3 convolution without max-pooling as its stem.

    The layout is that of kuangliu's code. At 3 channels it has 11,173,962 parameters for 10 classes
    and 11,220,132 for 100. Weights start as PyTorch starts them. For large photographs take the
    original, ``torchvision:resnet18``, whose stem divides the side by four.

    Args:
        num_classes: number of logits.
        in_channels: channels of the image.
        image_size: checked only; the last stage has an eighth of the side.
        width: channels of the first stage.

    Raises:
        ValueError: images smaller than 8x8 pixels, or a width below 1.

    Source: He et al., CVPR 2016.

    Examples:
        >>> import torch
        >>> from mwnet import MODELS
        >>> network = MODELS["resnet18"](num_classes=10)
        >>> network(torch.zeros(2, 3, 8, 8)).shape
        torch.Size([2, 10])
        >>> sum(p.numel() for p in network.parameters())
        11173962
    """
    check_width(width, "resnet18")
    image_sides(image_size, "resnet18", 8)
    return ResNet18(num_classes, in_channels, width)
