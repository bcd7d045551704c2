"""CUDA graphs: what holds without a GPU."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from commands import ROBUST, fails
from problems import batch, problem
from torch.utils._python_dispatch import TorchDispatchMode

from mwnet.bilevel.cuda_graphs import WARM_UP, Captured, Report
from mwnet.builders.experiment import Experiment, build
from mwnet.builders.method import method as build_method
from mwnet.builders.network import classifier
from mwnet.config.flags import parse
from mwnet.config.schema import Config
from mwnet.core.errors import UserError
from mwnet.methods import METHODS, Method
from mwnet.methods.cmw_net import CMWNet

RECORDABLE = [name for name, entry in METHODS.items() if entry.recordable]
SMALL_RESNET = ["--model", "resnet32", "--model.depth", "8", "--model.width", "4"]


class Recorder:
    """Stands in for CUDA graphs: recording does nothing, a replay does it all again."""

    recorded = 0

    def eagerly(self, function: Callable[[], Report]) -> Report:
        return function()

    def record(self, function: Callable[[], Report]) -> tuple[Callable[[], Any], Report]:
        self.recorded += 1
        report: Report = {}
        return lambda: report.update(function()), report


def graph_method(*flags: str, meta: list[str] = ROBUST) -> tuple[Method, Experiment]:
    """A method built as for --cuda-graphs, but on the CPU."""
    config = parse([*meta, *flags])[0]
    experiment = build(config)
    recorded = Config(**{**config.model_dump(), "cuda_graphs": True})
    source, device = experiment.data.source, experiment.device
    method = build_method(
        recorded.training_options,
        lambda purpose: classifier(config.network_options, source, device, purpose),
        experiment.train,
        source.num_classes,
    )
    return method.train(), experiment


def updating(method: Method) -> Any:
    """The part of a method that has the update which is recorded."""
    return method.mwnet if isinstance(method, CMWNet) else method


@pytest.mark.parametrize(
    "flags",
    [
        ["--meta-interval", "1"],
        ["--method", "erm"],
        ["--method", "cmw-net", "--meta-interval", "1"],
        ["--meta-interval", "3"],
        ["--lr-schedule", "cosine", "--lean", "--meta-interval", "1"],
    ],
    ids=" ".join,
)
def test_replayed_steps_are_the_steps(flags: list[str]) -> None:
    """Batches and learning rates change under a recording, and results are those of plain calls."""
    method, experiment = graph_method(*flags)
    plain = experiment.method.train()
    recorder = Recorder()
    part = updating(method)
    part.update = Captured(part._update, recorder)
    reports = []
    for step in range(12 * WARM_UP):
        meta = None if experiment.meta is None else experiment.meta[step]
        want = plain.step(experiment.train[step], meta)
        got = method.step(experiment.train[step], meta)
        assert got.keys() == want.keys()
        reports.append((got, want))
    for got, want in reports:  # each report has kept its own values
        for name, value in want.items():
            torch.testing.assert_close(got[name], value)
    assert recorder.recorded == (2 if "3" in flags else 1)
    for a, b in zip(method.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)


class NoHostReads(TorchDispatchMode):
    """Refuses what would make the host wait for a GPU."""

    names = ("_local_scalar_dense", "nonzero", "masked_select", "is_nonzero", "equal", "unique")

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.__name__.split(".")[0]
        assert name not in self.names, f"{name} reads a value on the host"
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize(
    "flags",
    [
        ["--meta-interval", "1"],
        ["--method", "erm"],
        ["--method", "cmw-net", "--meta-interval", "1"],
        ["--lean", "--normalisation", "mean"],
        ["--virtual-step", "optimizer", "--nesterov", *SMALL_RESNET],
        ["--weight-net-lr", "0", "--amp", "bf16", *SMALL_RESNET],
    ],
    ids=" ".join,
)
def test_a_step_reads_nothing_back(flags: list[str]) -> None:
    method, experiment = graph_method(*flags)
    part = updating(method)
    part.update = part._update
    for step in range(2):  # the first one probes
        meta = None if experiment.meta is None else experiment.meta[step]
        data = experiment.train[step]
        if step == 0:
            method.step(data, meta)
            continue
        with NoHostReads():
            method.step(data, meta)


def test_the_guard_sees_a_read() -> None:
    with NoHostReads(), pytest.raises(AssertionError, match="on the host"):
        float(torch.ones(1))


def test_the_learning_rate_of_a_recorded_step_is_a_tensor() -> None:
    method, _ = graph_method("--lr-schedule", "cosine")
    (group,) = method.learner.optimizer.param_groups
    rate = group["lr"]
    before = float(rate)
    method.learner.optimizer.step()
    for _ in range(100):
        method.learner.scheduler.step()
    assert group["lr"] is rate  # the very tensor that a recording reads
    assert float(rate) < before


def test_dropout_is_refused() -> None:
    task = problem("dropout")
    captured = Captured(lambda data, meta: {"loss": task.classifier(data.x).sum()}, Recorder())
    with pytest.raises(UserError, match="random numbers"):
        captured(batch(), None)


def test_a_fallback_to_higher_is_refused() -> None:
    method, experiment = graph_method("--inner-steps", "2")
    assert experiment.meta is not None
    with pytest.raises(UserError, match="`cuda_graphs` needs the engine ghost or forward"):
        method._update(experiment.train[0], experiment.meta[0])


@pytest.mark.parametrize("name", [name for name in METHODS if name not in RECORDABLE])
def test_methods_that_cannot_be_recorded_are_refused(name: str) -> None:
    meta = [] if METHODS[name].meta == "clean" else ROBUST
    with pytest.raises(UserError, match=f"`cuda_graphs` cannot record `method='{name}'`:"):
        graph_method("--method", name, meta=meta)


def test_recordable_methods_are_those_of_the_tests_above() -> None:
    assert RECORDABLE == ["erm", "mwnet", "cmw-net"]


def test_graphs_need_a_gpu_and_forward(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "needs a CUDA device" in fails(capsys, "--cuda-graphs", "--out", str(tmp_path / "a"))
    message = fails(capsys, "--cuda-graphs", "--engine", "higher", "--out", str(tmp_path / "b"))
    assert "--engine higher" in message
    assert list(tmp_path.iterdir()) == []
