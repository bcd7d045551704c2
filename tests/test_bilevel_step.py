"""BilevelStep is to everything else one ordinary training step."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import higher
import pytest
import torch
from problems import (
    assert_equal,
    batch,
    network,
)
from stepping import Noisy, Step, Tokens, plain_step, seeded, sgd, tokens
from test_cuda_graphs import NoHostReads
from torch import Tensor, nn
from torch.optim import Adam, AdamW


@pytest.mark.parametrize("engine", ["auto", "forward", "higher"])
@pytest.mark.parametrize("lean", [False, True])
@pytest.mark.parametrize("mode", [True, False])
@pytest.mark.parametrize("optimize", [sgd, lambda net: AdamW(net.parameters(), lr=0.01)])
def test_it_leaves_what_one_ordinary_step_leaves(
    engine: str, lean: bool, mode: bool, optimize: Any
) -> None:
    """Parameters, buffers, gradients, optimizer, mode, random numbers, after each step."""
    ours, plain = seeded(Noisy).train(mode), seeded(Noisy).train(mode)
    for net in (ours, plain):
        net.layers[0].bias.requires_grad_(False)
    optimizers = optimize(ours), optimize(plain)
    step = Step(ours, optimizers[0], engine=engine, lean=lean, weight_lr=1.0)
    for number in range(3):
        data, meta = batch(seed=number), batch(seed=10 + number)
        torch.manual_seed(number)
        report = step(data.x, data.y, meta.x, meta.y)
        drawn = torch.get_rng_state()
        torch.manual_seed(number)
        plain_step(plain, optimizers[1], data.x, data.y, report.weights)
        assert torch.equal(drawn, torch.get_rng_state())
        for (name, got), want in zip(
            ours.state_dict().items(), plain.state_dict().values(), strict=True
        ):
            torch.testing.assert_close(got, want, rtol=1e-11, atol=1e-13, msg=name)
        for got, want in zip(ours.parameters(), plain.parameters(), strict=True):
            assert got.requires_grad == want.requires_grad
            assert (got.grad is None) == (want.grad is None)
            if got.grad is not None:
                torch.testing.assert_close(got.grad, want.grad, rtol=1e-11, atol=1e-13)
        states = [optimizer.state_dict()["state"] for optimizer in optimizers]
        torch.testing.assert_close(states[0], states[1], rtol=1e-9, atol=1e-12)
        assert ours.training == mode
        assert not any(module._forward_hooks for module in ours.modules())
    assert ours.layers[1].num_batches_tracked == (3 if mode else 0)


def test_several_look_aheads_leave_the_random_numbers_of_one_pass() -> None:
    ours, plain = seeded(Noisy), seeded(Noisy)
    step = Step(ours, sgd(ours), inner_steps=3)
    data, meta = batch(seed=1), batch(seed=2)
    torch.manual_seed(3)
    step(data.x, data.y, meta.x, meta.y)
    drawn = torch.get_rng_state()
    torch.manual_seed(3)
    plain(data.x)
    assert torch.equal(drawn, torch.get_rng_state())
    assert step.engine.name == "higher"


def test_the_meta_pass_draws_from_seed_and_step_not_from_the_caller() -> None:
    """The masks of the meta pass differ by step and seed, whatever the state of the caller."""

    def masks(seed: int, global_seed: int, steps: int) -> list[Tensor]:
        net = seeded(Noisy)
        step = Step(net, sgd(net), engine="forward", seed=seed)
        seen: list[Tensor] = []
        drop = net.layers[3]
        assert isinstance(drop, nn.Dropout)
        drop.register_forward_hook(lambda m, args, out: seen.append(out.detach() == 0))
        torch.manual_seed(global_seed)
        data, meta = batch(8, seed=1), batch(6, seed=2)
        for _ in range(steps):
            step(data.x, data.y, meta.x, meta.y)
        return [mask for mask in seen if len(mask) == 6]

    one, other = masks(0, 1, 2), masks(0, 2, 2)
    assert all(map(torch.equal, one, other))
    assert not torch.equal(one[0], one[1])
    assert not torch.equal(one[0], masks(1, 1, 1)[0])


def test_both_engines_see_the_same_masks() -> None:
    ends = []
    for engine in ("forward", "higher"):
        net = seeded(Noisy)
        step = Step(net, sgd(net), engine=engine, weight_lr=1.0)
        torch.manual_seed(5)
        for number in range(5):
            data, meta = batch(seed=number), batch(seed=20 + number)
            step(data.x, data.y, meta.x, meta.y)
        ends.append(step.weight_net)
    assert_equal(ends[0], ends[1], rtol=1e-8)


@pytest.mark.parametrize("engine", ["forward", "higher"])
def test_a_step_reads_nothing_back_to_the_host(engine: str) -> None:
    net = seeded(lambda: Tokens(0.2))
    step = Step(net, sgd(net), engine=engine)
    with NoHostReads():
        report = step(*tokens(1), *tokens(2))
    assert report.meta_loss is not None


def test_nothing_is_computed_twice() -> None:
    """Virtual, meta and tangent pass; the actual step takes the graph of the first."""
    net, calls = seeded(network), []
    net.register_forward_hook(lambda *arguments: calls.append(1))
    data, meta = batch(seed=1), batch(seed=2)
    step = Step(net, sgd(net), engine="forward")
    step(data.x, data.y, meta.x, meta.y)
    assert len(calls) == 3
    step(data.x, data.y)
    assert len(calls) == 4


def test_importing_the_package_leaves_the_registry_of_higher_alone() -> None:
    code = """
import higher
before = dict(higher.optim._opt_mapping)
import torch, mwnet
net = torch.nn.Linear(4, 3)
step = mwnet.BilevelStep(
    net, torch.optim.AdamW(net.parameters()), engine="higher", virtual_step="optimizer"
)
x, y = torch.randn(8, 4), torch.randint(0, 3, (8,))
step(x, y, x, y)
assert higher.optim._opt_mapping == before
"""
    root = Path(__file__).parents[1]
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    assert higher.optim._opt_mapping[Adam] is higher.optim.DifferentiableAdam
