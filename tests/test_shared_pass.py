"""One pass that is the meta pass of a step and the training pass of the next."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from commands import ROBUST, outcome, run
from problems import batch, problem
from torch.optim import SGD, AdamW

import train
from mwnet.bilevel import bilevel_step, higher_engine
from mwnet.bilevel.shared_pass import SharedPass, shares_a_chain
from mwnet.builders.experiment import build
from mwnet.config.flags import parse_training

BOTH = [*ROBUST, "--meta-source", "next-batch", "--lag", "--virtual-step", "optimizer"]
DROPOUT = ["--model", "tabm", "--model.dropout", "0.3"]


@pytest.mark.parametrize("kind", [SGD, AdamW])
@pytest.mark.parametrize("meta_loss", ["mae", "ce", "gce", "focal"])
@pytest.mark.parametrize("interval", [1, 2])
def test_shared_steps_are_the_steps_of_lag(kind: Any, meta_loss: str, interval: int) -> None:
    ends = []
    batches = [batch(size, seed=size) for size in (8, 6, 7, 9, 8)]
    for shared in (True, False):
        task = problem("layernorm", virtual_step="optimizer", lag=True, meta_loss=meta_loss)
        options: dict = {"momentum": 0.9} if kind is SGD else {"eps": 1e-3}
        optimizer = kind(task.classifier.parameters(), lr=0.05, **options)
        theta = SGD(task.weight_net.parameters(), lr=1.0)
        assert shares_a_chain(task, 3)
        passes, reports = SharedPass(task), []
        for step, (now, following) in enumerate(pairwise(batches)):
            meta = following if step % interval == 0 else None
            if shared:
                reports.append(passes.step(optimizer, theta, now, meta))
            else:
                reports.append(bilevel_step(task, higher_engine, optimizer, theta, now, meta))
        modules = (task.classifier, task.weight_net)
        ends.append(([p.detach() for m in modules for p in m.parameters()], reports))
    torch.testing.assert_close(*ends, rtol=0, atol=1e-10)


@pytest.mark.parametrize("name", ["mae", "ce", "rce", "gce"])
def test_functions_of_the_probability_of_the_label_share_a_chain(name: str) -> None:
    assert shares_a_chain(problem(meta_loss=name), 5)
    assert not shares_a_chain(problem(meta_loss="mse"), 5)


def test_the_network_runs_once_a_step() -> None:
    experiment = build(parse_training([*BOTH, "--meta-interval", "1"]))
    method: Any = experiment.method.train()
    calls: list[int] = []
    method.network.register_forward_hook(lambda *_: calls.append(1))
    assert experiment.meta is not None
    for step in range(4):
        calls.clear()
        method.step(experiment.train[step], experiment.meta[step])
    assert len(calls) == 1
    assert method.engine_name == "ghost"


@pytest.mark.parametrize("more", [[], DROPOUT, ["--meta-interval", "1", *DROPOUT]], ids=" ".join)
def test_resume_is_bit_exact(more: list[str], tmp_path: Path) -> None:
    run(tmp_path / "whole", *BOTH, *more, "--max-steps", "36")
    run(tmp_path / "parts", *BOTH, *more, "--max-steps", "17")
    assert train.main(["--resume", str(tmp_path / "parts"), "--max-steps", "36"]) == 0
    assert outcome(tmp_path / "parts") == outcome(tmp_path / "whole")
