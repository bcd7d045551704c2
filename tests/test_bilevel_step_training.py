"""BilevelStep is the trainer's step, and plain training where weights are equal."""

import copy
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from problems import (
    assert_equal,
    batch,
    flat,
    network,
    relative,
    weighting,
)
from stepping import Fixed, Step, plain_step, seeded, sgd
from torch.nn import functional as F
from torch.optim import SGD
from torch.optim.lr_scheduler import LambdaLR

from mwnet.bilevel import Bilevel
from mwnet.bilevel.weighting import NORMALISATIONS, papers_optimizer
from mwnet.builders.experiment import build
from mwnet.config.flags import parse
from mwnet.config.schema import Config
from mwnet.core import seeding
from mwnet.losses import LOSSES, cross_entropy
from mwnet.methods import Learner, Weighting
from mwnet.methods.mwnet import MWNet


@pytest.mark.parametrize("kind", ["plain", "batchnorm"])
@pytest.mark.parametrize("engine", ["auto", "higher"])
@pytest.mark.parametrize("normalisation", ["mean", "sum"])
@pytest.mark.parametrize("interval", [1, 3])
def test_twenty_steps_are_those_of_the_method_bit_for_bit(
    kind: str, engine: str, normalisation: str, interval: int
) -> None:
    ours, theirs = seeded(lambda: network(kind)), seeded(lambda: network(kind))
    optimizer = sgd(theirs)
    learner = Learner(theirs, optimizer, LambdaLR(optimizer, lambda step: 1.0))

    def module(purpose: str, build: Any) -> Any:
        with seeding.seeded(0, purpose):
            return build().double()

    fields = {
        **vars(weighting(engine)),
        "meta_loss": LOSSES["mae"],
        "normalise": NORMALISATIONS[normalisation],
        "optimizer": lambda net: papers_optimizer(net, 0.1, 5e-4),
        "meta_interval": interval,
    }
    parts: Any = SimpleNamespace(
        learner=lambda: learner,
        module=module,
        loss=cross_entropy,
        epochs=1,
        weighting=Weighting(**fields),
        record=lambda update: update,
    )
    method = MWNet(parts).train()
    first = copy.deepcopy(method.weight_net)
    step = Step(
        ours,
        sgd(ours),
        engine=engine,
        normalisation=normalisation,
        weight_lr=0.1,
        meta_interval=interval,
    )
    assert type(step.problem) is type(method.problem) is Bilevel
    for number in range(20):
        data, meta = batch(20, seed=number), batch(seed=100 + number)
        want = method.step(data, meta)
        got = step(data.x, data.y, meta.x, meta.y)
        assert got.engine == method.engine_name
        assert torch.equal(got.loss, want["train_loss"])
        assert (got.meta_loss is None) == (number % interval != 0) == ("meta_loss" not in want)
        if got.meta_loss is not None:
            assert torch.equal(got.meta_loss, want["meta_loss"])
    for net, reference in ((ours, theirs), (step.weight_net, method.weight_net)):
        for got, want in zip(
            net.state_dict().values(), reference.state_dict().values(), strict=True
        ):
            assert torch.equal(got, want)
    start, end = (flat(tuple(net.parameters())).detach() for net in (first, step.weight_net))
    assert relative(end, start) > 1e-4  # Theta has moved


def test_the_default_weight_net_and_optimizer_are_those_of_the_trainer() -> None:
    config = parse(["--method", "mwnet", "--meta-loss", "mae", "--meta-noisy"])[0]
    method: Any = build(config).method
    net = network()
    rate, decay = config.weight_net_lr, config.weight_net_weight_decay
    optimizer = SGD(net.parameters(), lr=0.1)
    step = Step(net, optimizer, weight_lr=rate, weight_decay=decay, seed=config.seed)
    for got, want in zip(step.weight_net.parameters(), method.weight_net.parameters(), strict=True):
        assert torch.equal(got, want)
    assert type(step.weight_optimizer) is type(method.weight_optimizer)
    assert step.weight_optimizer.defaults == method.weight_optimizer.defaults
    defaults = Step(net, optimizer).weight_optimizer.defaults
    assert defaults["lr"] == Config.model_fields["weight_net_lr"].default
    assert defaults["weight_decay"] == Config.model_fields["weight_net_weight_decay"].default


@pytest.mark.parametrize("engine", ["forward", "higher"])
def test_weight_zero_is_leaving_the_sample_out(engine: str) -> None:
    weights = [1.0, 0.0, 1.0, 1.0, 0.0, 0.0, 1.0, 1.0]
    kept = torch.tensor(weights) > 0
    ours, fewer, plain = (seeded(network) for _ in range(3))
    step = Step(ours, sgd(ours), weight_net=Fixed(weights), normalisation="sum", engine=engine)
    rest = Step(fewer, sgd(fewer), weight_net=Fixed([1.0] * 5), normalisation="sum", engine=engine)
    optimizer = sgd(plain)
    for number in range(5):
        data, meta = batch(seed=number), batch(seed=10 + number)
        report = step(data.x, data.y, meta.x, meta.y)
        assert torch.equal(report.weights > 0, kept)
        rest(data.x[kept], data.y[kept], meta.x, meta.y)
        plain_step(plain, optimizer, data.x[kept], data.y[kept], torch.ones(5).double())
    assert_equal(ours, fewer, rtol=1e-12)
    assert_equal(ours, plain, rtol=1e-12)


def test_all_weights_zero_move_nothing_but_what_weight_decay_moves() -> None:
    net = seeded(network)
    before = copy.deepcopy(net)
    step = Step(net, SGD(net.parameters(), lr=0.1), weight_net=Fixed([0.0] * 8), engine="forward")
    data, meta = batch(seed=1), batch(seed=2)
    assert float(step(data.x, data.y, meta.x, meta.y).loss) == 0
    assert_equal(net, before, rtol=0)


@pytest.mark.parametrize("normalisation", ["mean", "sum"])
@pytest.mark.parametrize("engine", ["forward", "higher"])
def test_equal_weights_are_plain_training(engine: str, normalisation: str) -> None:
    ours, plain = seeded(lambda: network("batchnorm")), seeded(lambda: network("batchnorm"))
    level = 1.0 if normalisation == "mean" else 0.3
    step = Step(
        ours,
        sgd(ours),
        weight_net=Fixed([level] * 8),
        normalisation=normalisation,
        engine=engine,
    )
    optimizer = sgd(plain)
    for number in range(5):
        data, meta = batch(seed=number), batch(seed=10 + number)
        step(data.x, data.y, meta.x, meta.y)
        optimizer.zero_grad()
        F.cross_entropy(plain(data.x), data.y).backward()
        optimizer.step()
    assert_equal(ours, plain, rtol=1e-12)
