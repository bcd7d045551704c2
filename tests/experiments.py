"""Small experiments on digits for the tests of training methods, and how to drive them."""

from collections.abc import Callable, Iterable
from typing import Any

import pytest
import torch
from commands import ROBUST
from torch import Tensor

from mwnet.builders import dataset as module
from mwnet.builders.experiment import Experiment, build
from mwnet.config.checks import validate
from mwnet.config.schema import Config
from mwnet.methods import METHODS
from mwnet.training.loop import steps

# So that few epochs show all that a method does.
EARLY: dict[str, dict[str, Any]] = {
    "cmw-net": {"ratio": 1.0},
    "co-teaching": {"ramp": 2},
    "d2l": {"warmup": 0.0, "window": 2},
    "jocor": {"ramp": 2},
    "mentornet": {"self_paced": 0.5},
    "self-paced": {"warmup": 1},
}


def config(method: str, **changes: object) -> Config:
    """Digits with wrong labels, a small net, four steps an epoch; no truth unless it is needed."""
    values: dict[str, Any] = {
        "dataset": "digits",
        "method": method,
        "method_options": EARLY.get(method, {}),
        "model": "mlp2",
        "model_options": {"width": 16},
        "meta_noisy": METHODS[method].meta == "any",
        "meta_loss": "mae",
        "noise": "uniform",
        "noise_rate": 0.4,
        "epochs": 3,
        "batch_size": 300,
        "lr_schedule": "cosine",
        "device": "cpu",
    }
    return validate({**values, **changes})


def flags(method: str) -> list[str]:
    """The same from the command line, on top of the recipe for digits."""
    few = ["--method", method, "--model.width", "16", "--batch-size", "300"]
    for key, value in EARLY.get(method, {}).items():
        few += [f"--method.{key}", str(value)]
    return few + (ROBUST if METHODS[method].meta == "any" else [])


def drive(experiment: Experiment, start: int = 0, stop: int | None = None) -> list[dict]:
    """Steps of a run as the trainer takes them, without measuring; returns what they report."""
    method, train = experiment.method, experiment.train
    stop = method.epochs * len(train) if stop is None else stop
    training = steps(method.train(), train, experiment.meta, start=start, stop=stop)
    return [{name: float(value) for name, value in report.items()} for _, report in training]


def middles(experiment: Experiment) -> list[int]:
    """Steps in the middle of an epoch, one in each phase: of its second epoch if it has several."""
    method, length = experiment.method, len(experiment.train)
    epochs = [method.start_of(phase.name) + (phase.epochs > 1) for phase in method.phases]
    return [epoch * length + length // 2 for epoch in epochs]


def build_with_other_truth(settings: Config, monkeypatch: pytest.MonkeyPatch) -> Experiment:
    """The experiment as it would be if the true labels were others and the given ones the same.

    A clean meta set carries true labels; those of its own samples stay.
    """
    original: Callable = module.given_labels
    meta = build(settings).data.parts.meta

    def swapped(*arguments: object) -> tuple:
        given, truth, matrix = original(*arguments)
        other = truth.roll(3)
        other[meta] = truth[meta]
        return given, other, matrix

    with monkeypatch.context() as patch:
        patch.setattr(module, "given_labels", swapped)
        return build(settings)


def parameters(experiment: Experiment) -> list[Tensor]:
    """Copies of all parameters of the method."""
    return [p.detach().clone() for p in experiment.method.parameters()]


def same(a: Iterable[Tensor], b: Iterable[Tensor]) -> bool:
    """Bit for bit."""
    return all(torch.equal(x, y) for x, y in zip(a, b, strict=True))
