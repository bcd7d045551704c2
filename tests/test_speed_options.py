"""Options that change how fast a step is must not change what it computes."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import yaml
from commands import ROBUST, fails, run
from problems import batch, flat, relative
from tables import SMALL, benchmark, write
from torch import nn
from torch.optim import SGD

from mwnet.bilevel import ENGINES, Bilevel, EngineChoice, higher_engine
from mwnet.bilevel.precision import Autocast, compile_in_place
from mwnet.bilevel.weighting import WeightNet, by_mean, by_sum
from mwnet.builders.experiment import build
from mwnet.config.checks import validate
from mwnet.config.flags import parse
from mwnet.data import Batch, Pixels
from mwnet.losses import LOSSES

SMALL_RESNET = ["--model", "resnet32", "--model.depth", "8", "--model.width", "4"]


def images(size: int, seed: int) -> Batch:
    rng = torch.Generator().manual_seed(seed)
    x = torch.randn(size, 1, 8, 8, generator=rng)
    return Batch(torch.arange(size), x, torch.randint(0, 10, (size,), generator=rng))


# --- bfloat16


def test_bf16_takes_forward_and_stays_near_float32() -> None:
    config = parse(["--amp", "bf16", *SMALL_RESNET])[0]
    experiment = build(config)
    network = experiment.method.learner.network
    assert isinstance(network, Autocast)
    # The batch is its own meta batch: then the samples' shares of dM/dTheta add up. Where they
    # nearly cancel, rounding to bfloat16 can be tens of per cent, with either engine.
    fields = {"loss": LOSSES["ce"], "meta_loss": LOSSES["ce"], "normalise": by_mean}
    torch.manual_seed(0)
    weight_net = WeightNet()
    seen: list[torch.Tensor] = []
    weight_net.register_forward_pre_hook(lambda module, args: seen.append(args[0]))
    optimizer = SGD(network.parameters(), lr=0.05)
    data = images(16, 1)
    said: list[str] = []
    choice = EngineChoice("auto", precision="bfloat16", say=said.append)
    got = choice(Bilevel(network, weight_net, **fields), optimizer, data, data)
    assert (choice.name, said) == ("forward", [])
    plain = Bilevel(network.network, weight_net, **fields)
    want = higher_engine(plain, SGD(network.network.parameters(), lr=0.05), data, data)
    apart = relative(flat(got.theta), flat(want.theta))
    assert 1e-5 < apart < 0.05  # bfloat16 has taken part
    assert all(losses.dtype == torch.float32 for losses in seen)
    assert got.losses is not None
    assert got.losses.dtype == torch.float32
    assert all(p.dtype == torch.float32 for p in experiment.method.parameters())


@pytest.mark.usefixtures("without_ghost")
def test_in_float32_the_probe_would_not_pass_an_error_of_bfloat16() -> None:
    class Coarse(nn.Module):
        """bfloat16 in the tangent pass only."""

        def __init__(self) -> None:
            super().__init__()
            self.network = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            kernel = self.network[1].weight
            slope = torch.autograd.forward_ad.unpack_dual(kernel).tangent
            return self.network(x) if slope is None else Autocast(self.network)(x)

    coarse, weight_net = Coarse(), WeightNet()
    fields = {"loss": LOSSES["ce"], "meta_loss": LOSSES["ce"], "normalise": by_sum}
    said: list[str] = []
    choice = EngineChoice("auto", say=said.append)
    optimizer = SGD(coarse.parameters(), lr=0.05)
    choice(Bilevel(coarse, weight_net, **fields), optimizer, images(16, 1), images(16, 2))
    assert choice.name == "higher"
    assert "forward is off by" in said[0]


@pytest.mark.parametrize(
    ("abilities", "warned"),
    [
        ({"avx2": True, "avx512_bw": False, "avx512_bf16": False}, True),
        ({"avx2": True, "avx512_bw": True, "avx512_bf16": True}, False),
        ({"neon": True, "bf16": False}, True),
        ({"neon": True, "bf16": True}, False),
        ({"architecture": "ppc64"}, False),
        ({}, False),
    ],
)
def test_emulated_bfloat16_is_said_aloud(
    abilities: dict, warned: bool, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path,
) -> None:  # fmt: skip
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: abilities)
    few = ["--method", "erm", "--max-steps", "1"]
    run(tmp_path / "bf16", "--amp", "bf16", *few)
    assert ("no instructions for bfloat16" in capsys.readouterr().out) == warned
    run(tmp_path / "float32", *few)
    assert "no instructions" not in capsys.readouterr().out


def test_a_table_says_it_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx2": True})
    table = write(tmp_path, base={**SMALL, "epochs": 1, "amp": "bf16"}, seeds=[0])
    assert benchmark(table) == 0
    assert capsys.readouterr().out.count("no instructions for bfloat16") == 1


def test_amp_off_in_yaml_is_no_boolean(tmp_path: Path) -> None:
    assert validate(yaml.safe_load("amp: off")).amp == "off"


# --- channels last


@pytest.mark.parametrize("augment", ["none", "crop-flip"])
def test_images_come_in_the_memory_format_asked_for(augment: str) -> None:
    x = torch.randint(0, 256, (9, 3, 8, 8), dtype=torch.uint8)
    ids = torch.arange(9)
    taken = []
    for last, strides in ((False, (192, 64, 8, 1)), (True, (192, 1, 24, 3))):
        pixels = Pixels.of(x, ids, torch.device("cpu"), augment, channels_last=last)
        taken.append(pixels.take(ids, torch.Generator().manual_seed(0)))
        assert taken[-1].stride() == strides
    assert torch.equal(*taken)


def test_channels_last_trains_the_same() -> None:
    ends = []
    for argv in ([], ["--channels-last"]):
        experiment = build(parse([*ROBUST, *SMALL_RESNET, *argv])[0])
        assert experiment.meta is not None
        kernels = [m.weight for m in experiment.method.modules() if isinstance(m, nn.Conv2d)]
        assert kernels[-1].is_contiguous(memory_format=torch.channels_last) == bool(argv)
        experiment.method.train().step(experiment.train[0], experiment.meta[0])
        ends.append(torch.cat([p.detach().reshape(-1) for p in experiment.method.parameters()]))
    torch.testing.assert_close(*ends, rtol=1e-4, atol=1e-6)


# --- compilation


def test_a_compiled_run_trains_as_an_eager_one(tmp_path: Path) -> None:
    lines = []
    for flags in ([], ["--compile"]):
        summary = run(tmp_path / f"run{flags}", *ROBUST, "--max-steps", "3", *flags)
        assert summary["engine"] == "ghost"
        text = (tmp_path / f"run{flags}" / "metrics.jsonl").read_text()
        lines.append(json.loads(text.splitlines()[-1]))
    for name in ("train_loss", "meta_loss"):
        assert lines[1][name] == pytest.approx(lines[0][name], rel=1e-4)


class Dropping(nn.Module):
    """A class of its own: torch compiles no module of torch.nn by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(4, 8), nn.Linear(8, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.second(nn.functional.dropout(self.first(x).tanh()))


def test_a_compiled_network_draws_its_dropout_masks_as_an_eager_one() -> None:
    """So the passes that cannot be compiled can replay them."""
    network = Dropping()
    fields = {"loss": LOSSES["ce"], "meta_loss": LOSSES["mae"], "normalise": by_sum}
    task = Bilevel(network.double(), WeightNet().double(), **fields)
    optimizer = SGD(network.parameters(), lr=0.1)
    torch.manual_seed(1)
    want = flat(higher_engine(task, optimizer, batch(seed=1), batch(seed=2)).theta)
    compile_in_place(network, torch.device("cpu"))
    said: list[str] = []
    torch.manual_seed(1)
    choice = EngineChoice("auto", say=said.append)
    got = flat(choice(task, optimizer, batch(seed=1), batch(seed=2)).theta)
    assert (choice.name, said) == ("ghost", [])
    assert relative(got, want) < 1e-8
    forward = EngineChoice("forward")
    torch.manual_seed(1)
    got = flat(forward(task, optimizer, batch(seed=1), batch(seed=2)).theta)
    assert relative(got, want) < 1e-8


def test_no_compiler_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(function: object) -> Callable:
        def call(*args: object) -> None:
            raise RuntimeError("no C++ compiler found\nplease install one")

        return call

    monkeypatch.setattr(torch, "compile", broken)
    message = fails(capsys, "--compile", "--out", str(tmp_path / "run"))
    assert "--compile does not work here: no C++ compiler found\n" in message
    assert list(tmp_path.iterdir()) == []


# --- reports within an epoch


def test_log_every(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(tmp_path / "run", *ROBUST, "--log-every", "5", "--tensorboard")
    lines = [line for line in capsys.readouterr().out.splitlines() if " step " in line]
    assert [line.split()[3] for line in lines] == ["5/36", "10/36", "15/36", "20/36"] + [
        f"{step}/36" for step in (25, 30, 35)
    ]
    assert "loss" in lines[0]
    assert "meta" in lines[0]
    assert list((tmp_path / "run" / "steps").glob("events.*"))
    whole = run(tmp_path / "without", *ROBUST)
    logged = (tmp_path / "run" / "metrics.jsonl").read_bytes()
    assert (tmp_path / "without" / "metrics.jsonl").read_bytes() == logged
    assert whole["epochs"] == 3


def test_an_engine_that_cannot_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def unable(*args: object, **kwargs: object) -> None:
        raise NotImplementedError("no forward-mode rule for frobnicate")

    monkeypatch.setitem(ENGINES, "forward", unable)
    message = fails(capsys, "--engine", "forward", "--out", str(tmp_path / "run"))
    assert "no forward-mode rule for frobnicate" in message
