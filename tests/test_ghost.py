"""The ghost engine against both others, layer by layer, in float64."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from ghost_networks import CHANNELS, CLASSES, IMAGES, ROWS, SIZE, TEXTS, TOKENS, WORDS
from problems import flat, problem, relative
from torch import Tensor, nn
from torch.optim import SGD, AdamW, Optimizer

from mwnet.bilevel import Bilevel, bilevel_step, forward_engine, higher_engine
from mwnet.bilevel.ghost_engine import ghost_engine
from mwnet.data import Batch

N, M = 8, 6


def labelled(x: Tensor) -> Batch:
    return Batch(torch.arange(len(x)), x, torch.randint(0, CLASSES, (len(x),)))


def rows(n: int) -> Batch:
    return labelled(torch.randn(n, 4, dtype=torch.float64))


def images(n: int, dims: int) -> Batch:
    return labelled(torch.randn(n, CHANNELS, *(SIZE,) * dims, dtype=torch.float64))


def words(n: int) -> Batch:
    return labelled(torch.randint(0, WORDS, (n, TOKENS)))


CASES: dict[str, tuple[Callable[[], nn.Module], Callable[[int], Batch]]] = {
    **{name: (build, rows) for name, build in ROWS.items()},
    **{n: (build, lambda n, d=dims: images(n, d)) for n, (dims, build) in IMAGES.items()},
    **{name: (build, words) for name, build in TEXTS.items()},
}


def case(name: str, **changes: Any) -> tuple[Bilevel, Batch, Batch]:
    build, data = CASES[name]
    task = problem(**changes)
    torch.manual_seed(1)
    object.__setattr__(task, "classifier", build().double())
    return task, data(N), data(M)


FORWARD_FAILS = {"weight norm"}


def result(engine: Any, task: Bilevel, optimizer: Optimizer, *batches: Batch) -> Tensor:
    torch.manual_seed(2)
    return flat(engine(task, optimizer, *batches).theta)


@pytest.mark.parametrize("lean", [False, True])
@pytest.mark.parametrize("name", sorted(CASES))
def test_equals_both_engines(name: str, lean: bool) -> None:
    task, data, meta = case(name)
    optimizer = SGD(task.classifier.parameters(), lr=0.1)
    ghost: Any = lambda *args: ghost_engine(*args, lean=lean)  # noqa: E731
    for _ in range(2):  # the second time layouts are known
        got = result(ghost, task, optimizer, data, meta)
        for reference in (forward_engine, higher_engine):
            if reference is forward_engine and name in FORWARD_FAILS:
                continue
            assert relative(got, result(reference, task, optimizer, data, meta)) < 1e-10


@pytest.mark.parametrize("lean", [False, True])
@pytest.mark.parametrize("name", sorted(CASES))
def test_a_whole_step_ends_at_the_same_parameters_and_random_state(name: str, lean: bool) -> None:
    ends = []
    other = higher_engine if name in FORWARD_FAILS else forward_engine
    for engine in (lambda *args: ghost_engine(*args, lean=lean), other):
        task, data, meta = case(name)
        optimizer = AdamW(task.classifier.parameters(), lr=0.01, eps=1e-3)
        theta = SGD(task.weight_net.parameters(), lr=1.0)
        torch.manual_seed(2)
        for _ in range(3):
            bilevel_step(task, engine, optimizer, theta, data, meta)
        modules = (task.classifier, task.weight_net)
        ends.append([*(p.detach() for m in modules for p in m.parameters()), torch.rand(3)])
    for a, b in zip(*ends, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-11)
