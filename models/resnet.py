"""CIFAR ResNets with parameter-free (option A) shortcuts: He et al. 2016, section 4.2."""

import torch.nn.functional as F
from torch import Tensor, nn

from ._parts import check_width, image_sides


class BasicBlock(nn.Module):
    """Two 3x3 convolutions; the shortcut subsamples and pads new channels with zeros (option A)."""

    def __init__(self, channels_in: int, channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.stride = stride
        self.new_channels = channels - channels_in

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        if self.stride > 1 or self.new_channels:
            before = self.new_channels // 2
            x = x[:, :, :: self.stride, :: self.stride]
            x = F.pad(x, (0, 0, 0, 0, before, self.new_channels - before))
        return F.relu(out + x)


class ResNet(nn.Module):
    """Three stages of ``(depth - 2) / 6`` basic blocks with ``width``, 2 ``width``, 4 ``width``."""

    def __init__(self, num_classes: int, in_channels: int, depth: int, width: int) -> None:
        super().__init__()
        self.stem = nn.Conv2d(in_channels, width, 3, 1, 1, bias=False)
        self.bn = nn.BatchNorm2d(width)
        blocks, channels_in = [], width
        for stage, channels in enumerate((width, 2 * width, 4 * width)):
            for block in range((depth - 2) // 6):
                stride = 2 if stage > 0 and block == 0 else 1
                blocks.append(BasicBlock(channels_in, channels, stride))
                channels_in = channels
        self.blocks = nn.Sequential(*blocks)
        self.head = nn.Linear(channels_in, num_classes)
        for module in self.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                nn.init.kaiming_normal_(module.weight)

    def forward(self, x: Tensor) -> Tensor:
        x = self.blocks(F.relu(self.bn(self.stem(x))))
        return self.head(x.mean(dim=(2, 3)))


def resnet(
    *,
    num_classes: int,
    in_channels: int = 3,
    image_size: int | tuple[int, int] = 32,
    depth: int = 32,
    width: int = 16,
) -> ResNet:
    """Build a CIFAR ResNet with parameter-free shortcuts (option A).

    ResNet-32 at 10 classes and 3 channels has 464,154 parameters. Weights start Kaiming-normal, as
    in the Meta-Weight-Net code.

    Args:
        num_classes: number of logits.
        in_channels: channels of the image.
        image_size: checked only; the last stage has a quarter of the side.
        depth: 6 n + 2 (8, 14, 20, 32, 44, 56, 110).
        width: channels of the first stage.

    Raises:
        ValueError: images smaller than 4x4 pixels, another depth, or a width below 1.

    Source: section 4.2 of He et al., CVPR 2016.

    Examples:
        >>> import torch
        >>> from mwnet import MODELS
        >>> network = MODELS["resnet32"](num_classes=10)
        >>> network(torch.zeros(2, 3, 8, 8)).shape
        torch.Size([2, 10])
        >>> sum(p.numel() for p in network.parameters())
        464154
    """
    check_width(width, "resnet")
    if depth < 8 or (depth - 2) % 6:
        raise ValueError(f"a CIFAR ResNet has depth 6n + 2 (8, 14, 20, 32, ...), got {depth}")
    image_sides(image_size, "resnet", 4)
    return ResNet(num_classes, in_channels, depth, width)
