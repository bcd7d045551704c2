"""Where the ghost engine refuses, what it remembers, and the formats that it works in."""

import gc
import weakref
from typing import Any

import pytest
import torch
from ghost_networks import Pooled, Words, conv, encoder, residual_net
from problems import batch, flat, problem, relative
from torch import Tensor, nn
from torch.optim import SGD, AdamW

from mwnet.bilevel import Bilevel, EngineChoice, bilevel_step, forward_engine, higher_engine
from mwnet.bilevel.ghost_engine import Record, _known, ghost_engine
from mwnet.bilevel.ghost_layout import Layout, codes, dot, find
from mwnet.bilevel.precision import Autocast
from mwnet.bilevel.weighting import WeightNet, by_sum
from mwnet.core.errors import UserError
from mwnet.data import Batch
from mwnet.losses import LOSSES


class Hidden(torch.autograd.Function):
    """A linear layer that no recorder of torch's functions sees."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        return x @ weight

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> tuple[Tensor, Tensor]:
        (b,) = grad_outputs
        x, weight = ctx.saved_tensors
        return b @ weight.T, x.T @ b


class Unseen(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(4, 4))

    def forward(self, x: Tensor) -> Tensor:
        return Hidden.apply(x, self.weight)


class Centred(nn.Module):
    """Batch statistics written by hand."""

    def forward(self, x: Tensor) -> Tensor:
        return x - x.mean(0)


def task_with(*layers: nn.Module, **changes: Any) -> Bilevel:
    torch.manual_seed(0)
    task = problem(**changes)
    network = nn.Sequential(nn.Linear(4, 4), *layers, nn.Tanh(), nn.Linear(4, 3)).double()
    object.__setattr__(task, "classifier", network)
    return task


def sgd(task: Bilevel) -> SGD:
    return SGD(task.classifier.parameters(), lr=0.1)


@pytest.mark.parametrize(
    ("layer", "why"),
    [
        (lambda: nn.BatchNorm1d(4), "samples meet in batch norm in training mode"),
        (Centred, "samples meet before the output of linear"),
        (Unseen, "no rule for the way in which 1.weight is used"),
    ],
    ids=["batch norm", "statistics by hand", "unseen"],
)
def test_what_it_cannot_is_said_with_the_place(layer: Any, why: str) -> None:
    task = task_with(layer())
    data, meta = batch(seed=1), batch(seed=2)
    with pytest.raises(UserError, match=f"the engine `ghost` cannot differentiate this: .*{why}"):
        EngineChoice("ghost")(task, sgd(task), data, meta)
    choice = EngineChoice("auto", say=lambda _: None)
    got = flat(choice(task, sgd(task), data, meta).theta)
    assert choice.name != "ghost"
    assert choice.passed_over is not None
    assert why in choice.passed_over
    assert relative(got, flat(higher_engine(task, sgd(task), data, meta).theta)) < 1e-8


def test_batches_of_other_sizes_and_a_layer_that_wakes_up() -> None:
    """A last layer of zeros has no gradient below it in the first step, so nothing can be asked."""
    task = task_with(nn.LayerNorm(4))
    last: Any = list(task.classifier.children())[-1]
    nn.init.zeros_(last.weight)
    optimizer, theta = sgd(task), SGD(task.weight_net.parameters(), lr=1.0)
    for step, size in enumerate((8, 8, 5, 12, 2, 8)):
        data, meta = batch(size, seed=step), batch(7, seed=50 + step)
        want = flat(higher_engine(task, optimizer, data, meta).theta)
        got = flat(ghost_engine(task, optimizer, data, meta).theta)
        assert float((got - want).abs().max()) < 1e-12 + 1e-10 * float(want.abs().max())
        assert (task.classifier in _known) == (step > 0)
        bilevel_step(task, ghost_engine, optimizer, theta, data, meta)


def test_layouts_are_asked_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    task, asked = task_with(), []
    ask = Record._ask
    monkeypatch.setattr(Record, "_ask", lambda *args: asked.append(1) or ask(*args))
    for size in (8, 8, 6, 8):
        ghost_engine(task, sgd(task), batch(size, seed=size), batch(seed=2))
    assert len(asked) == 1


def test_a_sequence_as_long_as_the_batch_is_no_riddle() -> None:
    torch.manual_seed(0)
    task = problem()
    object.__setattr__(task, "classifier", Words(encoder(batch_first=True, dropout=0.0)).double())
    for n in (6, 5, 7):  # with the first token there are 6 to a sample
        data, meta = (
            Batch(torch.arange(n), torch.randint(0, 7, (n, 5)), torch.randint(0, 3, (n,)))
            for _ in range(2)
        )
        want = flat(higher_engine(task, sgd(task), data, meta).theta)
        got = flat(ghost_engine(task, sgd(task), data, meta).theta)
        assert relative(got, want) < 1e-10


@pytest.mark.parametrize("layout", [Layout(1), Layout(0, fold="fast"), Layout(0, fold="slow")])
def test_a_layout_is_found_by_what_the_gradient_does(layout: Layout) -> None:
    n, code = 6, codes(6, torch.zeros(1, dtype=torch.float64))
    b = torch.randn((4, n, 3) if layout.axis else (4 * n, 3), dtype=torch.float64)
    assert find(b, b * layout.spread(code, b), code) == (layout, True)
    assert find(b, b * torch.rand_like(b), code) is None
    zeros = torch.zeros_like(b)
    found = find(zeros, zeros, code)
    assert found is not None
    assert not found[1]


@pytest.mark.parametrize("inner", [(), (2,)])
@pytest.mark.parametrize("networks", [2, 3])
def test_products_of_a_stack_are_those_of_its_samples(networks: int, inner: tuple) -> None:
    """Sample i is entry i // K of network i mod K; what fills up the last row counts nowhere."""
    n = 5
    a, b = (torch.randn(networks, -(-n // networks), *inner) for _ in range(2))
    total = torch.zeros(n)
    dot(a, b, Layout(order=(1, 0)), total)
    want = [
        (a[i % networks, i // networks] * b[i % networks, i // networks]).sum() for i in range(n)
    ]
    torch.testing.assert_close(total, torch.stack(want))


def test_named_arguments_are_understood() -> None:
    """As a torch user writes them; each stands where no rule looks for it."""

    class Named(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.randn(1, 4, 4))
            self.shift = nn.Parameter(torch.randn(1, 4))

        def forward(self, x: Tensor) -> Tensor:
            out = torch.matmul(x[None], other=self.weight)[0]
            return torch.add(out, other=self.shift, alpha=2)

    task = task_with(Named())
    data, meta = batch(seed=1), batch(seed=2)
    want = flat(forward_engine(task, sgd(task), data, meta).theta)
    assert relative(flat(ghost_engine(task, sgd(task), data, meta).theta), want) < 1e-10


@pytest.mark.parametrize("virtual_step", ["sgd", "optimizer"])
@pytest.mark.parametrize("changes", [{"weights_at_zero": True}, {"weigh_by": lambda b: b.x[:, 0]}])
def test_weights_at_zero_and_weights_by_something_else(virtual_step: str, changes: dict) -> None:
    task = task_with(nn.LayerNorm(4), virtual_step=virtual_step, **changes)
    optimizer = AdamW(task.classifier.parameters(), lr=0.01, eps=1e-2)
    data, meta = batch(seed=1), batch(seed=2)
    want = flat(forward_engine(task, optimizer, data, meta).theta)
    assert relative(flat(ghost_engine(task, optimizer, data, meta).theta), want) < 1e-10


@pytest.mark.parametrize("lean", [False, True])
@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_autocast_and_channels_last(precision: torch.dtype, lean: bool) -> None:
    torch.manual_seed(0)
    network: Any = residual_net()
    network.to(memory_format=torch.channels_last)
    fields: dict = {"loss": LOSSES["ce"], "meta_loss": LOSSES["ce"], "normalise": by_sum}
    weight_net, plain = WeightNet(), network
    if precision == torch.bfloat16:
        network = Autocast(network)
    x = torch.randn(16, 2, 6, 6).to(memory_format=torch.channels_last)
    data = Batch(torch.arange(16), x, torch.randint(0, 3, (16,)))
    optimizer = SGD(network.parameters(), lr=0.05)
    got = ghost_engine(Bilevel(network, weight_net, **fields), optimizer, data, data, lean=lean)
    task = Bilevel(plain, weight_net, **fields)
    want = higher_engine(task, SGD(plain.parameters(), lr=0.05), data, data)
    apart = relative(flat(got.theta), flat(want.theta))
    assert apart < 1e-4 if precision == torch.float32 else 1e-5 < apart < 0.05
    assert got.losses is not None
    assert got.gradient is not None
    assert got.losses.dtype == torch.float32
    slopes = got.gradient(torch.ones(16))
    assert all(s is not None and s.dtype == torch.float32 for s in slopes)


def test_no_graph_outlives_a_step_and_lean_holds_no_inputs(monkeypatch: Any) -> None:
    task = problem()
    torch.manual_seed(0)
    object.__setattr__(task, "classifier", Pooled(conv(2), nn.GroupNorm(2, 4), nn.Tanh()).double())
    data, meta = (
        Batch(torch.arange(8), torch.randn(8, 2, 6, 6).double(), torch.randint(0, 3, (8,)))
        for _ in range(2)
    )
    records: list[Record] = []
    give_up = Record.give_up_inputs

    def spied(record: Record) -> None:
        give_up(record)
        records.append(record)
        assert all(use.term is None for use in record.recorder.uses)

    monkeypatch.setattr(Record, "give_up_inputs", spied)
    ghost_engine(task, sgd(task), data, meta, lean=True)
    (record,) = records
    assert not record.recorder.bottom
    gone = weakref.ref(record)
    records.clear()
    gc.disable()
    try:
        del record
        assert gone() is None
    finally:
        gc.enable()
