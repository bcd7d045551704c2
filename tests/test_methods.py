"""The contract of every method, and special cases that must equal plain training."""

import copy
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from mwnet import detection
from mwnet.components import METHOD_BUILDERS
from mwnet.config import Config, validate
from mwnet.experiment import Experiment, build
from mwnet.methods import METHODS
from mwnet.methods.base import load_training_state, training_state


def config(method: str, **changes: object) -> Config:
    """Digits, a small net, noisy meta labels: no method needs the truth."""
    values: dict = {
        "dataset": "digits",
        "method": method,
        "model": "mlp2",
        "model_options": {"width": 16},
        "meta_noisy": True,
        "meta_loss": "mae",
        "noise": "uniform",
        "noise_rate": 0.4,
        "epochs": 2,
        "device": "cpu",
    }
    return validate({**values, **changes})


def take_steps(experiment: Experiment, start: int, stop: int) -> list[dict[str, float]]:
    reports = []
    for step in range(start, stop):
        experiment.method.train()
        meta = experiment.meta[step] if experiment.meta is not None else None
        report = experiment.method.step(experiment.train[step], meta)
        reports.append({name: float(value) for name, value in report.items()})
    return reports


def parameters(experiment: Experiment) -> list[torch.Tensor]:
    return [p.detach().clone() for p in experiment.method.parameters()]


def same(a: list[torch.Tensor], b: list[torch.Tensor]) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


def test_every_method_has_its_builder() -> None:
    assert METHOD_BUILDERS.keys() == METHODS.keys()
    for name, expected in METHODS.items():
        assert type(build(config(name)).method) is expected


methods = pytest.mark.parametrize("method", sorted(METHODS))


@methods
def test_three_steps_are_finite_and_move_the_parameters(method: str) -> None:
    experiment = build(config(method))
    before = parameters(experiment)
    reports = take_steps(experiment, 0, 3)
    assert all(torch.tensor(list(report.values())).isfinite().all() for report in reports)
    assert all("train_loss" in report for report in reports)
    assert not same(before, parameters(experiment))
    assert all(p.isfinite().all() for p in experiment.method.parameters())


@methods
def test_state_round_trip_continues_bit_for_bit(method: str) -> None:
    experiment, other = build(config(method)), build(config(method, seed=0))
    take_steps(experiment, 0, 3)
    load_training_state(other.method, copy.deepcopy(training_state(experiment.method)))
    assert take_steps(experiment, 3, 6) == take_steps(other, 3, 6)
    assert same(parameters(experiment), parameters(other))


@methods
def test_round_trip_without_the_optimizer_is_noticed(method: str) -> None:
    """Negative control of the test above."""
    experiment, other = build(config(method)), build(config(method))
    take_steps(experiment, 0, 3)
    state = copy.deepcopy(training_state(experiment.method))
    del state["optimizer"]
    load_training_state(other.method, state)
    assert take_steps(experiment, 3, 6) != take_steps(other, 3, 6)


