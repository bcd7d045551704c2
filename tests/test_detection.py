"""Whether learnt weights still mean something, and how well wrong labels are found."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from experiments import config

from mwnet import detection
from mwnet.builders.experiment import build
from mwnet.methods import METHODS


def test_own_score_and_weight_are_what_the_method_says() -> None:
    """Of Meta-Weight-Net: the output of its weight net for the sample's loss."""
    experiment = build(config("mwnet"))
    result = experiment.score(experiment.data.parts.train)
    with torch.no_grad():
        weight = experiment.method.weight_net(torch.tensor(result.loss)).numpy()
    np.testing.assert_allclose(result.own, weight, rtol=1e-5)
    np.testing.assert_allclose(result.weight, weight, rtol=1e-5)
    assert abs(result.own - result.probability).min() > 0.1


def scored(weight: list[float], loss: list[float]) -> detection.Scored:
    experiment = build(config("erm"))
    template = experiment.score(experiment.data.parts.train[: len(weight)])
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


def test_only_a_weight_net_can_have_learnt_the_wrong_sign() -> None:
    rising = scored([0.1, 0.5, 0.9], [0.1, 1.0, 5.0])
    assert detection.weight_health(rising, learnt=False)["collapse"] is None
    assert [METHODS[name].learns_weights for name in ("mwnet", "cmw-net", "l2rw")] == [1, 1, 0]


def test_effective_share() -> None:
    assert detection.weight_health(scored([1.0, 1.0, 0.0, 0.0], [1.0, 2, 3, 4]))[
        "effective_share"
    ] == pytest.approx(0.5)


def test_auc_is_scikit_learns_with_ties_and_none_where_it_has_no_meaning() -> None:
    experiment = build(config("erm"))
    few = experiment.score(experiment.data.parts.train[:4])
    few = replace(few, own=torch.tensor([0.5, 0.5, 0.1, 0.9]).numpy())
    truth = few.given.copy()
    assert detection.detection_auc(few, truth)["own"] is None
    truth[[0, 2]] = (truth[[0, 2]] + 1) % 10
    assert detection.detection_auc(few, truth)["own"] == pytest.approx(0.875)
    assert detection.precision_at_noise_rate(few.given != truth, few.own) == 1.0


def test_predictions_of_all_samples_are_made_once() -> None:
    """Whoever writes a line for each sample asks for them that many times."""
    entry = scored([0.5, 0.5], [1.0, 2.0])
    assert entry.predicted is entry.predicted
    assert entry.is_issue is entry.is_issue
