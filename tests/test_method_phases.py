"""What happens at the start of a second phase, and in it."""

import copy

import pytest
import torch
from experiments import config, drive, parameters, same
from torch import Tensor

from mwnet.builders.experiment import Experiment, build
from mwnet.data import Batch
from mwnet.losses import cross_entropy
from mwnet.methods import Context
from mwnet.methods.base import predict
from mwnet.noise import anchor_points

SECOND = {"forward-correction": "corrected", "glc": "corrected", "s-model": "noise layer"}


def trained(name: str, **options: float) -> Experiment:
    """To the end of the first phase."""
    experiment = build(config(name, lr=0.2, epochs=6, method_options=options))
    drive(experiment, 0, experiment.method.phases[0].epochs * len(experiment.train))
    return experiment


def begin_second(experiment: Experiment) -> None:
    method = experiment.method
    method.epoch = method.phases[0].epochs
    method.begin_epoch(Context(experiment.train, experiment.meta))


def probabilities(experiment: Experiment, ids: Tensor) -> Tensor:
    return predict(experiment.method, experiment.data.pixels, ids).softmax(-1)


@pytest.mark.parametrize("name", ["forward-correction", "glc"])
def test_the_corrected_network_starts_from_the_initial_weights(name: str) -> None:
    initial = list(build(config(name)).method.learner.parameters())
    experiment = trained(name)
    assert not same(experiment.method.learner.parameters(), initial)
    begin_second(experiment)
    assert experiment.method.phase == "corrected"
    assert same(experiment.method.learner.parameters(), initial)
    assert experiment.method.learner.steps == 0  # optimizer and schedule are new, too


def test_the_noise_layer_starts_on_the_trained_network_with_a_new_schedule() -> None:
    experiment = trained("s-model")
    before = [p.clone() for p in experiment.method.learner.parameters()]
    begin_second(experiment)
    assert same(experiment.method.learner.parameters(), before)
    assert experiment.method.learner.steps == 0


def test_forward_correction_estimates_its_matrix_at_anchor_points() -> None:
    experiment = trained("forward-correction")
    wanted = anchor_points(probabilities(experiment, experiment.data.parts.train))
    begin_second(experiment)
    torch.testing.assert_close(experiment.method.matrix.double(), wanted, atol=1e-6, rtol=0)


def test_glc_measures_its_matrix_on_the_true_labels_of_the_meta_set() -> None:
    experiment = trained("glc")
    ids = experiment.data.parts.meta
    p = probabilities(experiment, ids)
    assert experiment.data.truth is not None
    wanted = torch.stack([p[experiment.data.truth[ids] == label].mean(0) for label in range(10)])
    begin_second(experiment)
    torch.testing.assert_close(experiment.method.matrix, wanted)


def test_s_model_starts_its_layer_at_the_confusion_of_predicted_and_given_classes() -> None:
    experiment = trained("s-model", share=1.0)  # so long that it predicts every class
    ids = experiment.data.parts.train
    predicted = probabilities(experiment, ids).argmax(1)
    rows = [
        experiment.data.labels[ids[predicted == label]].bincount(minlength=10)
        for label in range(10)
    ]
    counts = torch.stack(rows).double()
    assert (counts.sum(1) > 0).all()
    begin_second(experiment)
    layer = experiment.method.layer.theta.softmax(-1).double()
    torch.testing.assert_close(layer, counts / counts.sum(1, keepdim=True), atol=1e-6, rtol=0)


@pytest.mark.parametrize("name", sorted(SECOND))
def test_a_class_without_samples_keeps_the_row_of_the_identity(name: str) -> None:
    """Class 3 is never predicted, and among the gold samples there is none of it."""
    experiment = build(config(name))
    network = experiment.method.learner.network
    last = [layer for layer in network.modules() if isinstance(layer, torch.nn.Linear)][-1]
    last.bias.data[3] = -torch.inf
    if name == "glc":
        assert experiment.meta is not None
        gold = experiment.meta.labels
        gold[gold == 3] = 4
    begin_second(experiment)
    method = experiment.method
    matrix = method.layer.theta.softmax(-1) if name == "s-model" else method.matrix
    torch.testing.assert_close(matrix[3], torch.eye(10)[3], atol=1e-6, rtol=0)
    torch.testing.assert_close(matrix.sum(1), torch.ones(10))


def test_glc_with_the_identity_is_cross_entropy_on_silver_and_gold_together() -> None:
    experiment, erm = trained("glc"), build(config("erm", lr=0.2, epochs=6))
    begin_second(experiment)
    experiment.method.matrix.copy_(torch.eye(10))
    assert experiment.meta is not None
    gold = round(300 * len(experiment.data.parts.meta) / len(experiment.data.parts.train))
    for step in range(4):
        silver, meta = experiment.train[step], experiment.meta[step]
        experiment.method.step(silver, meta)
        x, y = torch.cat([silver.x, meta.x[:gold]]), torch.cat([silver.y, meta.y[:gold]])
        erm.method.step(Batch(torch.arange(len(y)), x, y), None)
    for got, wanted in zip(parameters(experiment), parameters(erm), strict=True):
        torch.testing.assert_close(got, wanted, rtol=1e-4, atol=1e-6)


def test_glc_with_another_matrix_corrects_silver_but_not_gold() -> None:
    experiment = trained("glc")
    begin_second(experiment)
    matrix, (silver, meta) = experiment.method.matrix, (experiment.train[0], experiment.meta[0])
    gold = round(300 * len(experiment.data.parts.meta) / len(experiment.data.parts.train))
    p = experiment.method.logits(torch.cat([silver.x, meta.x[:gold]])).double().softmax(-1)
    given = (p[:300] @ matrix.double()).gather(1, silver.y[:, None])
    trusted = p[300:].gather(1, meta.y[:gold, None])
    wanted = -torch.cat([given, trusted]).log().mean()
    got = experiment.method.step(silver, meta)["train_loss"]
    torch.testing.assert_close(got.double(), wanted, rtol=1e-5, atol=0)


def test_fine_tuning_sees_the_clean_meta_samples_only_at_a_low_constant_rate() -> None:
    one, two = trained("fine-tuning"), trained("fine-tuning")
    settings = config("fine-tuning", lr=0.2, epochs=6, method_options={"lr_factor": 0.25})
    slow = build(settings)
    slow.method.load_state_dict(copy.deepcopy(two.method.state_dict()))
    for each in (one, two, slow):
        begin_second(each)
        assert each.meta is not None
    start = parameters(one)
    for step in range(24, 28):
        clean = one.meta[step]
        losses = cross_entropy(one.method.logits(clean.x), clean.y)
        report = one.method.step(one.train[step], clean)
        torch.testing.assert_close(report["train_loss"], losses.mean().detach())
        blank = Batch(torch.arange(300), torch.zeros(300, 1, 8, 8), torch.zeros(300).long())
        two.method.step(blank, clean)
        slow.method.step(blank, clean)
        assert [group["lr"] for group in slow.method.learner.optimizer.param_groups] == [0.05]
    assert same(parameters(one), parameters(two))
    assert not same(parameters(one), start)
    assert not same(parameters(two), parameters(slow))
