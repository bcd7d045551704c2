"""The meta-gradient against an oracle: real optimizer steps and central differences, float64."""

import copy
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import pytest
import torch
from problems import batch, central_differences, flat, look_ahead, problem, relative, warmed
from torch import nn
from torch.optim import SGD, Adam, AdamW, Optimizer

from mwnet.bilevel import (
    ENGINES,
    Bilevel,
    Engine,
    MetaGradient,
    bilevel_step,
    forward_engine,
    higher_engine,
)
from mwnet.data import Batch
from mwnet.losses import cross_entropy

OPTIMIZERS: dict[str, Callable[[nn.Module], Optimizer]] = {
    "sgd": lambda m: SGD(m.parameters(), lr=0.1),
    "momentum": lambda m: SGD(m.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-2),
    "nesterov": lambda m: SGD(m.parameters(), lr=0.1, momentum=0.9, nesterov=True),
    "dampening": lambda m: SGD(m.parameters(), lr=0.1, momentum=0.9, dampening=0.5),
    # A large epsilon: with the usual one Adam's first step is the sign of the gradient, whose
    # derivative vanishes, and central differences would compare rounding errors.
    "adam": lambda m: Adam(m.parameters(), lr=0.1, eps=1e-2, weight_decay=1e-2),
    "adamw": lambda m: AdamW(m.parameters(), lr=0.1, eps=1e-2, weight_decay=1e-1),
}


def kind_for(engine: str, kind: str) -> str:
    """Where samples meet the ghost engine refuses: it gets a norm of single samples instead."""
    return "layernorm" if (engine, kind) == ("ghost", "batchnorm") else kind


@pytest.mark.parametrize("engine", sorted(ENGINES))
@pytest.mark.parametrize("kind", ["plain", "batchnorm"])
@pytest.mark.parametrize("normalise", ["mean", "sum"])
@pytest.mark.parametrize("meta_loss", ["ce", "mae"])
def test_equals_central_differences(engine: str, kind: str, normalise: str, meta_loss: str) -> None:
    task = problem(kind_for(engine, kind), normalise=normalise, meta_loss=meta_loss)
    optimizer = warmed(OPTIMIZERS["momentum"](task.classifier), task.classifier)
    data, meta = batch(seed=1), batch(seed=2)
    got = flat(ENGINES[engine](task, optimizer, data, meta).theta)
    assert relative(got, central_differences(task, optimizer, data, meta)) < 1e-6


@pytest.mark.parametrize("engine", sorted(ENGINES))
@pytest.mark.parametrize("name", sorted(OPTIMIZERS))
@pytest.mark.parametrize("warm", [0, 2])
def test_virtual_step_of_the_optimizer_itself(engine: str, name: str, warm: int) -> None:
    kind = kind_for(engine, "batchnorm")
    task = problem(kind, normalise="sum", virtual_step="optimizer")
    optimizer = warmed(OPTIMIZERS[name](task.classifier), task.classifier, warm)
    data, meta = batch(seed=1), batch(seed=2)
    got = flat(ENGINES[engine](task, optimizer, data, meta).theta)
    assert relative(got, central_differences(task, optimizer, data, meta)) < 1e-6


@pytest.mark.parametrize("normalise", ["mean", "sum"])
@pytest.mark.parametrize("virtual_step", ["sgd", "optimizer"])
def test_three_inner_steps(normalise: str, virtual_step: str) -> None:
    task = problem("batchnorm", normalise=normalise, virtual_step=virtual_step, inner_steps=3)
    optimizer = warmed(OPTIMIZERS["momentum"](task.classifier), task.classifier)
    data, meta = batch(seed=1), batch(seed=2)
    got = flat(higher_engine(task, optimizer, data, meta).theta)
    assert relative(got, central_differences(task, optimizer, data, meta)) < 1e-6


