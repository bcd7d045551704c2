"""The contract of every method: what is promised for each entry of METHODS."""

import copy
import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from commands import frozen
from experiments import build_with_other_truth, config, drive, middles, parameters, same

from mwnet.builders.experiment import build
from mwnet.methods import METHODS, Context, Method
from mwnet.methods.base import predict
from mwnet.runs.model import load_model, of_experiment

methods = pytest.mark.parametrize("method", sorted(METHODS))


@methods
def test_a_method_is_one_final_class_in_a_module_of_its_name(method: str) -> None:
    """Those that are plain training with a loss of their own share a module."""
    entry = METHODS[method]
    shared = method in ("reed-hard", "reed-soft", "focal")
    name = "own_loss" if shared else method.replace("-", "_")
    module = importlib.import_module(f"mwnet.methods.{name}")
    own = [
        value
        for value in vars(module).values()
        if isinstance(value, type)
        and issubclass(value, Method)
        and value.__module__ == module.__name__
    ]
    assert entry in own if shared else own == [entry]
    assert getattr(entry, "__final__", sys.version_info < (3, 11))  # 3.10 leaves no mark
    assert type(build(config(method)).method) is entry


@methods
def test_three_steps_are_finite_and_move_the_parameters(method: str) -> None:
    experiment = build(config(method))
    before = parameters(experiment)
    reports = drive(experiment, 0, 3)
    assert all(torch.tensor(list(report.values())).isfinite().all() for report in reports)
    assert all("train_loss" in report for report in reports)
    assert not same(before, parameters(experiment))
    assert all(p.isfinite().all() for p in experiment.method.parameters())


@methods
def test_every_phase_changes_what_would_be_deployed(method: str) -> None:
    experiment = build(config(method))
    steps, x = len(experiment.train), experiment.data.pixels.take(torch.arange(5))
    for phase in experiment.method.phases:
        first = experiment.method.start_of(phase.name) * steps
        drive(experiment, first, first + 1)
        before = experiment.method.logits(x)
        drive(experiment, first + 1, first + steps * phase.epochs)
        assert experiment.method.phase == phase.name
        assert not torch.equal(experiment.method.logits(x), before)


@methods
def test_state_round_trip_continues_bit_for_bit_in_every_phase(method: str) -> None:
    experiment = build(config(method))
    states, reports = {}, []
    for middle in middles(experiment):
        reports += drive(experiment, len(reports), middle)
        states[middle] = copy.deepcopy(experiment.method.state_dict())
    reports += drive(experiment, len(reports))
    for middle, state in states.items():
        other = build(config(method))
        other.method.load_state_dict(state)
        assert drive(other, middle) == reports[middle:]
        assert frozen(other.method.state_dict()) == frozen(experiment.method.state_dict())


