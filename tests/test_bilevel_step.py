"""BilevelStep: the trainer's step, and to everything else one ordinary training step."""

import copy
import logging
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import higher
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
    weighting,
)
from test_cuda_graphs import NoHostReads
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import SGD, Adam, AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR

import mwnet
from mwnet.bilevel import Bilevel, EngineChoice, bilevel_step
from mwnet.bilevel.weighting import NORMALISATIONS, WeightNet, papers_optimizer
from mwnet.builders.experiment import build
from mwnet.config.flags import parse
from mwnet.config.schema import Config
from mwnet.core import seeding
from mwnet.losses import LOSSES, cross_entropy
from mwnet.methods import Learner, Weighting
from mwnet.methods.mwnet import MWNet

Step = mwnet.BilevelStep


class Noisy(nn.Module):
    """Batch norm and dropout, both of which a careless extra pass would disturb."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(4, 6), nn.BatchNorm1d(6), nn.Tanh(), nn.Dropout(0.4), nn.Linear(6, CLASSES)
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


class Tokens(nn.Module):
    """A transformer encoder on token ids, with a mask of the places that count."""

    def __init__(self, dropout: float = 0.0) -> None:
        super().__init__()
        self.embed = nn.Embedding(9, 8)
        self.encoder = nn.TransformerEncoderLayer(8, 2, 16, dropout, batch_first=True)
        self.out = nn.Linear(8, CLASSES)

    def forward(
        self, ids: Tensor, mask: Tensor | None = None, *, scale: float = 1.0, extra: Any = None
    ) -> Tensor:
        hidden = self.encoder(self.embed(ids), src_key_padding_mask=mask)
        return scale * self.out(hidden.mean(1))


class Pair(nn.Module):
    """Two arguments, which a tuple gives in order."""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.right = nn.Linear(4, 5), nn.Linear(4, 5)
        self.out = nn.Linear(5, CLASSES)

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return self.out(torch.tanh(self.left(a) * self.right(b)))


class Fixed(nn.Module):
    """Weights by place in the batch; its parameter changes nothing."""

    def __init__(self, weights: list[float]) -> None:
        super().__init__()
        self.register_buffer("weights", torch.tensor(weights, dtype=torch.float64))
        self.unmoved = nn.Parameter(torch.zeros((), dtype=torch.float64))

    def forward(self, losses: Tensor, labels: Tensor) -> Tensor:
        return self.weights[: len(losses)] + 0 * self.unmoved


def tokens(seed: int, size: int = 8) -> tuple[dict[str, Any], Tensor]:
    rng = torch.Generator().manual_seed(seed)
    ids = torch.randint(0, 9, (size, 5), generator=rng)
    mask = torch.zeros(size, 5, dtype=torch.bool)
    mask[:, 4] = ids[:, 4] == 0
    x = {"ids": ids, "mask": mask, "scale": 2.0, "extra": None}
    return x, torch.randint(0, CLASSES, (size,), generator=rng)


def sgd(net: nn.Module) -> Optimizer:
    return SGD(net.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-2)


def seeded(build: Any, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return build().double()


def plain_step(net: nn.Module, optimizer: Optimizer, x: Tensor, y: Tensor, weights: Tensor) -> None:
    losses = F.cross_entropy(net(x), y, reduction="none")
    optimizer.zero_grad()
    (weights / len(y) @ losses).backward()
    optimizer.step()


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
        assert step.engine.name == ("higher" if engine == "higher" else "forward")
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


@pytest.mark.parametrize("engine", ["forward", "higher"])
def test_a_step_reads_nothing_back_to_the_host(engine: str) -> None:
    net = seeded(lambda: Tokens(0.2))
    step = Step(net, sgd(net), engine=engine)
    with NoHostReads():
        report = step(*tokens(1), *tokens(2))
    assert report.meta_loss is not None


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


def test_the_weight_net_has_the_type_of_the_network_but_no_half_precision() -> None:
    for dtype in (torch.float32, torch.float64, torch.bfloat16):
        net = network().to(dtype)
        step = Step(net, SGD(net.parameters(), lr=0.1))
        data, meta = batch(seed=1), batch(seed=2)
        report = step(data.x.to(dtype), data.y, meta.x.to(dtype), meta.y)
        wanted = torch.float64 if dtype == torch.float64 else torch.float32
        assert {p.dtype for p in step.weight_net.parameters()} == {wanted}
        assert report.weights.dtype == report.losses.dtype == wanted
        assert step.engine.name == "forward"


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
    assert step.engine.name == "forward"


def test_no_gradient_goes_into_the_samples() -> None:
    net = seeded(network)
    data, meta = batch(seed=1), batch(seed=2)
    x = (data.x.clone().requires_grad_() * 1.0).requires_grad_()
    x.retain_grad()
    Step(net, sgd(net))(x, data.y, meta.x, meta.y)
    assert x.grad is None


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
