"""Multi-layer perceptrons of the Taylor-loss paper (its Table 6): 784-256-10 and 784-256-256-10."""

from itertools import pairwise

from torch import nn


def mlp(
    *,
    num_classes: int,
    in_channels: int = 1,
    image_size: int | tuple[int, int] = 28,
    depth: int = 2,
    width: int = 256,
) -> nn.Sequential:
    """Build a perceptron with ``depth`` linear layers and ReLU between them.

    At 28x28 grey pixels and 10 classes, depth 2 has 203,530 parameters and depth 3 has 269,322.
    Weights start as PyTorch starts them.

    Args:
        num_classes: number of logits.
        in_channels: channels of the image, or the number of features when ``image_size`` is 1.
        image_size: side of the square image, or ``(height, width)``.
        depth: number of linear layers, at least 1.
        width: units of each hidden layer.

    Raises:
        ValueError: a depth or a width below 1.

    Source: Table 6 of Gao, Gouk and Hospedales, 2021.

    Examples:
        >>> import torch
        >>> from mwnet import MODELS
        >>> network = MODELS["mlp2"](num_classes=10, in_channels=1, image_size=28)
        >>> network(torch.zeros(2, 1, 28, 28)).shape
        torch.Size([2, 10])
        >>> sum(p.numel() for p in network.parameters())
        203530
    """
    if depth < 1 or width < 1:
        raise ValueError(f"an mlp needs depth and width of at least 1, got {depth} and {width}")
    height, columns = (image_size, image_size) if isinstance(image_size, int) else image_size
    sizes = [in_channels * height * columns] + [width] * (depth - 1)
    layers: list[nn.Module] = [nn.Flatten()]
    for fan_in, fan_out in pairwise(sizes):
        layers += [nn.Linear(fan_in, fan_out), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(sizes[-1], num_classes))
