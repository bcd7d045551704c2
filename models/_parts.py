"""Parts that several architectures share: checks of sizes, and a convolution block."""

from collections.abc import Callable

from torch import nn


def image_sides(image_size: int | tuple[int, int], name: str, smallest: int) -> tuple[int, int]:
    """Return height and width of the images.

    Args:
        image_size: side of a square image, or ``(height, width)``.
        name: of the architecture, for the message.
        smallest: the least height and width that the architecture takes, in pixels.

    Raises:
        ValueError: a side is smaller than that.
    """
    height, width = (image_size, image_size) if isinstance(image_size, int) else image_size
    if min(height, width) < smallest:
        raise ValueError(
            f"{name} needs images of at least {smallest}x{smallest} pixels, got {height}x{width}; "
            "mlp2 takes any size"
        )
    return height, width


def check_width(width: int, name: str) -> None:
    """Raise a ValueError for a width below 1."""
    if width < 1:
        raise ValueError(f"{name} needs a width of at least 1, got {width}")


def convolution(
    channels_in: int,
    channels: int,
    *,
    padding: int = 1,
    activation: Callable[[], nn.Module] = nn.ReLU,
) -> list[nn.Module]:
    """Return a 3x3 convolution with bias, batch norm and an activation."""
    conv = nn.Conv2d(channels_in, channels, 3, padding=padding)
    return [conv, nn.BatchNorm2d(channels), activation()]
