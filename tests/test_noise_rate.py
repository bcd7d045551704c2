"""The noise rate that methods work with when nobody tells them."""

import math

import pytest
import torch
from experiments import config, drive

from mwnet import noise
from mwnet.builders.experiment import Experiment, build
from mwnet.config.flags import parse
from mwnet.config.schema import Config
from mwnet.methods import Context
from mwnet.methods.base import predict


def estimated(settings: Config) -> Experiment:
    """The experiment after the phase that estimates."""
    experiment = build(settings)
    method = experiment.method
    drive(experiment, 0, method.start_of("training") * len(experiment.train))
    method.epoch = method.start_of("training")
    method.begin_epoch(Context(experiment.train, None))
    return experiment


def realised(experiment: Experiment) -> float:
    ids = experiment.data.parts.train
    assert experiment.data.truth is not None
    return noise.realised_rate(experiment.data.labels[ids], experiment.data.truth[ids])


def test_the_estimate_of_the_usual_run_on_digits() -> None:
    noisy = estimated(parse(["--method", "co-teaching"])[0])
    assert realised(noisy) > 0.3
    assert noisy.method.noise_rate.value == pytest.approx(realised(noisy), abs=0.12)
    clean = estimated(parse(["--method", "co-teaching", "--noise", "none"])[0])
    assert realised(clean) == 0
    assert 0 <= clean.method.noise_rate.value < 0.1


def test_it_is_that_of_predictions_by_the_network_that_has_not_seen_the_sample() -> None:
    settings = config("jocor", epochs=10)
    before = build(settings)
    assert math.isnan(before.method.noise_rate.value)  # not known yet
    experiment = estimated(settings)
    rate, ids = experiment.method.noise_rate, experiment.data.parts.train
    first, second = (fold.ids for fold in rate.folds)
    assert abs(len(first) - len(second)) <= 1
    assert torch.equal(torch.cat([first, second]).sort().values, ids)
    before.method.epoch = before.method.start_of("training")
    unseen = []
    for learner, other in zip(rate.learners, (second, first), strict=True):
        before.method.learner.network.load_state_dict(learner.network.state_dict())
        unseen.append(predict(before.method, before.data.pixels, other).softmax(-1))
    labels = experiment.data.labels[torch.cat([second, first])]
    wanted = noise.estimated_rate(torch.cat(unseen), labels)
    assert rate.value == pytest.approx(wanted, abs=1e-6)


def test_each_network_learns_from_its_half_of_the_samples() -> None:
    one, two = build(config("mentornet")), build(config("mentornet"))
    second = two.method.noise_rate.folds[1].ids
    two.train.labels[second] = (two.train.labels[second] + 1) % 10
    for experiment in (one, two):
        drive(experiment, 0, len(experiment.train))
    folds = zip(one.method.noise_rate.learners, two.method.noise_rate.learners, strict=True)
    same = [all(map(torch.equal, a.parameters(), b.parameters())) for a, b in folds]
    assert same == [True, False]


def test_a_rate_that_is_told_needs_no_phase_and_no_network() -> None:
    experiment = build(config("co-teaching", noise_rate_estimate=0.25))
    assert [phase.name for phase in experiment.method.phases] == ["training"]
    drive(experiment)
    assert experiment.method.noise_rate.value == 0.25
    assert list(experiment.method.noise_rate.parameters()) == []


def test_it_is_estimated_with_single_samples_in_a_batch_too() -> None:
    experiment = build(config("co-teaching", batch_size=1, epochs=1))
    drive(experiment, 0, 7)
    assert [learner.steps for learner in experiment.method.noise_rate.learners] == [4, 3]
