"""BilevelStep on inputs, networks and types of all kinds."""

from typing import Any

import pytest
import torch
from problems import (
    CLASSES,
    assert_equal,
    batch,
    central_differences,
    flat,
    network,
    relative,
)
from stepping import Pair, Step, Tokens, seeded, sgd, tokens
from torch import Tensor, nn
from torch.optim import SGD, Adam, AdamW

from mwnet.bilevel import Bilevel, EngineChoice
from mwnet.bilevel.weighting import NORMALISATIONS, WeightNet
from mwnet.losses import LOSSES, cross_entropy


@pytest.mark.parametrize("virtual_step", ["sgd", "optimizer"])
@pytest.mark.parametrize(
    "optimize",
    [
        sgd,
        lambda net: AdamW(net.parameters(), lr=0.01, eps=1e-4, weight_decay=0.1),
        lambda net: Adam([p for p in net.parameters() if p.requires_grad], lr=0.01, eps=1e-4),
    ],
    ids=["sgd", "adamw", "adam"],
)
@pytest.mark.parametrize("kind", ["dict", "dict with dropout", "tuple", "list", "frozen"])
def test_both_engines_agree_on_any_input(kind: str, optimize: Any, virtual_step: str) -> None:
    ends = []
    for engine in ("forward", "higher", "auto"):
        dropout = 0.3 if "dropout" in kind else 0.0
        net = seeded(Pair if kind in ("tuple", "list") else lambda: Tokens(dropout))  # noqa: B023
        if kind == "frozen":
            net.get_submodule("encoder.self_attn").requires_grad_(False)
            net.get_submodule("embed").requires_grad_(False)
        step = Step(net, optimize(net), engine=engine, virtual_step=virtual_step, weight_lr=1.0)
        torch.manual_seed(4)
        for number in range(3):
            if kind in ("tuple", "list"):
                data, meta = batch(20, seed=number), batch(8, seed=10 + number)
                sort: Any = tuple if kind == "tuple" else list
                pairs = [sort((one.x, one.x.flip(0))) for one in (data, meta)]
                arguments = (pairs[0], data.y, pairs[1], meta.y)
            else:
                arguments = (*tokens(number, 20), *tokens(10 + number))
            step(*arguments)
        assert step.engine.name == ("ghost" if engine == "auto" else engine)
        ends.append((net, step.weight_net))
    for got in (ends[0], ends[2]):
        for mine, reference in zip(got, ends[1], strict=True):
            assert_equal(mine, reference, rtol=1e-8)


def test_the_meta_gradient_of_a_dict_is_that_of_the_tensor() -> None:
    class Named(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = network("batchnorm")

        def forward(self, *, pixels: Tensor) -> Tensor:
            return self.inner(pixels)

    ends = []
    for build_one, wrap in ((lambda: network("batchnorm"), None), (Named, "pixels")):
        net = seeded(build_one)
        step = Step(net, sgd(net), weight_lr=1.0)
        for number in range(3):
            data, meta = batch(seed=number), batch(seed=10 + number)
            x, x_meta = ({wrap: data.x}, {wrap: meta.x}) if wrap else (data.x, meta.x)
            step(x, data.y, x_meta, meta.y)
        ends.append((net, step.weight_net))
    for got, want in zip(*ends, strict=True):
        assert_equal(got, want, rtol=0)


class Recurrent(nn.Module):
    """Keeps its parameters in a second place, a flat list."""

    def __init__(self) -> None:
        super().__init__()
        self.memory = nn.LSTM(2, 4, batch_first=True)
        self.out = nn.Linear(4, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.memory(x.view(-1, 2, 2))[0][:, -1])


class Tied(nn.Module):
    """One tensor under two names."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two, self.out = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, CLASSES)
        self.two.weight = self.one.weight

    def forward(self, x: Tensor) -> Tensor:
        return self.out(torch.tanh(self.two(torch.tanh(self.one(x)))))


@pytest.mark.parametrize("engine", ["auto", "forward", "higher"])
@pytest.mark.parametrize("build_one", [Recurrent, Tied])
def test_unusual_parameters_have_the_gradient_of_central_differences(
    engine: str, build_one: Any
) -> None:
    net = seeded(build_one)
    task = Bilevel(net, WeightNet(3).double(), cross_entropy, LOSSES["mae"], NORMALISATIONS["mean"])
    optimizer = SGD(net.parameters(), lr=0.1)
    data, meta = batch(seed=1), batch(seed=2)
    got = flat(EngineChoice(engine)(task, optimizer, data, meta).theta)
    assert relative(got, central_differences(task, optimizer, data, meta)) < 1e-6


def test_the_weight_net_has_the_type_of_the_network_but_no_half_precision() -> None:
    for dtype in (torch.float32, torch.float64, torch.bfloat16):
        net = network().to(dtype)
        step = Step(net, SGD(net.parameters(), lr=0.1))
        data, meta = batch(seed=1), batch(seed=2)
        report = step(data.x.to(dtype), data.y, meta.x.to(dtype), meta.y)
        wanted = torch.float64 if dtype == torch.float64 else torch.float32
        assert {p.dtype for p in step.weight_net.parameters()} == {wanted}
        assert report.weights.dtype == report.losses.dtype == wanted
        assert step.engine.name == "ghost"


def test_autocast_inside_the_network_sets_the_tolerance_of_the_probe() -> None:
    class Inside(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Sequential(nn.Linear(4, 16), nn.Tanh(), nn.Linear(16, CLASSES))

        def forward(self, x: Tensor) -> Tensor:
            with torch.autocast("cpu", torch.bfloat16):
                return self.inner(x).float()

    torch.manual_seed(0)
    net = Inside()
    step = Step(net, SGD(net.parameters(), lr=0.1))
    data, meta = batch(32, seed=1), batch(32, seed=2)
    step(data.x.float(), data.y, meta.x.float(), meta.y)
    assert step.engine.name == "ghost"


def test_no_gradient_goes_into_the_samples() -> None:
    net = seeded(network)
    data, meta = batch(seed=1), batch(seed=2)
    x = (data.x.clone().requires_grad_() * 1.0).requires_grad_()
    x.retain_grad()
    Step(net, sgd(net))(x, data.y, meta.x, meta.y)
    assert x.grad is None
