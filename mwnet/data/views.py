"""A strongly changed view of images, made on their device by torchvision's transforms."""

import importlib
from typing import Any

import torch
from torch import Generator, Tensor

from mwnet.core.seeding import generator, seeded
from mwnet.data.batches import Pixels
from mwnet.models.torchvision_import import torchvision

GROUPS = 16
"""Parts of a batch with changes of their own: torchvision changes all images of a call alike."""
HOLE = 0.5
"""Side of the square that is blanked, as a share of the image's."""


def strong_view(x: Tensor, pixels: Pixels, seed: int, *moment: object) -> Tensor:
    """Change images at random: two operations of RandAugment, then a blank square.

    Args:
        x: ``(n, c, h, w)`` float32 images as a network gets them, c = 1 or 3.
        pixels: say how they were normalised.
        seed: of the run.
        moment: of the training; the same moment gives the same changes.

    Returns:
        Images like x.

    Source: Cubuk et al., RandAugment, NeurIPS 2020; DeVries and Taylor, Cutout, 2017.
    """
    torchvision()
    v2: Any = importlib.import_module("torchvision.transforms.v2")
    change = v2.RandAugment(num_ops=2, magnitude=10)
    raw = (x * pixels.std + pixels.mean).round().clamp(0, 255).to(torch.uint8)
    with seeded(seed, "strong view", *moment):
        parts = [change(part) for part in raw.chunk(GROUPS)]
    changed = (torch.cat(parts).float() - pixels.mean) / pixels.std
    return with_holes(changed, generator(seed, "hole", *moment, device=x.device))


def with_holes(x: Tensor, rng: Generator) -> Tensor:
    """Set a square at a random place of each image to 0, which is the mean of all images."""
    n, _, height, width = x.shape
    inside = []
    for size in (height, width):
        centre = torch.randint(size, (n, 1), generator=rng, device=x.device)
        away = (torch.arange(size, device=x.device) - centre).abs()
        inside.append(away < HOLE * size / 2)
    hole = inside[0][:, :, None] & inside[1][:, None, :]
    return x.masked_fill(hole[:, None], 0.0)
