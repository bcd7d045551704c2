"""Classifier architectures. This package imports nothing of mwnet and can be used alone.

Every entry of MODELS is called as

    MODELS[name](num_classes=10, in_channels=3, image_size=32)

It returns a plain ``nn.Module`` that maps ``(batch, in_channels, height, width)`` float images to
``(batch, num_classes)`` logits. ``image_size`` is the side of a square image or (height, width).
Feature vectors are images of one pixel: ``in_channels=features, image_size=1``. Further keyword
arguments (``depth``, ``width``, ``dropout``) change an architecture's own dimensions.

``find(name)`` returns the builder for a name. The name may also be ``torchvision:NAME`` with any
classification network of the installed torchvision.

Example:
    >>> import torch
    >>> from mwnet import MODELS
    >>> network = MODELS["mlp2"](num_classes=3, in_channels=20, image_size=1)
    >>> network(torch.zeros(8, 20, 1, 1)).shape
    torch.Size([8, 3])
"""

import difflib
from collections.abc import Callable, Mapping
from functools import partial

from torch import nn

from .cnn4 import cnn4
from .cnn9 import cnn9
from .jocor import jocor_net, jocor_repo
from .mlp import mlp
from .preact_resnet import preact_resnet18
from .resnet import resnet
from .resnet18 import resnet18
from .tabm import tabm
from .torchvision_models import PREFIX, torchvision_builders
from .vgg import vgg11
from .wrn import wide_resnet

MODELS = {
    "mlp2": partial(mlp, depth=2),
    "mlp3": partial(mlp, depth=3),
    "tabm": tabm,
    "cnn4": cnn4,
    "cnn9": cnn9,
    "jocor-net": jocor_net,
    "jocor-repo": jocor_repo,
    "vgg11": vgg11,
    "resnet32": partial(resnet, depth=32),
    "resnet18": resnet18,
    "preact-resnet18": preact_resnet18,
    "wrn-28-10": partial(wide_resnet, depth=28, width=10),
    "wrn-16-4": partial(wide_resnet, depth=16, width=4),
}


def find(name: str) -> Callable[..., nn.Module]:
    """Return the builder of an architecture: an entry of MODELS, or one of torchvision's networks.

    Only a name that begins with ``torchvision:`` imports torchvision. Those builders take the
    arguments of MODELS and ``pretrained``, False by default.

    Args:
        name: a key of MODELS, or ``torchvision:NAME``.

    Raises:
        ValueError: an unknown name; the message has the nearest known one.

    Examples:
        >>> find("cnn4") is MODELS["cnn4"]
        True
    """
    prefix = PREFIX if name.startswith(PREFIX) else ""
    builders: Mapping[str, Callable[..., nn.Module]] = torchvision_builders() if prefix else MODELS
    key = name.removeprefix(prefix)
    if key not in builders:
        match = difflib.get_close_matches(key, builders, n=1, cutoff=0.5)
        hint = f"did you mean {prefix}{match[0]}? " if match else ""
        known = ", ".join([*sorted(MODELS), f"{PREFIX}NAME"])
        known = "those of torchvision.models" if prefix else known
        raise ValueError(f"unknown model '{name}' ({hint}known: {known})")
    return builders[key]


__all__ = [
    "MODELS",
    "cnn4",
    "cnn9",
    "find",
    "jocor_net",
    "jocor_repo",
    "mlp",
    "preact_resnet18",
    "resnet",
    "resnet18",
    "tabm",
    "vgg11",
    "wide_resnet",
]
