"""What BilevelStep reports, logs and keeps."""

import copy
import logging
from pathlib import Path
from typing import Any

import pytest
import torch
from problems import (
    CLASSES,
    assert_equal,
    batch,
    network,
)
from stepping import Noisy, Step, seeded, sgd
from torch import Tensor, nn
from torch.optim import SGD

import mwnet
from mwnet.bilevel import Bilevel, EngineChoice, bilevel_step
from mwnet.bilevel.weighting import NORMALISATIONS, WeightNet
from mwnet.losses import LOSSES, cross_entropy


@pytest.mark.parametrize("engine", ["forward", "higher"])
def test_the_report_is_what_the_step_was_taken_with(engine: str) -> None:
    net = seeded(Noisy)
    step = Step(net, sgd(net), engine=engine, weight_lr=1.0)
    data, meta = batch(seed=1), batch(seed=2)
    twin = copy.deepcopy(net)
    start = copy.deepcopy(step.weight_net)
    torch.manual_seed(0)
    report = step(data.x, data.y, meta.x, meta.y)
    torch.manual_seed(0)
    losses = cross_entropy(twin(data.x), data.y).detach()
    torch.testing.assert_close(report.losses, losses)
    assert torch.equal(report.weights, step.weight_net(report.losses, data.y).detach())
    assert not torch.equal(report.weights, start(report.losses).detach())  # the new Theta
    torch.testing.assert_close(report.loss, report.weights @ losses / 8)
    assert report.meta_loss is not None
    assert report.meta_loss.shape == report.loss.shape == ()
    tensors = (report.loss, report.meta_loss, report.losses, report.weights)
    assert not any(tensor.requires_grad for tensor in tensors)
    assert report.engine == engine


def test_without_meta_samples_theta_stays() -> None:
    net = seeded(network)
    step = Step(net, sgd(net))
    before = copy.deepcopy(step.weight_net)
    data = batch(seed=1)
    report = step(data.x, data.y)
    assert report.meta_loss is None
    assert report.engine is None
    assert_equal(step.weight_net, before, rtol=0)
    assert step.steps == 1


def test_a_saved_step_goes_on_as_if_it_had_not_stopped(tmp_path: Path) -> None:
    def run(stop: int | None) -> tuple[nn.Module, Any]:
        net = seeded(Noisy)
        optimizer = sgd(net)
        step = Step(net, optimizer, weight_lr=1.0)
        for number in range(6):
            if number == stop:
                torch.save(
                    [net.state_dict(), optimizer.state_dict(), step.state_dict()], tmp_path / "s.pt"
                )
                states = torch.load(tmp_path / "s.pt", weights_only=True)
                net = seeded(Noisy, seed=7)
                optimizer = sgd(net)
                step = Step(net, optimizer, weight_lr=1.0)
                for part, state in zip((net, optimizer, step), states, strict=True):
                    part.load_state_dict(state)
                assert step.engine.name == "forward"
            torch.manual_seed(number)
            data, meta = batch(seed=number), batch(seed=10 + number)
            step(data.x, data.y, meta.x, meta.y)
        return net, step

    (whole, step), (resumed, again) = run(None), run(3)
    assert_equal(resumed, whole, rtol=0)
    assert_equal(again.weight_net, step.weight_net, rtol=0)
    assert again.steps == step.steps == 6
    with pytest.raises(ValueError, match="lacks engine, steps"):
        step.load_state_dict({"weight_net": {}, "weight_optimizer": {}})


@pytest.mark.usefixtures("without_ghost")
def test_a_fallback_is_logged_and_not_printed(
    caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    class Without(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor) -> Tensor:
            return 2 * x

        @staticmethod
        def backward(ctx: Any, gradient: Tensor) -> Tensor:
            return 2 * gradient

    class Doubled(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            return Without.apply(super().forward(x))

    net = Doubled(4, CLASSES).double()
    step = Step(net, SGD(net.parameters(), lr=0.1))
    data, meta = batch(seed=1), batch(seed=2)
    with caplog.at_level(logging.INFO):
        assert step(data.x, data.y, meta.x, meta.y).engine == "higher"
    assert [record.name for record in caplog.records] == ["mwnet.bilevel.choice"]
    assert "slower engine `higher`" in caplog.text
    assert capsys.readouterr() == ("", "")


def test_endless_begins_again() -> None:
    meta = mwnet.endless([1, 2, 3])
    assert [next(meta) for _ in range(7)] == [1, 2, 3, 1, 2, 3, 1]
    with pytest.raises(ValueError, match="`loader` gave nothing"):
        next(mwnet.endless([]))
    once = mwnet.endless(iter([1]))
    next(once)
    with pytest.raises(ValueError, match="nor an iterator"):
        next(once)


def test_per_sample_values_are_handed_out_only_on_request() -> None:
    data, meta = batch(seed=1), batch(seed=2)
    reports = []
    for per_sample in (False, True):
        net = seeded(network)
        weight_net = seeded(lambda: WeightNet(7), 1)
        problem = Bilevel(net, weight_net, cross_entropy, LOSSES["mae"], NORMALISATIONS["mean"])
        reports.append(
            bilevel_step(
                problem,
                EngineChoice("forward"),
                sgd(net),
                sgd(weight_net),
                data,
                meta,
                per_sample=per_sample,
            )
        )
    assert reports[0].keys() == {"train_loss", "meta_loss"}
    assert reports[1].keys() == {"train_loss", "meta_loss", "losses", "weights"}
    assert torch.equal(reports[0]["train_loss"], reports[1]["train_loss"])
