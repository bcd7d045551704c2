"""Networks that an engine may get wrong: what each does, and what is right for it."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Attention(nn.Module):
    """Self-attention by the fused kernel, over four tokens of one feature each."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Linear(1, 8)
        self.out = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.embed(x[:, None, :, None])
        return self.out(F.scaled_dot_product_attention(tokens, tokens, tokens).mean((1, 2)))


class Doubling(torch.autograd.Function):
    """x -> 2x with a backward but no forward-mode rule."""

    @staticmethod
    def forward(ctx: object, x: Tensor) -> Tensor:
        return 2 * x

    @staticmethod
    def backward(ctx: object, gradient: Tensor) -> Tensor:
        return 2 * gradient


class WithoutRule(nn.Linear):
    def forward(self, x: Tensor) -> Tensor:
        return Doubling.apply(super().forward(x))


class SilentlyWrong(torch.autograd.Function):
    """A forward-mode rule that is there but wrong, as dropped tangents are."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor) -> Tensor:
        return 2 * x

    @staticmethod
    def setup_context(ctx: object, inputs: tuple, output: Tensor) -> None:
        pass

    @staticmethod
    def backward(ctx: object, gradient: Tensor) -> Tensor:
        return 2 * gradient

    @staticmethod
    def jvp(ctx: object, tangent: Tensor) -> Tensor:
        return torch.zeros_like(tangent)


class WithWrongRule(nn.Linear):
    def forward(self, x: Tensor) -> Tensor:
        return SilentlyWrong.apply(super().forward(x))


@torch.compile(backend="aot_eager")
def halved_squares(x: Tensor) -> Tensor:
    return x * x / 2


class Squares(nn.Module):
    """Calls a compiled function, which no look at its submodules can tell."""

    def forward(self, x: Tensor) -> Tensor:
        return halved_squares(x)


class WithUnused(nn.Linear):
    """Has parameters that the forward pass never touches."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs)
        self.unused = nn.Linear(3, 3)


class Inplace(nn.Linear):
    """Changes the output of a linear layer in place: the noted value is no longer it."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).relu_()


class Around(nn.Module):
    """A class of its own: torch compiles no module of torch.nn by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = around(nn.BatchNorm1d(6))

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


def compiled_in_place() -> nn.Module:
    network = Around()
    network.compile(backend="aot_eager")
    return network


def frozen(network: nn.Module) -> nn.Module:
    network.requires_grad_(False)
    return network


class ShareWeights(nn.Linear):
    """One layer called twice."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(torch.tanh(super().forward(x)))


def around(middle: nn.Module) -> nn.Module:
    return nn.Sequential(nn.Linear(4, 6), middle, nn.Tanh(), nn.Linear(6, 3))


NETWORKS = {
    "plain": lambda: around(nn.Identity()),
    "batch norm": lambda: around(nn.BatchNorm1d(6)),
    "group norm": lambda: around(nn.GroupNorm(2, 6)),
    "attention": Attention,
    "batch norm without affine": lambda: around(nn.BatchNorm1d(6, affine=False)),
    "frozen batch norm": lambda: around(frozen(nn.BatchNorm1d(6))),
    "batch norm in eval mode": lambda: around(nn.BatchNorm1d(6).eval()),
    "batch norm on the input": lambda: nn.Sequential(nn.BatchNorm1d(4), nn.Linear(4, 3)),
    "without bias": lambda: around(nn.Linear(6, 6, bias=False)),
    "frozen layer": lambda: around(frozen(nn.Linear(6, 6))),
    "unused parameters": lambda: around(WithUnused(6, 6)),
    "in place": lambda: around(Inplace(6, 6)),
    "shared weights": lambda: around(ShareWeights(6, 6)),
    "no forward rule": lambda: around(WithoutRule(6, 6)),
    "wrong forward rule": lambda: around(WithWrongRule(6, 6)),
    "compiled": lambda: around(torch.compile(nn.Linear(6, 6), backend="aot_eager")),
    "compiled whole": lambda: torch.compile(around(nn.Tanh()), backend="aot_eager"),
    "compiled in place": compiled_in_place,
    "compiled function": lambda: around(Squares()),
}
FALL_BACK = {"no forward rule", "wrong forward rule"}
MEETING = {
    "batch norm",
    "batch norm without affine",
    "frozen batch norm",
    "batch norm on the input",
    "compiled in place",
}
"""Networks in which samples meet above a layer that learns."""


class Line(nn.Module):
    """A network of a user's own making, for images of 64 pixels."""

    def __init__(self, num_classes: int, in_channels: int, image_size: Any) -> None:
        super().__init__()
        self.line = nn.Linear(64, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.line(x.flatten(1))
