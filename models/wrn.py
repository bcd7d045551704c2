"""Wide residual networks: Zagoruyko and Komodakis, BMVC 2016."""

import torch.nn.functional as F
from torch import Tensor, nn

from ._parts import check_width, image_sides


class WideBlock(nn.Module):
    """A pre-activation block: BN-ReLU-conv, optional dropout, BN-ReLU-conv.

    The shortcut is a 1x1 convolution where the shape changes, the identity elsewhere.
    """

    def __init__(self, channels_in: int, channels: int, stride: int, dropout: float) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(channels_in)
        self.conv1 = nn.Conv2d(channels_in, channels, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.dropout = nn.Dropout(dropout) if dropout > 0 else nn.Identity()
        self.shortcut = (
            nn.Conv2d(channels_in, channels, 1, stride, bias=False)
            if stride > 1 or channels_in != channels
            else None
        )

    def forward(self, x: Tensor) -> Tensor:
        activated = F.relu(self.bn1(x))
        out = self.dropout(F.relu(self.bn2(self.conv1(activated))))
        # The 1x1 shortcut sees the activated input (as in the authors' code), identity the raw one.
        return self.conv2(out) + (x if self.shortcut is None else self.shortcut(activated))


class WideResNet(nn.Module):
    """Three stages of ``(depth - 4) / 6`` blocks with 16, 32 and 64 times ``width`` channels."""

    def __init__(
        self, num_classes: int, in_channels: int, depth: int, width: int, dropout: float
    ) -> None:
        super().__init__()
        self.stem = nn.Conv2d(in_channels, 16, 3, 1, 1, bias=False)
        blocks, channels_in = [], 16
        for stage in range(3):
            channels = 16 * width * 2**stage
            for block in range((depth - 4) // 6):
                stride = 2 if stage > 0 and block == 0 else 1
                blocks.append(WideBlock(channels_in, channels, stride, dropout))
                channels_in = channels
        self.blocks = nn.Sequential(*blocks)
        self.bn = nn.BatchNorm2d(channels_in)
        self.head = nn.Linear(channels_in, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        nn.init.zeros_(self.head.bias)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.bn(self.blocks(self.stem(x))))
        return self.head(x.mean(dim=(2, 3)))


def wide_resnet(
    *,
    num_classes: int,
    in_channels: int = 3,
    image_size: int | tuple[int, int] = 32,
    depth: int = 28,
    width: int = 10,
    dropout: float = 0.0,
) -> WideResNet:
    """Build a wide ResNet.

    WRN-28-10 at 10 classes and 3 channels has 36,479,194 parameters. Convolutions start
    Kaiming-normal (fan-out), the bias of the head at 0.

    Args:
        num_classes: number of logits.
        in_channels: channels of the image.
        image_size: checked only; the last stage has a quarter of the side.
        depth: 6 n + 4 (10, 16, 22, 28, 40).
        width: the widening factor k.
        dropout: probability of dropping an activation between a block's two convolutions, in [0,
            1).

    Raises:
        ValueError: images smaller than 4x4 pixels, another depth, a width below 1, or a dropout
            outside [0, 1).

    Source: Zagoruyko and Komodakis, BMVC 2016.

    Examples:
        >>> import torch
        >>> from mwnet import MODELS
        >>> network = MODELS["wrn-16-4"](num_classes=10)
        >>> network(torch.zeros(2, 3, 8, 8)).shape
        torch.Size([2, 10])
        >>> sum(p.numel() for p in network.parameters())
        2748890
    """
    check_width(width, "wrn")
    if depth < 10 or (depth - 4) % 6:
        raise ValueError(f"a wide ResNet has depth 6n + 4 (10, 16, 22, 28, ...), got {depth}")
    if not 0 <= dropout < 1:
        raise ValueError(f"dropout is a probability below 1, got {dropout}")
    image_sides(image_size, "wrn", 4)
    return WideResNet(num_classes, in_channels, depth, width, dropout)
