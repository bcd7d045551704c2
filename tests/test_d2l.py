"""Dimensionality-driven learning: the estimator, and when it turns back."""

import copy
import math

import pytest
import torch
from experiments import config, same
from torch import nn

from mwnet.builders.experiment import Experiment, build
from mwnet.core.errors import UserError
from mwnet.data import Batches, Pixels
from mwnet.methods import Context, d2l
from mwnet.methods.d2l import dimensionality, penultimate


@pytest.mark.parametrize("dimension", [2, 5])
def test_the_dimensionality_of_a_cube_in_more_dimensions(dimension: int) -> None:
    rng = torch.Generator().manual_seed(dimension)
    cube = torch.rand(1280, dimension, generator=rng, dtype=torch.float64)
    rotation = torch.linalg.qr(torch.randn(20, 20, generator=rng, dtype=torch.float64)).Q
    points = cube @ rotation[:dimension]
    # 0.02 is a standard error of the mean; points at the border of a cube count less.
    assert 0.85 * dimension < dimensionality(points) < 1.1 * dimension
    assert dimensionality(points) == pytest.approx(dimensionality(7 * points + 1), rel=1e-6)


def test_dimensionality_by_hand() -> None:
    """On a line at 0, 1, 3: the distances to two neighbours are (1, 3), (1, 2) and (2, 3)."""
    points = torch.tensor([[0.0], [1.0], [3.0]])
    logs = [math.log(1 / 3) / 2, math.log(1 / 2) / 2, math.log(2 / 3) / 2]
    wanted = sum(-1 / log for log in logs) / 3
    assert dimensionality(points, neighbours=2) == pytest.approx(wanted)
    assert dimensionality(points, neighbours=20) == pytest.approx(wanted)  # as many as there are


def test_samples_that_coincide_have_no_dimension() -> None:
    apart = torch.tensor([[0.0], [1.0], [3.0]])
    assert dimensionality(torch.zeros(5, 3)) == 0
    together = torch.cat([apart, torch.full((3, 1), 50.0)])
    assert dimensionality(together, neighbours=2) == pytest.approx(dimensionality(apart, 2))


def test_copies_of_a_sample_are_left_out_among_many_samples_too() -> None:
    rng = torch.Generator().manual_seed(0)
    assert dimensionality(torch.randn(50, 16, generator=rng).repeat(10, 1)) == 0


def test_penultimate_features_enter_the_last_linear_layer() -> None:
    torch.manual_seed(0)
    x = torch.rand(30, 1, 2, 2)
    samples = Batches(
        Pixels(x, torch.zeros(1, 1, 1), torch.ones(1, 1, 1)),
        torch.zeros(30).long(),
        torch.arange(30),
        10,
        0,
        "train",
    )
    body = nn.Sequential(nn.Flatten(), nn.Linear(4, 6), nn.Dropout(0.5), nn.Tanh())
    network = nn.Sequential(body, nn.Linear(6, 3)).train()
    seen = penultimate(network, samples, torch.Generator().manual_seed(0))
    wanted = body.eval()(x).detach()
    # All samples, in random order, in eval mode; the network is left in the mode it was in.
    assert seen.shape == (30, 6)
    torch.testing.assert_close(seen[seen[:, 0].argsort()], wanted[wanted[:, 0].argsort()])
    assert network.training
    assert not torch.equal(penultimate(network, samples, torch.Generator().manual_seed(1)), seen)
    with pytest.raises(UserError, match="linear layer"):
        penultimate(nn.Flatten(), samples, torch.Generator())


# --- the turning point; 3 of 12 epochs are warm-up, the window is 3

FALLING = [9.0, 8.0, 7.0, 6.5, 5.0, 4.0, 3.0]  # after epochs 1 to 7; mean of the last three 4
BELOW, ABOVE = 5.5, 6.1  # two standard deviations, of 3 or of 2 degrees of freedom: 5.63 or 6


