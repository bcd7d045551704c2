"""Build torchvision's classification networks for our classes and channels."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import nn

from ._parts import image_sides
from .torchvision_import import torchvision

PREFIX = "torchvision:"
IMAGENET_CLASSES = 1000
AUXILIARY = {"googlenet": ("aux1", "aux2"), "inception_v3": ("AuxLogits",)}  # second heads


def torchvision_builders() -> dict[str, Callable[..., nn.Module]]:
    """Return the builders of all classification networks of the installed torchvision, by name."""
    zoo = torchvision().models
    return {name: partial(torchvision_model, name) for name in zoo.list_models(module=zoo)}


def torchvision_model(
    name: str,
    *,
    num_classes: int,
    in_channels: int = 3,
    image_size: int | tuple[int, int] = 224,
    pretrained: bool = False,
) -> nn.Module:
    """Build a network of ``torchvision.models`` that returns logits only, in training mode too.

    ``resnet18`` has 11,181,642 parameters for 10 classes, 11,183,694 for the 14 of Clothing1M and
    11,227,812 for 100. torchvision builds the head for ``num_classes``; with pretrained weights the
    head is replaced. The first convolution is replaced where ``in_channels`` is not 3. Replaced
    layers start as PyTorch starts them, all others as torchvision starts them.

    Args:
        name: as ``torchvision.models.list_models`` gives it, without prefix.
        num_classes: number of logits.
        in_channels: channels of the image.
        image_size: side of the square image, or ``(height, width)``; tried out on one image. Vision
            transformers and MaxViT take no other size.
        pretrained: start from torchvision's default ImageNet weights, fetched from the network and
            kept in torch's cache. They expect images normalised as torchvision's presets do it.

    Raises:
        ValueError: the network cannot take such images, or its weights cannot be fetched.
    """
    height, width = image_sides(image_size, PREFIX + name, 1)
    options: dict[str, Any] = {"weights": "DEFAULT"} if pretrained else {"num_classes": num_classes}
    if name.startswith("vit_"):
        options["image_size"] = height
    elif name.startswith("maxvit"):
        options["input_size"] = (height, width)
    elif name in AUXILIARY and not pretrained:
        options |= {"aux_logits": False, "init_weights": True}
    try:
        model = torchvision().models.get_model(name, **options)
        if pretrained:
            _drop_auxiliary(model, AUXILIARY.get(name, ()))
            _replace_head(model, num_classes)
        if in_channels != 3:
            _replace_stem(model, in_channels)
        with torch.no_grad():
            model.eval()(torch.zeros(1, in_channels, height, width))
    except OSError as error:
        raise ValueError(f"weights of {PREFIX}{name} could not be fetched: {error}") from None
    except (AssertionError, RuntimeError, ValueError) as error:
        shape = f"{in_channels}x{height}x{width}"
        reason = str(error).split("\n", 1)[0]
        raise ValueError(f"{PREFIX}{name} cannot be built for {shape} images: {reason}") from error
    return model.train()


def _drop_auxiliary(model: nn.Module, parts: tuple[str, ...]) -> None:
    for part in parts:
        setattr(model, part, None)
        model.aux_logits = False  # pyright: ignore[reportArgumentType]


def _replace_head(model: nn.Module, num_classes: int) -> None:
    """Replace the last layer that has an output for each ImageNet class by a fresh one."""
    for path, old in reversed(list(model.named_modules())):
        if isinstance(old, nn.Linear) and old.out_features == IMAGENET_CLASSES:
            new = nn.Linear(old.in_features, num_classes, bias=old.bias is not None)
        elif isinstance(old, nn.Conv2d) and old.out_channels == IMAGENET_CLASSES:  # SqueezeNet
            new = nn.Conv2d(old.in_channels, num_classes, 1)
        else:
            continue
        model.set_submodule(path, new)
        return
    raise ValueError(f"it has no layer with {IMAGENET_CLASSES} outputs to replace")


def _replace_stem(model: nn.Module, in_channels: int) -> None:
    """Replace the first convolution by a fresh one of the same geometry for other channels."""
    path, old = next(
        (path, module) for path, module in model.named_modules() if isinstance(module, nn.Conv2d)
    )
    new = nn.Conv2d(
        in_channels,
        old.out_channels,
        old.kernel_size,  # pyright: ignore[reportArgumentType]
        old.stride,  # pyright: ignore[reportArgumentType]
        old.padding,  # pyright: ignore[reportArgumentType]
        bias=old.bias is not None,
    )
    model.set_submodule(path, new)
    if getattr(model, "transform_input", False):  # it picks out the three colours
        model.transform_input = False  # pyright: ignore[reportArgumentType]