def test_detaching_the_input_of_the_weight_net_would_be_wrong_at_three_steps() -> None:
    class Detached(nn.Module):
        def __init__(self, net: nn.Module) -> None:
            super().__init__()
            self.net = net

        def forward(self, losses: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
            return self.net(losses.detach(), labels)

    task = problem(inner_steps=3)
    optimizer = SGD(task.classifier.parameters(), lr=1.0)
    data, meta = batch(seed=1), batch(seed=2)
    exact = central_differences(task, optimizer, data, meta)
    blind = copy.copy(task)
    object.__setattr__(blind, "weight_net", Detached(task.weight_net))
    assert relative(flat(higher_engine(blind, optimizer, data, meta).theta), exact) > 1e-2


def test_adam_at_a_dead_input_is_finite_and_right() -> None:
    """A pixel that is always zero gives exactly zero gradients and second moments."""
    task = problem(virtual_step="optimizer")
    optimizer = Adam(task.classifier.parameters(), lr=0.1, eps=1e-2)
    data, meta = batch(seed=1), batch(seed=2)
    data.x[:, 0] = meta.x[:, 0] = 0
    got = flat(higher_engine(task, optimizer, data, meta).theta)
    assert got.isfinite().all()
    assert relative(got, central_differences(task, optimizer, data, meta)) < 1e-6


@pytest.mark.parametrize("engine", [higher_engine, partial(forward_engine, lean=True)])
@pytest.mark.parametrize("kind", ["batchnorm", "dropout"])
def test_an_engine_that_lends_nothing_changes_nothing(engine: Engine, kind: str) -> None:
    task = problem(kind, virtual_step="optimizer")
    optimizer = warmed(OPTIMIZERS["adam"](task.classifier), task.classifier)
    before = copy.deepcopy(
        (task.classifier.state_dict(), task.weight_net.state_dict(), optimizer.state_dict())
    )
    assert engine(task, optimizer, batch(seed=1), batch(seed=2)).losses is None
    after = (task.classifier.state_dict(), task.weight_net.state_dict(), optimizer.state_dict())
    for old, new in zip(before[:2], after[:2], strict=True):
        for name in old:
            assert torch.equal(old[name], new[name]), name
    torch.testing.assert_close(after[2]["state"], before[2]["state"], rtol=0, atol=0)
    networks = (task.classifier, task.weight_net)
    assert all(p.grad is None for net in networks for p in net.parameters())


@pytest.mark.parametrize("engine", sorted(ENGINES))
@pytest.mark.parametrize("kind", ["plain", "batchnorm", "dropout"])
def test_step_without_a_change_of_theta_is_weighted_training(engine: str, kind: str) -> None:
    """Parameters and batch-norm statistics after a bilevel step: those of plain training.

    The weight net does not move (learning rate 0), so the reference is one ordinary step on the
    weighted loss with the same dropout masks. It also shows that running statistics move once.
    """
    task = problem(kind_for(engine, kind))
    optimizer = warmed(OPTIMIZERS["momentum"](task.classifier), task.classifier)
    reference = copy.deepcopy(task.classifier)
    plain = SGD(reference.parameters(), lr=0.1)
    plain.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    data = batch(seed=1)

    torch.manual_seed(5)
    still = SGD(task.weight_net.parameters(), lr=0.0)
    report = bilevel_step(task, ENGINES[engine], optimizer, still, data, batch(seed=2))

    torch.manual_seed(5)
    losses = cross_entropy(reference(data.x), data.y)
    objective = task.normalise(task.weight_net(losses.detach())).detach() @ losses
    plain.zero_grad()
    objective.backward()
    plain.step()
    for (name, got), want in zip(
        task.classifier.state_dict().items(), reference.state_dict().values(), strict=True
    ):
        torch.testing.assert_close(got, want, rtol=1e-12, atol=1e-14, msg=name)
    torch.testing.assert_close(report["train_loss"], objective.detach())


def test_an_engine_may_lend_its_virtual_pass_to_the_actual_step() -> None:
    """An engine that ran the classifier itself: same step, and statistics still move once."""
    lent, redone = problem("batchnorm"), problem("batchnorm")
    calls = []
    lent.classifier[0].register_forward_hook(lambda *arguments: calls.append(1))

    def lending(task: Bilevel, optimizer: Optimizer, data: Batch, meta: Batch) -> MetaGradient:
        twin = copy.deepcopy(task)
        result = higher_engine(twin, optimizer_of(twin), data, meta)
        return replace(result, losses=task.loss(task.classifier(data.x), data.y))

    def optimizer_of(task: Bilevel) -> Optimizer:
        return SGD(task.classifier.parameters(), lr=0.1)

    for task, engine in ((lent, lending), (redone, higher_engine)):
        weight_optimizer = SGD(task.weight_net.parameters(), lr=1.0)
        bilevel_step(
            task, engine, optimizer_of(task), weight_optimizer, batch(seed=1), batch(seed=2)
        )
    assert len(calls) == 1
    for name, got in lent.classifier.state_dict().items():
        torch.testing.assert_close(got, redone.classifier.state_dict()[name])


def test_theta_moves_against_the_meta_gradient_and_w_uses_the_new_theta() -> None:
    task = problem()
    optimizer = SGD(task.classifier.parameters(), lr=0.1)
    data, meta = batch(seed=1), batch(seed=2)
    exact = central_differences(task, optimizer, data, meta)
    before = flat(tuple(task.weight_net.parameters())).detach().clone()
    start = copy.deepcopy(task)
    weight_optimizer = SGD(task.weight_net.parameters(), lr=10.0)
    bilevel_step(task, higher_engine, optimizer, weight_optimizer, data, meta)
    after = flat(tuple(task.weight_net.parameters())).detach()
    torch.testing.assert_close(after - before, -10.0 * exact, rtol=1e-5, atol=1e-9)
    start.weight_net.load_state_dict(task.weight_net.state_dict())
    want = look_ahead(start, optimizer, data)
    for got, expected in zip(task.classifier.parameters(), want.parameters(), strict=True):
        torch.testing.assert_close(got, expected)


def test_meta_pass_does_not_disturb_the_random_numbers_of_the_actual_pass() -> None:
    """With dropout, the virtual pass and the actual pass see the same mask."""
    task = problem("dropout")
    seen = []
    task.classifier[1].register_forward_hook(lambda module, args, out: seen.append(out == 0))
    optimizer = SGD(task.classifier.parameters(), lr=0.0)
    still = SGD(task.weight_net.parameters(), lr=0.0)

    def recording(*arguments: object) -> object:
        copied = copy.deepcopy(task.classifier).train()
        masks = []
        copied[1].register_forward_hook(lambda module, args, out: masks.append(out == 0))
        state = torch.get_rng_state()
        copied(arguments[2].x)
        torch.set_rng_state(state)
        seen.extend(masks)
        return higher_engine(*arguments)

    torch.manual_seed(0)
    bilevel_step(task, recording, optimizer, still, batch(seed=1), batch(seed=2))
    virtual, actual = seen[0], seen[-1]
    assert torch.equal(virtual, actual)
    assert 0 < virtual.double().mean() < 1