def planted(
    lids: list[float],
    monkeypatch: pytest.MonkeyPatch,
    resume_in: int | None = None,
    **changes: float,
) -> tuple[Experiment, list[list[torch.Tensor]]]:
    """A run with these LIDs, and the network's parameters at the end of each epoch."""
    options = {"warmup": 0.25, "window": 3, **changes}
    settings = config("d2l", epochs=12, method_options=options)
    experiment = build(settings)
    rest = iter(lids)
    monkeypatch.setattr(d2l, "dimensionality", lambda features: next(rest))
    ends = []
    for epoch in range(len(lids) + 1):
        if epoch == resume_in:
            state = copy.deepcopy(experiment.method.state_dict())
            experiment = build(settings)
            experiment.method.load_state_dict(state)
        method = experiment.method
        method.epoch = epoch
        method.begin_epoch(Context(experiment.train, None))
        if epoch < len(lids):
            method.step(experiment.train[epoch], None)
            ends.append([p.detach().clone() for p in method.parameters()])
    return experiment, ends


def alpha(experiment: Experiment) -> float:
    return float(experiment.method.step(experiment.train[0], None)["alpha"])


def test_it_turns_when_the_lid_rises_above_its_window(monkeypatch: pytest.MonkeyPatch) -> None:
    for lid, turned in ((BELOW, False), (ABOVE, True)):
        experiment, ends = planted([*FALLING, lid], monkeypatch)
        now = list(experiment.method.parameters())
        assert same(now, ends[-2]) == turned  # where it was an epoch earlier
        assert same(now, ends[-1]) == (not turned)
        assert (alpha(experiment) < 1) == turned


@pytest.mark.parametrize(
    "lids",
    [
        [9.0, 8.0, 7.0, 20.0],  # in the warm-up and the window after it
        [9.0, 8.0, 20.0, 9.0, 20.0],
        [*FALLING, 2.0, 1.0],
    ],
)
def test_it_does_not_turn_early_or_while_the_lid_falls(
    lids: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment, ends = planted(lids, monkeypatch)
    assert same(experiment.method.parameters(), ends[-1])
    assert alpha(experiment) == 1


def test_it_does_not_turn_before_there_is_a_whole_window(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a warm-up, the LID after epoch 4 is the first that has three before it."""
    assert alpha(planted([4.0, 4.0, 5.0], monkeypatch, warmup=0.0)[0]) == 1
    assert alpha(planted([4.0, 4.0, 4.0, 5.0], monkeypatch, warmup=0.0)[0]) < 1


def test_it_turns_once_and_then_trusts_labels_less(monkeypatch: pytest.MonkeyPatch) -> None:
    experiment, ends = planted([*FALLING, ABOVE, 4.5, 20.0], monkeypatch)
    assert same(experiment.method.parameters(), ends[-1])
    # epoch 10 of 12, LID 20, the smallest 3
    assert alpha(experiment) == pytest.approx(math.exp(-10 / 12 * 20 / 3))


def test_the_network_to_go_back_to_survives_a_resume(monkeypatch: pytest.MonkeyPatch) -> None:
    lids = [*FALLING, ABOVE, 4.0]
    whole, _ = planted(lids, monkeypatch)
    assert alpha(whole) < 1
    for epoch in (7, 8, 9):  # 8 is that of the turning point
        resumed, _ = planted(lids, monkeypatch, resume_in=epoch)
        assert alpha(resumed) < 1
        assert same(resumed.method.parameters(), whole.method.parameters())


def test_warmup_and_window_decide_when(monkeypatch: pytest.MonkeyPatch) -> None:
    """A rise after epoch 8 is too early for a longer warm-up, and none in a longer window."""
    assert alpha(planted([*FALLING, ABOVE], monkeypatch)[0]) < 1
    assert alpha(planted([*FALLING, ABOVE], monkeypatch, warmup=0.75)[0]) == 1
    assert alpha(planted([*FALLING, ABOVE], monkeypatch, window=5)[0]) == 1
