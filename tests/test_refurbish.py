"""Refurbished targets: what they are made of, and that each ingredient does what it says."""

from typing import Any

import pytest
import torch
from experiments import config, drive
from torch import nn
from torch.nn import functional as F

from mwnet.builders.experiment import Experiment, build
from mwnet.core.seeding import generator
from mwnet.data.batches import Pixels
from mwnet.data.views import strong_view, with_holes
from mwnet.methods.averaged import Averaged
from mwnet.methods.judges import of_neighbours
from mwnet.methods.refurbish import Refurbish, mixed


def judged(**options: Any) -> tuple[Experiment, Refurbish]:
    """An experiment after both rounds of cross-fitting."""
    few = {"train_size": 300, "batch_size": 50, "epochs": 4}
    experiment = build(config("refurbish", method_options=options, **few))
    method = experiment.method
    assert isinstance(method, Refurbish)
    drive(experiment, 0, method.start_of(Refurbish.TRAINING) * len(experiment.train))
    return experiment, method


def go_on(experiment: Experiment, steps: int) -> None:
    start = experiment.method.start_of(Refurbish.TRAINING) * len(experiment.train)
    drive(experiment, start, start + steps)


def test_targets_are_the_formula() -> None:
    experiment, method = judged(vote=0.25, memory=0.5, mixup=0.0, average=0.0)
    go_on(experiment, 1)
    ids = experiment.data.parts.train[:20]
    labels = experiment.data.labels[ids]
    w, given = method.trust[ids, None], F.one_hot(labels, 10).float()
    assert w.min() > 0
    assert w.max() < 1
    assert w.std() > 0.01
    m = 0.75 * method.predicted[ids] + 0.25 * method.voted[ids]
    targets = method._targets(ids, labels)
    torch.testing.assert_close(targets, w * given + (1 - w) * m)
    torch.testing.assert_close(targets.sum(1), torch.ones(20))


def test_memory_is_a_moving_average_of_predictions_that_begins_out_of_fold() -> None:
    experiment, method = judged(memory=0.75, vote=0.0, average=0.0, mixup=0.0)
    said = method.cross.said.softmax(1)
    start = method.start_of(Refurbish.TRAINING) * len(experiment.train)
    go_on(experiment, 1)
    batch = experiment.train[start]
    p = method.averaged.predict(batch.x).softmax(1)
    wanted = 0.75 * said[batch.index] + 0.25 * p
    torch.testing.assert_close(method.predicted[batch.index], wanted)
    rest = torch.ones(len(said), dtype=torch.bool)
    rest[batch.index] = False
    rest &= said.max(1).values > 0.2  # samples that cross-fitting has judged
    torch.testing.assert_close(method.predicted[rest], said[rest])


def test_wrong_labels_are_mended() -> None:
    experiment, method = judged()
    go_on(experiment, 4 * len(experiment.train))
    ids, truth = experiment.data.parts.train, experiment.data.truth
    assert truth is not None
    labels = experiment.data.labels[ids]
    mended = (method._targets(ids, labels).argmax(1) == truth[ids]).float().mean()
    assert mended > (labels == truth[ids]).float().mean() + 0.1


def test_without_memory_and_vote_predictions_stay_what_was_said_out_of_fold() -> None:
    experiment, method = judged(memory=1.0, vote=0.0)
    said = method.cross.said.softmax(1)
    go_on(experiment, 3)
    ids = experiment.data.parts.train
    torch.testing.assert_close(method.predicted[ids], said[ids])
    assert not method.voted.any()


def test_trust_mixes_the_learnt_weight_and_the_margin() -> None:
    found = {}
    for share in (0.0, 0.5, 1.0):
        experiment, method = judged(trust=share)
        go_on(experiment, 1)
        found[share] = method.trust[experiment.data.parts.train]
    torch.testing.assert_close(found[0.5], (found[0.0] + found[1.0]) / 2)
    assert not torch.allclose(found[0.0], found[1.0], atol=1e-3)


def test_a_fallen_back_cross_fitting_lends_its_margin() -> None:
    experiment, method = judged(trust=1.0)
    method.cross.fell_back = True
    go_on(experiment, 1)
    ids = experiment.data.parts.train
    said = method.cross.said[ids].log_softmax(1)
    own = said.gather(1, experiment.data.labels[ids, None]).squeeze(1)
    best = said.scatter(1, experiment.data.labels[ids, None], -torch.inf).max(1).values
    wanted = torch.sigmoid((own - best).clamp(-30, 30))
    torch.testing.assert_close(method.trust[ids], wanted)