@methods
def test_truth_never_reaches_training(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Swap the true labels, keep the given ones: parameters stay bit-identical, metrics do not."""
    from mwnet import experiment as module

    original: Callable = module.given_labels
    runs = []
    for shift in (0, 3):

        def swapped(*arguments: object, shift: int = shift) -> tuple:
            given, truth, matrix = original(*arguments)
            return given, truth.roll(shift), matrix

        monkeypatch.setattr(module, "given_labels", swapped)
        runs.append(build(config(method)))
        take_steps(runs[-1], 0, 5)
    assert same(parameters(runs[0]), parameters(runs[1]))
    auc = [run.metrics(run.score(run.parts.train))["detection_auc"] for run in runs]
    assert auc[0] != auc[1]


@methods
def test_label_quality_is_a_score_that_is_low_for_planted_errors(method: str) -> None:
    experiment = build(config(method, weight_net_optimizer="sgd", weight_net_lr=0.1, lr=0.1))
    take_steps(experiment, 0, 200)
    scored = experiment.score(experiment.parts.train)
    assert scored.quality.shape == (1294,)
    assert scored.quality.min() >= 0
    assert scored.quality.max() <= 1
    assert experiment.truth is not None
    wrong = scored.given != experiment.truth[experiment.parts.train].numpy()
    assert scored.quality[wrong].mean() < scored.quality[~wrong].mean()


@methods
def test_noise_seed_does_not_change_the_initial_weights(method: str) -> None:
    one, two = build(config(method, noise_seed=1)), build(config(method, noise_seed=2))
    assert same(parameters(one), parameters(two))
    assert not torch.equal(one.labels, two.labels)


@pytest.mark.parametrize("normalisation", ["sum", "mean"])
def test_constant_weights_are_plain_training(normalisation: str) -> None:
    """With a weight net fixed at one, MW-Net takes the very steps of erm."""
    erm = build(config("erm"))
    weighted = build(config("mwnet", normalisation=normalisation, weight_net_lr=0.0))
    torch.nn.init.zeros_(weighted.method.weight_net.out.weight)
    torch.nn.init.constant_(weighted.method.weight_net.out.bias, 40.0)  # sigmoid(40) rounds to 1
    take_steps(erm, 0, 20)
    take_steps(weighted, 0, 20)
    for plain, got in zip(
        erm.method.classifier.parameters(), weighted.method.classifier.parameters(), strict=True
    ):
        torch.testing.assert_close(got, plain, rtol=1e-4, atol=1e-6)


def test_meta_interval_updates_the_weight_net_every_kth_step() -> None:
    experiment = build(config("mwnet", meta_interval=3))
    moved = []
    for step in range(7):
        before = [p.detach().clone() for p in experiment.method.weight_net.parameters()]
        take_steps(experiment, step, step + 1)
        moved.append(not same(before, list(experiment.method.weight_net.parameters())))
    assert moved == [True, False, False, True, False, False, True]


def test_clean_meta_set_carries_true_labels_and_a_noisy_onegiven_labels() -> None:
    clean, noisy = build(config("mwnet", meta_noisy=False)), build(config("mwnet"))
    assert clean.truth is not None
    assert clean.meta is not None
    assert noisy.meta is not None
    batch = clean.meta[0]
    assert torch.equal(batch.y, clean.truth[batch.index])
    batch = noisy.meta[0]
    assert torch.equal(batch.y, noisy.labels[batch.index])
    assert not torch.equal(batch.y, noisy.truth[batch.index])


def scored(weight: list[float], loss: list[float]) -> detection.Scored:
    experiment = build(config("erm"))
    template = experiment.score(experiment.parts.train[: len(weight)])
    return replace(template, weight=torch.tensor(weight).numpy(), loss=torch.tensor(loss).numpy())


@pytest.mark.parametrize(
    ("weight", "loss", "collapse"),
    [
        ([0.9, 0.5, 0.1], [0.1, 1.0, 5.0], None),
        ([0.1, 0.5, 0.9], [0.1, 1.0, 5.0], "rising"),
        ([1e-5, 2e-5, 1e-6], [0.1, 1.0, 5.0], "zero"),
        ([1.0, 1.0, 1.0], [0.1, 1.0, 5.0], None),
        ([0.5, 0.5, 0.5], [0.1, 1.0, 5.0], "constant"),
    ],
)
def test_collapse_is_detected(weight: list[float], loss: list[float], collapse: str | None) -> None:
    health = detection.weight_health(scored(weight, loss))
    assert health["collapse"] == collapse


def test_effective_share() -> None:
    assert detection.weight_health(scored([1.0, 1.0, 0.0, 0.0], [1.0, 2, 3, 4]))[
        "effective_share"
    ] == pytest.approx(0.5)


def test_auc_is_scikit_learns_with_ties_and_none_where_it_has_no_meaning() -> None:
    experiment = build(config("erm"))
    few = experiment.score(experiment.parts.train[:4])
    few = replace(few, quality=torch.tensor([0.5, 0.5, 0.1, 0.9]).numpy())
    truth = few.given.copy()
    assert detection.detection_auc(few, truth)["own"] is None
    truth[[0, 2]] = (truth[[0, 2]] + 1) % 10
    assert detection.detection_auc(few, truth)["own"] == pytest.approx(0.875)
    assert detection.precision_at_noise(few, truth) == 1.0
