"""Small networks, one for each way in which layers use parameters and samples lie in tensors."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations

from mwnet.methods.committee import SideBySide
from mwnet.models import MODELS

CLASSES, CHANNELS, SIZE, TOKENS, WORDS = 3, 2, 6, 5, 7


class Pooled(nn.Module):
    """Convolutions, a mean over all positions, and a linear layer."""

    def __init__(self, *layers: nn.Module, channels: int = 4) -> None:
        super().__init__()
        self.layers, self.head = nn.Sequential(*layers), nn.Linear(channels, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.layers(x).flatten(2).mean(2))


class Residual(nn.Module):
    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(x + self.layers(x))


class Twice(nn.Module):
    """One layer called several times, and its weight once more elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4)
        self.head = nn.Linear(4, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.tanh(self.layer(torch.tanh(self.layer(x))))
        return self.head(torch.tanh(F.linear(x, self.layer.weight.T)))


class Words(nn.Module):
    """Embedded tokens with positions, a body, and the table again as the head's first layer."""

    def __init__(self, body: nn.Module, *, batch_first: bool = True, tied: bool = False) -> None:
        super().__init__()
        self.table = nn.Embedding(WORDS, 4, padding_idx=1)
        self.places = nn.Parameter(torch.randn(TOKENS, 4))
        self.start = nn.Parameter(torch.randn(1, 1, 4))
        self.body, self.batch_first, self.tied = body, batch_first, tied
        self.head = nn.Linear(WORDS if tied else 4, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = self.table(x) + self.places
        x = torch.cat([self.start.expand(len(x), -1, -1), x], 1)
        x = self.body(x) if self.batch_first else self.body(x.transpose(0, 1)).transpose(0, 1)
        x = x[:, 0] + x[:, 1:].mean(1)
        return self.head(F.linear(x, self.table.weight) if self.tied else x)


class Attention(nn.Module):
    """nn.MultiheadAttention, with keys of their own or not."""

    def __init__(self, *, batch_first: bool, other: bool = False) -> None:
        super().__init__()
        sizes: dict[str, Any] = {"kdim": 2, "vdim": 2} if other else {}
        self.attention = nn.MultiheadAttention(4, 2, batch_first=batch_first, **sizes)
        self.other = other

    def forward(self, x: Tensor) -> Tensor:
        keys = x[..., :2] if self.other else x
        return self.attention(x, keys, keys, need_weights=False)[0]


class Fused(nn.Module):
    """The fused kernel, with queries that are parameters as well."""

    def __init__(self) -> None:
        super().__init__()
        self.all = nn.Linear(4, 12, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (t.unflatten(-1, (2, 2)).transpose(1, 2) for t in self.all(x).chunk(3, -1))
        return F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)


class Scaled(nn.Module):
    """A scale, a shift, a parameter to a power, a product of two parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.scale, self.shift = nn.Parameter(torch.randn(4)), nn.Parameter(torch.randn(4))
        self.power = nn.Parameter(torch.tensor(0.5))

    def forward(self, x: Tensor) -> Tensor:
        x = torch.addcmul(self.shift, self.scale, x) * self.scale.exp()
        return torch.tanh(x / (1 + self.power**2)) + self.shift * self.scale


class Recurrent(nn.Module):
    """A cell called for each token."""

    def __init__(self) -> None:
        super().__init__()
        self.cell = nn.GRUCell(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        state, states = torch.zeros_like(x[:, 0]), []
        for token in x.unbind(1):
            state = self.cell(token, state)
            states.append(state)
        return torch.stack(states, 1)


class Several(nn.Module):
    """An operator that returns several tensors."""

    def __init__(self, kind: Any) -> None:
        super().__init__()
        self.layer = kind(4, 4, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x)[0]


def flat(*layers: nn.Module) -> nn.Sequential:
    return nn.Sequential(nn.Linear(4, 4), *layers, nn.Tanh(), nn.Linear(4, CLASSES))


def encoder(**options: Any) -> nn.Module:
    return nn.TransformerEncoderLayer(4, 2, 6, **options)


def conv(dims: int, channels: int = CHANNELS, **options: Any) -> nn.Module:
    kind: Any = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[dims - 1]
    return kind(channels, 4, 3, **options)


def frozen(module: nn.Module, *names: str) -> nn.Module:
    for name, parameter in module.named_parameters():
        parameter.requires_grad_(name not in names)
    return module


def eval_norm(kind: Any, channels: int) -> nn.Module:
    norm = kind(channels)
    norm.running_mean.normal_()
    norm.running_var.uniform_(0.5, 2)
    return norm.eval()


def residual_net() -> nn.Module:
    blocks = [
        Residual(conv(2, 4, padding=1), nn.GroupNorm(2, 4), nn.ReLU(inplace=True)) for _ in range(2)
    ]
    return Pooled(conv(2, padding=1), nn.GroupNorm(2, 4), *blocks)


ROWS: dict[str, Callable[[], nn.Module]] = {
    "linear": flat,
    "no bias": lambda: flat(nn.Linear(4, 4, bias=False)),
    "bias alone": lambda: flat(frozen(nn.Linear(4, 4), "weight")),
    "weight alone": lambda: flat(frozen(nn.Linear(4, 4), "bias")),
    "frozen below": lambda: nn.Sequential(frozen(nn.Linear(4, 4), "weight", "bias"), flat()),
    "layer norm": lambda: flat(nn.LayerNorm(4)),
    "rms norm": lambda: flat(nn.RMSNorm(4)),
    "batch norm, eval": lambda: flat(eval_norm(nn.BatchNorm1d, 4)),
    "norm on the input": lambda: nn.Sequential(nn.LayerNorm(4), flat()),
    "tied": Twice,
    "scaled": lambda: flat(Scaled()),
    "dropout": lambda: flat(nn.Dropout(0.5), nn.Linear(4, 4)),
    "in place": lambda: flat(nn.ReLU(inplace=True), nn.Linear(4, 4)),
    "weight norm": lambda: flat(parametrizations.weight_norm(nn.Linear(4, 4))),
    "spectral norm": lambda: flat(parametrizations.spectral_norm(nn.Linear(4, 4)).eval()),
    "bilinear": lambda: nn.Sequential(nn.Linear(4, 4), Pairs()),
    "tabm": lambda: MODELS["tabm"](num_classes=3, in_channels=4, members=3, width=5, depth=3),
    "side by side": lambda: SideBySide([flat(nn.LayerNorm(4)) for _ in range(3)]),
    "perceptrons side by side": lambda: SideBySide(
        [MODELS["mlp2"](num_classes=3, in_channels=4, image_size=1, width=5) for _ in range(3)]
    ),
    "tabm side by side": lambda: SideBySide(
        [
            MODELS["tabm"](num_classes=3, in_channels=4, members=2, width=5, depth=2, dropout=0.3)
            for _ in range(3)
        ]
    ),
    "frozen batch norm without affine": lambda: flat(nn.BatchNorm1d(4, affine=False).eval()),
}


class Pairs(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Bilinear(4, 4, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x, torch.tanh(x))


IMAGES: dict[str, tuple[int, Callable[[], nn.Module]]] = {
    "conv1d": (1, lambda: Pooled(conv(1), nn.Tanh())),
    "conv2d": (2, lambda: Pooled(conv(2), nn.Tanh(), nn.Conv2d(4, 4, (1, 2)))),
    "conv3d": (3, lambda: Pooled(conv(3), nn.Tanh())),
    "groups": (2, lambda: Pooled(conv(2, groups=2), nn.Tanh())),
    "depthwise": (2, lambda: Pooled(conv(2), nn.Tanh(), conv(2, 4, groups=4), nn.Tanh())),
    "stride": (2, lambda: Pooled(conv(2, stride=(2, 1), padding=1), nn.Tanh())),
    "dilation": (2, lambda: Pooled(conv(2, dilation=2, bias=False), nn.Tanh())),
    "same": (2, lambda: Pooled(conv(2, padding="same"), nn.Tanh())),
    "same, uneven": (1, lambda: Pooled(nn.Conv1d(2, 4, 2, padding="same"), nn.Tanh())),
    "valid": (2, lambda: Pooled(conv(2, padding="valid"), nn.Tanh())),
    "bias of a conv alone": (2, lambda: Pooled(frozen(conv(2), "weight"), nn.Tanh())),
    "reflected": (2, lambda: Pooled(conv(2, padding=1, padding_mode="reflect"), nn.Tanh())),
    "transposed": (2, lambda: Pooled(conv(2), nn.Tanh(), nn.ConvTranspose2d(4, 4, 3, stride=2))),
    "group norm": (2, residual_net),
    "instance norm": (2, lambda: Pooled(conv(2), nn.InstanceNorm2d(4, affine=True), nn.Tanh())),
    "batch norm 2d, eval": (2, lambda: Pooled(conv(2), eval_norm(nn.BatchNorm2d, 4), nn.Tanh())),
    "prelu": (2, lambda: Pooled(conv(2), nn.PReLU(4))),
}
TEXTS: dict[str, Callable[[], nn.Module]] = {
    "embedding": lambda: Words(nn.Tanh()),
    "tied embedding": lambda: Words(nn.Tanh(), tied=True),
    "attention": lambda: Words(Attention(batch_first=True)),
    "attention, tokens first": lambda: Words(Attention(batch_first=False), batch_first=False),
    "attention, other keys": lambda: Words(Attention(batch_first=True, other=True)),
    "fused attention": lambda: Words(Fused()),
    "encoder": lambda: Words(encoder(batch_first=True)),
    "encoder, norm first": lambda: Words(encoder(norm_first=True), batch_first=False),
    "encoder without dropout": lambda: Words(encoder(batch_first=True, dropout=0.0)),
    "recurrent": lambda: Words(Recurrent()),
    "lstm": lambda: Words(Several(nn.LSTM)),
    "gru": lambda: Words(Several(nn.GRU)),
}