def test_mixup_keeps_the_larger_share_and_repeats_itself() -> None:
    x, targets = torch.eye(6), torch.eye(6)
    for moment in range(5):
        first, also = mixed(x, targets, 1.0, 0, moment)
        assert torch.equal(first, mixed(x, targets, 1.0, 0, moment)[0])
        torch.testing.assert_close(first, also)
        assert (first.diagonal() >= 0.5).all()
        torch.testing.assert_close(first.sum(1), torch.ones(6))
    assert not torch.equal(mixed(x, targets, 1.0, 0, 0)[0], mixed(x, targets, 1.0, 0, 1)[0])


def test_neighbours_vote_with_what_they_hold() -> None:
    x = torch.eye(2).repeat_interleave(60, 0)
    vote = torch.tensor([[0.9, 0.1]] * 60 + [[0.2, 0.8]] * 60)
    found = of_neighbours(x, vote)
    torch.testing.assert_close(found[0], torch.tensor([45.5, 5.5]) / 51)
    torch.testing.assert_close(found[-1], torch.tensor([10.5, 40.5]) / 51)


def test_the_average_follows() -> None:
    norm = nn.BatchNorm1d(2)
    network = nn.Sequential(nn.Linear(2, 2), norm)
    averaged = Averaged(network, 0.9)

    def weight(of: nn.Module) -> torch.Tensor:
        return of.state_dict()["0.weight"]

    before = weight(averaged.network).clone()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter += 1
    assert norm.running_mean is not None
    norm.running_mean += 3
    averaged.follow(network, 0)  # keeps 1 / 10
    torch.testing.assert_close(weight(averaged.network), before + 0.9)
    assert averaged.network.state_dict()["1.running_mean"].equal(norm.running_mean)
    averaged.follow(network, 10**6)  # keeps 9 / 10
    torch.testing.assert_close(weight(averaged.network), before + 0.91)
    copied = Averaged(network, 0.0)
    copied.follow(network, 5)
    assert weight(copied.network).equal(weight(network))


@pytest.mark.parametrize("channels", [1, 3])
def test_a_strong_view_changes_images_and_repeats_itself(channels: int) -> None:
    x = torch.randint(0, 256, (40, channels, 16, 16), dtype=torch.uint8)
    pixels = Pixels.of(x, torch.arange(40), torch.device("cpu"))
    seen = pixels.take(torch.arange(40))
    before = torch.get_rng_state()
    one, again, other = (strong_view(seen, pixels, 0, moment) for moment in (1, 1, 2))
    assert torch.equal(before, torch.get_rng_state())
    assert torch.equal(one, again)
    assert one.shape == seen.shape
    changed = (one != seen).flatten(1).any(1)
    assert changed.all()
    assert not torch.equal(one, other)


def test_holes_are_squares_within_each_image() -> None:
    holed = with_holes(torch.ones(50, 1, 16, 16), generator(0, "test"))[:, 0]
    area = (holed == 0).flatten(1).sum(1)
    assert area.max() <= 8 * 8
    assert area.min() >= 4 * 4
    assert len(area.unique()) > 1


def test_features_have_no_second_view() -> None:
    experiment, method = judged()
    assert method.strong == 1.0  # digits are images
    source = experiment.data.source
    flat = source.__class__(
        "arrays",
        source.x.flatten(1)[:400, :, None, None],
        source.labels[:400],
        None,
        source.classes,
    )
    values = config("refurbish", noise="none", noise_rate=0.0, batch_size=50)
    other = build(values, flat).method
    assert isinstance(other, Refurbish)
    assert other.strong == 0.0


def test_a_network_without_a_linear_layer_needs_no_vote() -> None:
    class Plain(nn.Module):
        def __init__(self, num_classes: int, in_channels: int, image_size: tuple) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(num_classes, 64))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.flatten(1) @ self.weight.T

    with pytest.raises(ValueError, match=r"a linear layer: `vote=0`"):
        build(config("refurbish", model_options={}), network=Plain)
    assert build(config("refurbish", model_options={}, method_options={"vote": 0.0}), network=Plain)
