"""Classifier architectures. This package imports nothing of mwnet and can be used alone.

Every entry of MODELS is called as

    MODELS[name](num_classes=10, in_channels=3, image_size=32)

and returns a plain ``nn.Module`` that maps ``(batch, in_channels, height, width)`` float images to
``(batch, num_classes)`` logits; ``image_size`` is the side of a square image or (height, width).
Feature vectors are images of one pixel: ``in_channels=features, image_size=1``. Further keyword
arguments (``depth``, ``width``, ``dropout``) change an architecture's own dimensions.
"""

from functools import partial

from models.mlp import mlp
from models.resnet import resnet
from models.wrn import wide_resnet

MODELS = {
    "mlp2": partial(mlp, depth=2),
    "mlp3": partial(mlp, depth=3),
    "resnet32": partial(resnet, depth=32),
    "wrn-28-10": partial(wide_resnet, depth=28, width=10),
    "wrn-16-4": partial(wide_resnet, depth=16, width=4),
}

__all__ = ["MODELS", "mlp", "resnet", "wide_resnet"]
