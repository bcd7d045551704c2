"""A look-ahead that is the step, and the next training batch as the meta batch."""

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from commands import ROBUST, fails, outcome, run
from problems import batch, flat, problem, relative, warmed
from torch.optim import SGD, AdamW

import train
from mwnet.bilevel import EngineChoice, bilevel_step, higher_engine
from mwnet.builders.experiment import build
from mwnet.config.flags import parse_training
from mwnet.data.meta import NextBatches

LAG = ["--lag", "--virtual-step", "optimizer"]
NEXT = [*ROBUST, "--meta-source", "next-batch"]


@pytest.mark.parametrize("lean", [False, True])
@pytest.mark.parametrize("name", ["ghost", "forward", "higher"])
@pytest.mark.parametrize("kind", [SGD, AdamW])
def test_with_lag_w_takes_the_old_weights_and_theta_moves_as_ever(
    name: str, lean: bool, kind: Any
) -> None:
    task = problem("dropout", virtual_step="optimizer", lag=True, normalise="sum")
    options: dict = {"momentum": 0.9} if kind is SGD else {"eps": 1e-3}
    optimizer = warmed(kind(task.classifier.parameters(), lr=0.05, **options), task.classifier)
    theta = SGD(task.weight_net.parameters(), lr=1.0)
    data, meta = batch(seed=1), batch(seed=2)
    network = copy.deepcopy(task.classifier)
    plain = kind(network.parameters(), lr=0.05, **options)
    plain.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    before = copy.deepcopy(task.weight_net)

    torch.manual_seed(3)
    slope = flat(higher_engine(task, optimizer, data, meta).theta)
    torch.manual_seed(3)
    losses = task.loss(network(data.x), data.y)
    (task.normalise(before(losses.detach())).detach() @ losses).backward()
    plain.step()
    torch.manual_seed(3)
    report = bilevel_step(
        task, EngineChoice(name, lean=lean), optimizer, theta, data, meta, per_sample=True
    )

    for got, want in zip(task.classifier.parameters(), network.parameters(), strict=True):
        torch.testing.assert_close(got, want, rtol=0, atol=1e-12)
    moved = flat(tuple(before.parameters())) - flat(tuple(task.weight_net.parameters()))
    assert relative(moved, slope) < 1e-10
    torch.testing.assert_close(report["weights"], before(report["losses"]).detach())


def test_with_lag_the_look_ahead_is_where_the_network_goes() -> None:
    task = problem(virtual_step="optimizer", lag=True)
    optimizer = SGD(task.classifier.parameters(), lr=0.3, momentum=0.9)
    theta = SGD(task.weight_net.parameters(), lr=1.0)
    meta = batch(seed=2)
    report = bilevel_step(task, EngineChoice("ghost"), optimizer, theta, batch(seed=1), meta)
    here = task.meta_loss(task.classifier(meta.x), meta.y).mean()
    torch.testing.assert_close(report["meta_loss"], here.detach(), rtol=0, atol=1e-12)


def test_the_meta_batch_is_the_next_training_batch_with_given_labels() -> None:
    experiment = build(parse_training([*NEXT, "--noise", "uniform", "--noise-rate", "0.4"]))
    assert isinstance(experiment.meta, NextBatches)
    assert len(experiment.data.parts.meta) == 0
    for step in (0, len(experiment.train) - 1, 3 * len(experiment.train)):
        meta, following = experiment.meta[step], experiment.train[step + 1]
        assert torch.equal(meta.index, following.index)
        assert torch.equal(meta.x, following.x)
        assert torch.equal(meta.y, experiment.data.labels.cpu()[meta.index])


@pytest.mark.parametrize("flags", [NEXT, [*NEXT, *LAG], [*ROBUST, *LAG]], ids=" ".join)
def test_a_resumed_run_ends_as_one_that_was_never_stopped(flags: list[str], tmp_path: Path) -> None:
    summary = run(tmp_path / "whole", *flags, "--max-steps", "36")
    assert summary["meta_source"] == ("next-batch" if "next-batch" in flags else "held-out")
    run(tmp_path / "parts", *flags, "--max-steps", "17")
    assert train.main(["--resume", str(tmp_path / "parts"), "--max-steps", "36"]) == 0
    assert outcome(tmp_path / "parts") == outcome(tmp_path / "whole")


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--lag"], "--virtual-step optimizer"),
        ([*LAG, "--inner-steps", "2"], "--inner-steps 1"),
        ([*LAG, "--method", "l2rw"], "mwnet, cmw-net do"),
        ([*NEXT, "--meta-size", "100"], "--meta-size 100"),
        (["--method", "erm", "--meta-source", "next-batch"], "uses no meta set"),
    ],
)
def test_what_does_not_go_together_is_one_sentence(
    flags: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert said in fails(capsys, *flags, "--out", str(tmp_path / "run"))
    assert not list(tmp_path.iterdir())


def test_the_first_lines_name_the_engine(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(tmp_path / "ghost", *ROBUST)
    assert "\nmeta-gradient by the engine ghost\n" in capsys.readouterr().out
    small = ["--model", "resnet32", "--model.depth", "8", "--model.width", "2"]
    summary = run(tmp_path / "forward", *ROBUST, *small, "--max-steps", "1")
    assert "engine forward (ghost failed (samples meet in" in capsys.readouterr().out
    assert (summary["engine"], "samples meet" in summary["engine_passed_over"]) == ("forward", True)
