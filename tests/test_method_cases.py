"""Limits of methods that must equal plain training, or each other."""

import copy
from typing import Any

import pytest
import torch
from experiments import config, drive, parameters, same
from problems import assert_equal, batch, method

from mwnet.builders.experiment import build


def train(*methods: Any, steps: int = 6) -> None:
    """The same steps for all, each on another batch and meta batch."""
    for seed in range(steps):
        for each in methods:
            each.step(batch(seed=seed), batch(seed=100 + seed))


@pytest.mark.parametrize(
    ("name", "hyper"),
    [
        ("reed-hard", {"beta": 1.0}),
        ("reed-soft", {"beta": 1.0}),
        ("focal", {"gamma": 0.0}),
        ("elr", {"weight": 0.0}),
        ("co-teaching", {}),  # the noise rate is 0 here
        ("jocor", {"weight": 0.0}),
        ("mentornet", {"burn_in": 1.0, "self_paced": 1.0}),
        ("self-paced", {"warmup": 1}),
        ("d2l", {}),  # before the turning point
        ("fine-tuning", {}),  # and the first phases
        ("s-model", {}),
        ("forward-correction", {}),
        ("glc", {}),
    ],
)
def test_limits_are_plain_training(name: str, hyper: dict[str, Any]) -> None:
    limit, erm = method(name, hyper), method("erm")
    train(limit, erm)
    assert_equal(limit.learner.network, erm.learner.network)


@pytest.mark.parametrize(("name", "hyper"), [("co-teaching", {}), ("jocor", {"weight": 0.0})])
def test_without_noise_the_second_network_is_trained_plainly_too(
    name: str, hyper: dict[str, Any]
) -> None:
    limit, erm = method(name, hyper), method("erm")
    erm.learner.network.load_state_dict(limit.peer.network.state_dict())
    train(limit, erm)
    assert_equal(limit.peer.network, erm.learner.network)


def test_self_paced_learning_with_an_infinite_threshold_takes_every_sample() -> None:
    limit, erm = method("self-paced", {"warmup": 0}), method("erm")
    limit.threshold.fill_(torch.inf)
    train(limit, erm)
    assert limit.threshold.isinf()
    assert_equal(limit.learner.network, erm.learner.network)


@pytest.mark.parametrize(
    ("name", "phase", "hyper"),
    [
        ("forward-correction", "corrected", {}),  # its matrix is the identity before an estimate
        ("s-model", "noise layer", {"layer_lr": 0.0}),  # and so is its layer, but for rounding
    ],
)
def test_correction_by_the_identity_is_plain_training(
    name: str, phase: str, hyper: dict[str, Any]
) -> None:
    limit, erm = method(name, hyper), method("erm")
    limit.epoch = limit.start_of(phase)
    train(limit, erm)
    assert_equal(limit.learner.network, erm.learner.network, rtol=1e-5)  # float32 within


def test_mentornet_dd_burns_in_with_plain_training_if_it_drops_nothing() -> None:
    options = {"burn_in": 1.0, "dropped": "0,0"}
    mentored, erm = build(config("mentornet-dd", method_options=options)), build(config("erm"))
    drive(mentored, 0, 6)
    for step in range(6):
        erm.method.step(mentored.train[step], None)
    assert_equal(mentored.method.learner.network, erm.method.learner.network, rtol=1e-5)


@pytest.mark.parametrize("normalisation", ["sum", "mean"])
def test_constant_weights_are_plain_training(normalisation: str) -> None:
    """With a weight net fixed at one, MW-Net takes the very steps of erm."""
    erm = build(config("erm"))
    weighted = build(config("mwnet", normalisation=normalisation, weight_net_lr=0.0))
    torch.nn.init.zeros_(weighted.method.weight_net.out.weight)
    torch.nn.init.constant_(weighted.method.weight_net.out.bias, 40.0)  # sigmoid(40) rounds to 1
    drive(erm)
    drive(weighted)
    assert_equal(weighted.method.learner.network, erm.method.learner.network, rtol=1e-4)


def test_cmw_net_with_one_group_is_mw_net_bit_for_bit() -> None:
    mwnet = build(config("mwnet"))
    one_group = build(config("cmw-net", method_options={"clusters": 1}))
    three_groups = build(config("cmw-net", method_options={"clusters": 3, "ratio": 1.0}))
    for each in (mwnet, one_group, three_groups):
        drive(each)
    assert same(parameters(one_group), parameters(mwnet))
    learners = [each.method.mwnet.learner.network for each in (one_group, three_groups)]
    assert not same(*(list(learner.parameters()) for learner in learners))


def test_meta_interval_updates_the_weight_net_every_kth_step_also_after_a_resume() -> None:
    settings = config("mwnet", meta_interval=3)
    experiment = build(settings)
    moved = []
    for step in range(7):
        if step == 5:
            state = copy.deepcopy(experiment.method.state_dict())
            experiment = build(settings)
            experiment.method.load_state_dict(state)
        before = [p.detach().clone() for p in experiment.method.weight_net.parameters()]
        drive(experiment, step, step + 1)
        moved.append(not same(before, experiment.method.weight_net.parameters()))
    assert moved == [True, False, False, True, False, False, True]
