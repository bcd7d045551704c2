"""The networks whose steps are timed, and random samples for each."""

from typing import Any

import torch
from torch import Tensor, nn

from mwnet.data import Batch
from mwnet.models import MODELS

CLASSES, WORDS, LENGTH, FEATURES = 10, 1000, 64, 100
SIDES = {"mlp2": (1, 28), "mlp3": (1, 28)}
"""Channels and side of the images, where they are not those of CIFAR."""


class Transformer(nn.Module):
    """Four encoder layers of width 256 over 64 tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(WORDS, 256)
        self.places = nn.Parameter(0.02 * torch.randn(LENGTH, 256))
        layer = nn.TransformerEncoderLayer(256, 4, 1024, dropout=0.0, batch_first=True)
        self.layers = nn.TransformerEncoder(layer, 4)
        self.head = nn.Linear(256, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        """``(n, 64)`` words -> ``(n, 10)`` logits."""
        return self.head(self.layers(self.words(x) + self.places).mean(1))


def group_normed(network: nn.Module) -> nn.Module:
    """Put group norms of eight groups in the place of all batch norms."""
    for parent in list(network.modules()):
        for name, child in parent.named_children():
            if isinstance(child, nn.BatchNorm2d):
                setattr(parent, name, nn.GroupNorm(8, child.num_features))
    return network


def network(name: str) -> nn.Module:
    """Build a network: an entry of MODELS, ``resnet20-gn`` or ``transformer``."""
    if name == "transformer":
        return Transformer()
    if name == "tabm":
        return MODELS[name](num_classes=CLASSES, in_channels=FEATURES)
    options: dict[str, Any] = {"depth": 20} if name == "resnet20-gn" else {}
    kind = "resnet32" if options else name
    channels, side = SIDES.get(name, (3, 32))
    built = MODELS[kind](num_classes=CLASSES, in_channels=channels, image_size=side, **options)
    return group_normed(built) if options else built


def samples(name: str, size: int, device: str, layout: torch.memory_format) -> Batch:
    """Draw a batch for the network of that name."""
    if name == "transformer":
        x = torch.randint(WORDS, (size, LENGTH), device=device)
    elif name == "tabm":
        x = torch.randn(size, FEATURES, device=device)
    else:
        channels, side = SIDES.get(name, (3, 32))
        x = torch.randn(size, channels, side, side, device=device).to(memory_format=layout)
    labels = torch.randint(0, CLASSES, (size,), device=device)
    return Batch(torch.arange(size, device=device), x, labels)
