"""Networks and plain steps to compare BilevelStep with."""

from typing import Any

import torch
from problems import (
    CLASSES,
)
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import SGD, Optimizer

import mwnet

Step = mwnet.BilevelStep


class Noisy(nn.Module):
    """Batch norm and dropout, both of which a careless extra pass would disturb."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(4, 6), nn.BatchNorm1d(6), nn.Tanh(), nn.Dropout(0.4), nn.Linear(6, CLASSES)
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


class Tokens(nn.Module):
    """A transformer encoder on token ids, with a mask of the places that count."""

    def __init__(self, dropout: float = 0.0) -> None:
        super().__init__()
        self.embed = nn.Embedding(9, 8)
        self.encoder = nn.TransformerEncoderLayer(8, 2, 16, dropout, batch_first=True)
        self.out = nn.Linear(8, CLASSES)

    def forward(
        self, ids: Tensor, mask: Tensor | None = None, *, scale: float = 1.0, extra: Any = None
    ) -> Tensor:
        hidden = self.encoder(self.embed(ids), src_key_padding_mask=mask)
        return scale * self.out(hidden.mean(1))


class Pair(nn.Module):
    """Two arguments, which a tuple gives in order."""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.right = nn.Linear(4, 5), nn.Linear(4, 5)
        self.out = nn.Linear(5, CLASSES)

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return self.out(torch.tanh(self.left(a) * self.right(b)))


class Fixed(nn.Module):
    """Weights by place in the batch; its parameter changes nothing."""

    def __init__(self, weights: list[float]) -> None:
        super().__init__()
        self.register_buffer("weights", torch.tensor(weights, dtype=torch.float64))
        self.unmoved = nn.Parameter(torch.zeros((), dtype=torch.float64))

    def forward(self, losses: Tensor, labels: Tensor) -> Tensor:
        return self.weights[: len(losses)] + 0 * self.unmoved


def tokens(seed: int, size: int = 8) -> tuple[dict[str, Any], Tensor]:
    rng = torch.Generator().manual_seed(seed)
    ids = torch.randint(0, 9, (size, 5), generator=rng)
    mask = torch.zeros(size, 5, dtype=torch.bool)
    mask[:, 4] = ids[:, 4] == 0
    x = {"ids": ids, "mask": mask, "scale": 2.0, "extra": None}
    return x, torch.randint(0, CLASSES, (size,), generator=rng)


def sgd(net: nn.Module) -> Optimizer:
    return SGD(net.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-2)


def seeded(build: Any, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return build().double()


def plain_step(net: nn.Module, optimizer: Optimizer, x: Tensor, y: Tensor, weights: Tensor) -> None:
    losses = F.cross_entropy(net(x), y, reduction="none")
    optimizer.zero_grad()
    (weights / len(y) @ losses).backward()
    optimizer.step()
