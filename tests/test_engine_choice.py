"""The automatic choice never ends in a silently wrong gradient."""

import copy
from dataclasses import replace
from typing import Any

import pytest
import torch
from odd_networks import FALL_BACK, MEETING, NETWORKS, around
from problems import batch, central_differences, flat, problem, relative
from torch import Tensor, nn
from torch.optim import SGD

from mwnet.bilevel import Bilevel, EngineChoice, higher_engine
from mwnet.bilevel.step import MetaGradient
from mwnet.core.errors import UserError


def task_with(network: nn.Module, **changes: object) -> Bilevel:
    task = problem(**changes)
    object.__setattr__(task, "classifier", network.double())
    return task


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_ghost_is_taken_where_samples_do_not_meet(name: str) -> None:
    torch.manual_seed(0)
    task = task_with(NETWORKS[name]())
    optimizer = SGD(task.classifier.parameters(), lr=0.1)
    data, meta = batch(seed=1), batch(seed=2)
    choice = EngineChoice("auto", say=pytest.fail)
    got = flat(choice(task, optimizer, data, meta).theta)
    assert choice.name == ("forward" if name in MEETING else "ghost")
    assert ("samples meet" in str(choice.passed_over)) == (name in MEETING)
    assert relative(got, central_differences(task, optimizer, data, meta)) < 1e-6


@pytest.mark.usefixtures("without_ghost")
@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_right_gradient_or_announced_fallback(name: str) -> None:
    torch.manual_seed(0)
    task = task_with(NETWORKS[name]())
    optimizer = SGD(task.classifier.parameters(), lr=0.1)
    data, meta = batch(seed=1), batch(seed=2)
    said: list[str] = []
    choice = EngineChoice("auto", say=said.append)
    got = flat(choice(task, optimizer, data, meta).theta)
    assert choice.name == ("higher" if name in FALL_BACK else "forward"), said
    assert len(said) == (choice.name == "higher")
    assert relative(got, central_differences(task, optimizer, data, meta)) < 1e-6


class WrongFor(torch.autograd.Function):
    """x -> 2x, whose forward-mode rule is wrong for samples by what the second argument says."""

    @staticmethod
    def forward(x: Tensor, marked: Tensor) -> Tensor:
        return 2 * x

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple, output: Tensor) -> None:
        ctx.marked = inputs[1]

    @staticmethod
    def backward(ctx: object, gradient: Tensor) -> tuple[Tensor, None]:
        return 2 * gradient, None

    @staticmethod
    def jvp(ctx: Any, tangent: Tensor, _: None) -> Tensor:
        return 2 * tangent * (1 + ctx.marked)


class Marked(nn.Module):
    """Goes wrong for samples with a first feature above 100, as one at a kink does by rounding."""

    def __init__(self, by: float) -> None:
        super().__init__()
        self.inner = around(nn.Identity())
        self.by = by

    def forward(self, x: Tensor) -> Tensor:
        return WrongFor.apply(self.inner(x.clamp(max=3)), self.by * (x[:, :1] > 100).double())


@pytest.mark.usefixtures("without_ghost")
@pytest.mark.parametrize(
    ("size", "marked", "by", "name"),
    [
        (50, [3], 0.01, "forward"),  # two slices without it agree
        (50, [3, 40], 0.01, "higher"),
        (50, [20], 0.01, "forward"),  # the first slice is fine: nobody looks further
        (36, [3], 0.01, "forward"),  # one other slice is all there is
        (20, [3], 0.01, "higher"),  # there is no other slice
        (50, [3, 20, 40], 0.01, "higher"),
        (50, [3], 100.0, "higher"),  # more than a kink explains
        (50, [3], float("nan"), "higher"),
    ],
)
def test_disagreement_that_other_samples_do_not_confirm_is_rounding(
    size: int, marked: list[int], by: float, name: str
) -> None:
    torch.manual_seed(0)
    task = task_with(Marked(by))
    data = batch(size, seed=1)
    data.x[marked, 0] = 1000
    said: list[str] = []
    choice = EngineChoice("auto", say=said.append)
    choice(task, SGD(task.classifier.parameters(), lr=0.1), data, batch(16, seed=2))
    assert choice.name == name
    assert len(said) == (name == "higher")


def test_an_engine_that_returns_nan_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*args: Any) -> MetaGradient:
        right = higher_engine(*args)
        return replace(right, theta=(*right.theta[:-1], right.theta[-1] * torch.nan))

    monkeypatch.setattr("mwnet.bilevel.choice.FAST", {"ghost": broken, "forward": broken})
    task, said = problem(), list[str]()
    choice = EngineChoice("auto", say=said.append)
    choice(task, SGD(task.classifier.parameters(), lr=0.1), batch(48, seed=1), batch(seed=2))
    assert choice.name == "higher"
    assert "off by nan" in said[0]


def test_a_network_without_double_backward_is_one_sentence_and_others_take_it() -> None:
    torch.manual_seed(0)
    task = task_with(around(nn.Hardsigmoid()))
    optimizer = SGD(task.classifier.parameters(), lr=0.1)
    data, meta = batch(seed=1), batch(seed=2)
    with pytest.raises(UserError, match="`engine='ghost'` takes it unchecked"):
        EngineChoice("auto")(task, optimizer, data, meta)
    for engine in ("ghost", "forward"):
        got = flat(EngineChoice(engine)(task, optimizer, data, meta).theta)
        assert relative(got, central_differences(task, optimizer, data, meta)) < 1e-6


def test_dropout_masks_are_those_of_the_virtual_pass() -> None:
    """Both engines from the same random state: the same masks, the same gradient."""
    task = problem("dropout")
    optimizer = SGD(task.classifier.parameters(), lr=0.1)
    data, meta = batch(seed=1), batch(seed=2)
    results = []
    fast = [EngineChoice(n, lean=lean) for n in ("ghost", "forward") for lean in (False, True)]
    for engine in (*fast, higher_engine):
        torch.manual_seed(3)
        results.append(flat(engine(task, optimizer, data, meta).theta))
        results.append(torch.rand(1).double())  # the generator stands where it should
    *others, wanted, state = results
    for got, after in zip(others[::2], others[1::2], strict=True):
        assert relative(got, wanted) < 1e-10
        assert torch.equal(after, state)


def test_the_probe_leaves_no_trace() -> None:
    task = problem("batchnorm")
    optimizer = SGD(task.classifier.parameters(), lr=0.1)
    before = copy.deepcopy(task.classifier.state_dict())
    state = torch.get_rng_state()
    choice = EngineChoice("auto", lean=True)
    choice(task, optimizer, batch(seed=1), batch(seed=2))
    assert choice.name == "forward"
    assert torch.equal(state, torch.get_rng_state())
    for name, value in task.classifier.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_several_look_ahead_steps_take_higher_and_say_so() -> None:
    task = problem(inner_steps=3)
    said: list[str] = []
    choice = EngineChoice("auto", say=said.append)
    choice(task, SGD(task.classifier.parameters(), lr=0.1), batch(seed=1), batch(seed=2))
    assert choice.name == "higher"
    assert "3 look-ahead steps" in said[0]


def test_the_choice_survives_a_checkpoint() -> None:
    one, two = EngineChoice("auto"), EngineChoice("auto")
    one.name = "higher"
    two.load_state_dict(one.state_dict())
    assert two.name == "higher"
