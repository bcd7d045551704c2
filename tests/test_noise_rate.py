"""The noise rate that methods work with when nobody tells them."""

import math

import pytest
import torch
from experiments import config, drive

import noise
from mwnet.command_line import parse
from mwnet.config import Config
from mwnet.detection import predict
from mwnet.experiment import Experiment, build
from mwnet.methods import Context


def estimated(settings: Config) -> Experiment:
    """The experiment after the phase that estimates."""
    experiment = build(settings)
    method = experiment.method
    drive(experiment, 0, method.start_of("training") * len(experiment.train))
    method.epoch = method.start_of("training")
    method.begin_epoch(Context(experiment.train, None))
    return experiment


def realised(experiment: Experiment) -> float:
    ids = experiment.parts.train
    assert experiment.truth is not None
    return noise.realised_rate(experiment.labels[ids], experiment.truth[ids])


def test_the_estimate_of_the_usual_run_on_digits() -> None:
    noisy = estimated(parse(["--method", "co-teaching"])[0])
    assert realised(noisy) > 0.3
    assert float(noisy.method.noise_rate) == pytest.approx(realised(noisy), abs=0.12)
    clean = estimated(parse(["--method", "co-teaching", "--noise", "none"])[0])
    assert realised(clean) == 0
    assert 0 <= float(clean.method.noise_rate) < 0.1


def test_it_is_that_of_predictions_by_the_network_that_has_not_seen_the_sample() -> None:
    settings = config("jocor", epochs=10)
    before = build(settings)
    assert math.isnan(float(before.method.noise_rate))  # not known yet
    experiment = estimated(settings)
    rate, ids = experiment.method.noise_rate, experiment.parts.train
    fold = rate.fold_of[ids]
    assert 0.4 < fold.double().mean() < 0.6
    by_fold = []
    for learner in rate.folds:
        before.method.learner.network.load_state_dict(learner.network.state_dict())
        before.method.epoch = before.method.start_of("training")
        by_fold.append(predict(before.method, before.pixels, ids).softmax(-1))
    unseen = torch.where((fold == 0)[:, None], by_fold[1], by_fold[0])
    wanted = noise.estimated_rate(unseen, experiment.labels[ids])
    assert float(rate) == pytest.approx(wanted, abs=1e-6)


def test_each_network_learns_from_its_half_of_the_samples() -> None:
    one, two = build(config("mentornet")), build(config("mentornet"))
    second = two.method.noise_rate.fold_of == 1
    two.train.labels[second] = (two.train.labels[second] + 1) % 10
    for experiment in (one, two):
        drive(experiment, 0, len(experiment.train))
    folds = zip(one.method.noise_rate.folds, two.method.noise_rate.folds, strict=True)
    same = [all(map(torch.equal, a.parameters(), b.parameters())) for a, b in folds]
    assert same == [True, False]


def test_a_rate_that_is_told_needs_no_phase_and_no_network() -> None:
    experiment = build(config("co-teaching", noise_rate_estimate=0.25))
    assert [phase.name for phase in experiment.method.phases] == ["training"]
    drive(experiment)
    assert float(experiment.method.noise_rate) == 0.25
    assert list(experiment.method.noise_rate.parameters()) == []
