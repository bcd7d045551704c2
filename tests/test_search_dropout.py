"""A network with dropout: what it draws is that of the job, whatever ran before or beside it."""

from pathlib import Path
from typing import Any

import pytest
import torch
from searches import LOG, THETA, cut, logged, result, search

import train
from mwnet.config.checks import validate_search
from mwnet.losses.loss_file import TaylorLoss
from mwnet.losses.taylor import CROSS_ENTROPY
from mwnet.search import tasks
from mwnet.search.tasks import Job, Task

Patch = pytest.MonkeyPatch

LOSSES = (TaylorLoss(CROSS_ENTROPY, 1.0), TaylorLoss(THETA, 2.0), "ce")
NET = ["--model", "wrn-28-10", "--model.depth", "10", "--model.width", "1"]
NET += ["--model.dropout", "0.3"]


def task(dropout: float) -> Task:
    options = {"depth": 10, "width": 1, "dropout": dropout}
    return Task(
        validate_search(
            {
                "mode": "loss-search", "dataset": "digits", "model": "wrn-28-10",
                "model_options": options, "noise": "symmetric", "noise_rate": 0.4, "epochs": 1,
                "search_samples": 200, "batch_size": 50, "device": "cpu", "threads": 1,
            }
        )
    )  # fmt: skip


@pytest.fixture
def states(monkeypatch: Patch) -> list[dict[str, torch.Tensor]]:
    """Of every network that is measured."""
    seen: list[dict[str, torch.Tensor]] = []
    original = tasks.accuracy

    def spied(group: Any, *rest: Any) -> torch.Tensor:
        seen.extend(group.stack.state(member) for member in range(group.stack.size))
        return original(group, *rest)

    monkeypatch.setattr(tasks, "accuracy", spied)
    return seen


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(value, other[name]) for name, value in one.items())


def test_a_job_trains_the_same_networks_again(states: list[dict[str, torch.Tensor]]) -> None:
    one = task(0.3)
    job = Job(0, 7, LOSSES, 1, (1,))
    first = one.run(job)
    torch.rand(5)  # moves the generator that dropout draws from
    again = one.run(job)
    assert first == again
    assert [score.status for score in first] == ["ok"] * 3
    assert all(same(states[k], states[3 + k]) for k in range(3))
    # Each of them alone, and in another order.
    alone = [one.run(Job(0, 7, (loss,), 1, (1,)))[0] for loss in LOSSES]
    assert alone == first
    assert all(same(states[k], states[6 + k]) for k in range(3))
    assert one.run(Job(0, 7, LOSSES[::-1], 1, (1,))) == first[::-1]
    assert same(states[0], states[11])
    # Dropout was there at all, and the draws are those of the job's seed.
    task(0.0).run(Job(0, 7, LOSSES[:1], 1, (1,)))
    assert not same(states[0], states[-1])


def test_a_job_leaves_the_generator_as_it_was() -> None:
    one = task(0.3)
    torch.manual_seed(3)
    want = torch.rand(4)
    torch.manual_seed(3)
    one.run(Job(0, 7, LOSSES[:1], 1, (1,)))
    assert torch.equal(torch.rand(4), want)


SHORT = [*NET, "--epochs", "1"]  # over those of SMALL
SHORT += ["--search-generations", "2", "--batch-size", "50", "--search-compare", "ce"]


def test_killed_and_resumed_is_the_uninterrupted_search(tmp_path: Path, monkeypatch: Patch) -> None:
    whole, out = tmp_path / "whole", tmp_path / "cut"
    search(whole, *SHORT)
    cut(monkeypatch, 3, *SHORT, "--out", str(out))
    assert len(logged(out)) == 1 + 4
    assert train.main(["--resume", str(out), "--workers", "1"]) == 0
    assert (out / LOG).read_bytes() == (whole / LOG).read_bytes()
    assert result(out) == result(whole)