def optimizers(state: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Where the states of optimizers that remember something are in a nested state."""
    if isinstance(state, dict):
        if {"state", "param_groups"} <= state.keys():
            if state["state"]:
                yield path
            return
        for name, value in state.items():
            yield from optimizers(value, (*path, name))


PAST = ("noise_rate.", "first.", "cross.")
"""Parts of a method that the last phase no longer trains."""


@methods
def test_round_trip_without_an_optimizer_is_noticed(method: str) -> None:
    """Negative control of the test above, for each optimizer that is at work in the last phase."""
    experiment = build(config(method))
    middle = middles(experiment)[-1]
    drive(experiment, 0, middle)
    state = experiment.method.state_dict()
    at_work = [path for path in optimizers(state) if not path[0].startswith(PAST)]
    # Cross-fitting trains its networks side by side, with one optimizer; then one is refurbished.
    together = method in ("cross-fit", "refurbish")
    assert len(at_work) >= (1 if together else METHODS[method].networks)
    states = []
    for path in [(), *at_work]:
        mutilated = copy.deepcopy(state)
        if path:
            inner = mutilated
            for name in path:
                inner = inner[name]
            inner["state"] = {}
        other = build(config(method))
        other.method.load_state_dict(mutilated)
        drive(other, middle)
        states.append(frozen(dict(other.method.named_parameters())))
    assert all(other != states[0] for other in states[1:])


@methods
def test_truth_never_reaches_training(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Swap the true labels, keep the given ones: the state stays bit-identical, metrics do not."""
    runs = [build(config(method)), build_with_other_truth(config(method), monkeypatch)]
    for run in runs:
        drive(run)
    assert frozen(runs[0].method.state_dict()) == frozen(runs[1].method.state_dict())
    auc = [run.metrics(run.score(run.data.parts.train))["detection_auc"] for run in runs]
    assert auc[0] != auc[1]


@pytest.mark.parametrize("method", [name for name in METHODS if METHODS[name].meta == "clean"])
def test_the_labels_of_a_clean_meta_set_are_used(method: str) -> None:
    """Control of the test above: that it keeps the truth of the meta samples is not for nothing."""
    one, two = build(config(method)), build(config(method))
    assert two.meta is not None
    two.meta.labels[two.data.parts.meta] += 1
    two.meta.labels[two.data.parts.meta] %= 10
    for run in (one, two):
        drive(run)
    assert not same(parameters(one), parameters(two))


def test_a_clean_meta_set_carries_true_labels_and_a_noisy_one_given_labels() -> None:
    clean, noisy = build(config("mwnet", meta_noisy=False)), build(config("mwnet"))
    assert clean.data.truth is not None
    assert clean.meta is not None
    assert noisy.meta is not None
    batch = clean.meta[0]
    assert torch.equal(batch.y, clean.data.truth[batch.index])
    batch = noisy.meta[0]
    assert torch.equal(batch.y, noisy.data.labels[batch.index])
    assert not torch.equal(batch.y, noisy.data.truth[batch.index])


@methods
def test_label_quality_is_a_score_that_is_low_for_planted_errors(method: str) -> None:
    changes = {"method_options": {}, "epochs": 10, "batch_size": 100, "weight_net_lr": 0.1}
    experiment = build(config(method, **changes))
    drive(experiment)
    scored = experiment.score(experiment.data.parts.train)
    assert experiment.data.truth is not None
    wrong = scored.given != experiment.data.truth[experiment.data.parts.train].numpy()
    assert scored.quality[wrong].mean() < scored.quality[~wrong].mean()
    assert experiment.metrics(scored)["detection_auc"]["own"] > 0.7
    for ids in (
        experiment.data.parts.train,
        experiment.data.parts.test,
    ):  # also samples never trained on
        scored = experiment.score(ids)
        assert scored.quality.shape == scored.weight.shape == ids.shape
        assert 0 <= scored.quality.min() < scored.quality.max() <= 1
        assert scored.weight.min() >= 0


@methods
def test_noise_seed_does_not_change_the_initial_weights(method: str) -> None:
    one, two = build(config(method, noise_seed=1)), build(config(method, noise_seed=2))
    assert same(parameters(one), parameters(two))
    assert not torch.equal(one.data.labels, two.data.labels)


@pytest.mark.parametrize("name", METHODS)
def test_batch_norm_statistics_move_once_a_step(name: str) -> None:
    small = {"model": "resnet32", "model_options": {"depth": 8, "width": 4}, "batch_size": 20}
    told = {"noise_rate_estimate": 0.3} if METHODS[name].needs_noise_rate else {}
    experiment = build(config(name, meta_batch_size=20, **small, **told))
    method, context = experiment.method, Context(experiment.train, experiment.meta)
    for phase in method.phases:
        method.epoch = method.start_of(phase.name)
        method.begin_epoch(context)
    meta = None if experiment.meta is None else experiment.meta[0]
    method.train().step(experiment.train[0], meta)
    counters = [b for n, b in method.named_buffers() if n.endswith("num_batches_tracked")]
    assert {int(count) for count in counters} <= {0, 1}
    assert any(counters)


@methods
def test_a_saved_model_predicts_as_the_method_did(method: str, tmp_path: Path) -> None:
    experiment = build(config(method))
    drive(experiment)
    data = experiment.data
    ids = data.parts.test[:50]
    of_experiment(experiment).save(tmp_path)
    predicted = load_model(tmp_path).predict_proba(data.source.x[ids].numpy())
    wanted = predict(experiment.method.network, data.pixels, ids).softmax(-1)
    torch.testing.assert_close(torch.from_numpy(predicted), wanted.cpu(), rtol=0, atol=1e-6)
