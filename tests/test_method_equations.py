"""The equations of methods that choose or weight samples by their loss, against hand numbers."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from problems import assert_equal, batch, method, stepped
from torch import Tensor, nn

from mwnet.losses import cross_entropy
from mwnet.methods.co_teaching import selected, smallest
from mwnet.methods.self_paced import moved

DATA = batch(seed=4)  # one where the two networks of the tests below disagree


def logits_of(losses: list[float], labels: Tensor) -> Tensor:
    """``(n, 3)`` logits whose cross-entropy against the labels is as given."""
    p = torch.tensor(losses, dtype=torch.float64).neg().exp()
    rows = ((1 - p) / 2)[:, None].repeat(1, 3)
    return rows.scatter(1, labels[:, None], p[:, None]).log()


# --- samples by their loss


def test_moved_is_a_running_mean_of_a_percentile() -> None:
    losses = torch.tensor([4.0, 1.0, 5.0, 2.0, 3.0])
    none, two = torch.tensor(torch.nan), torch.tensor(2.0)
    assert float(moved(none, losses, 0.5, 0.9)) == 3.0
    assert float(moved(two, losses, 0.5, 0.5)) == 2.5
    assert float(moved(two, losses, 0.75, 0.9)) == pytest.approx(2.2)
    assert float(moved(two, losses, 1.0, 0.0)) == 5.0


def test_smallest_and_selected_keep_the_share_of_smallest_losses() -> None:
    losses = torch.tensor([0.5, 3.0, 0.1, 2.0, 0.5])
    assert smallest(losses, 0.0).tolist() == [2, 0, 4, 3, 1]
    assert smallest(losses, 0.4).tolist() == [2, 0, 4]
    assert smallest(losses, 0.6).tolist() == [2, 0]  # the first of two equal ones
    assert smallest(losses, 0.99).tolist() == [2]  # at least one
    assert selected(losses, 0.4).tolist() == [1, 0, 1, 0, 1]
    assert selected(losses, 0.99).tolist() == [0, 0, 1, 0, 0]


def test_self_paced_learning_steps_on_the_samples_up_to_its_threshold() -> None:
    task = method("self-paced", {"warmup": 1, "percentile": 0.5, "decay": 0.75})
    losses = cross_entropy(task.learner(DATA.x), DATA.y).detach()
    task.epoch = 1
    task.threshold.fill_(float(losses.max()))
    threshold = 0.75 * losses.max() + 0.25 * losses.median().lerp(losses.sort().values[4], 0.5)
    chosen = (losses <= threshold).double()
    assert 0 < chosen.sum() < 8

    def objective(network: nn.Module) -> Tensor:
        return (chosen * cross_entropy(network(DATA.x), DATA.y)).sum() / 8

    wanted = stepped(task.learner.network, objective)
    logits = task.learner(DATA.x)
    task.step(DATA)
    assert_equal(task.learner.network, wanted)
    assert torch.equal(task.label_quality(logits, DATA.y, DATA.index)["weight"], chosen)


# epochs 0 and 1 burn in, 2 to 5 are self-paced, from 6 on the weights fall linearly
@pytest.mark.parametrize(
    ("epoch", "weights"),
    [
        (0, [1, 1, 1, 1]),
        (1, [1, 1, 1, 1]),
        (2, [1, 0, 0, 0]),
        (5, [1, 0, 0, 0]),
        (6, [1, 0.5, 0.25, 0]),
        (9, [1, 0.5, 0.25, 0]),
    ],
)
@pytest.mark.parametrize("rate", [0.4, None])
def test_mentornet_weights_in_its_three_parts(
    epoch: int, weights: list[float], rate: float | None
) -> None:
    """The parts are those of the training, whether or not a phase of its own estimates the rate."""
    hyper = {"burn_in": 0.2, "self_paced": 0.6, "gamma": 0.5}
    task = method("mentornet", hyper, noise_rate=rate)
    task.threshold.fill_(1.0)
    task.epoch = task.start_of("training") + epoch
    labels = torch.tensor([0, 1, 2, 0])
    logits = logits_of([0.5, 1.25, 1.375, 2.0], labels)
    quality = task.label_quality(logits, labels, torch.arange(4))
    wanted = torch.tensor(weights, dtype=torch.float64)
    torch.testing.assert_close(quality["weight"], wanted)


# The fifth of 8 losses is their 4/7 percentile; more than half of the samples are never wrong.
@pytest.mark.parametrize(("rate", "places"), [(3 / 7, [4]), (0.5, [3, 4]), (0.8, [3, 4])])
def test_mentornet_steps_on_the_mean_of_its_weighted_losses(rate: float, places: list[int]) -> None:
    task = method("mentornet", {"burn_in": 0.0, "self_paced": 0.0, "gamma": 0.5}, noise_rate=rate)
    losses = cross_entropy(task.learner(DATA.x), DATA.y).detach()
    threshold = losses.sort().values[places].mean()
    weights = (1 - (losses - threshold) / 0.5).clamp(0, 1)
    assert len(weights.unique()) > 2
    wanted = stepped(
        task.learner.network,
        lambda network: (weights * cross_entropy(network(DATA.x), DATA.y)).mean(),
    )
    task.step(DATA)
    assert_equal(task.learner.network, wanted, rtol=1e-6)  # the rate is a float32


# --- two networks: 8 samples, noise rate 1/2, so 1 is dropped at t = 1 of 4, and 4 from t = 4 on


def at_half_noise(name: str, hyper: dict[str, Any], epoch: int) -> Any:
    """In an epoch of the training, with a noise rate of one half that counts as estimated."""
    task = method(name, hyper, noise_rate=None)
    task.noise_rate.value = 0.5
    task.epoch = task.start_of("training") + epoch
    assert task.epoch > epoch
    return task


@pytest.mark.parametrize(("epoch", "kept"), [(0, 7), (1, 6), (3, 4), (9, 4)])
def test_each_of_two_networks_learns_what_the_other_finds_easy(epoch: int, kept: int) -> None:
    task = at_half_noise("co-teaching", {"ramp": 4}, epoch)
    networks = [task.learner.network, task.peer.network]
    picks = [cross_entropy(net(DATA.x), DATA.y).argsort()[:kept] for net in networks]
    assert set(picks[0].tolist()) != set(picks[1].tolist())
    wanted = [
        stepped(net, lambda net, ids=ids: cross_entropy(net(DATA.x[ids]), DATA.y[ids]).mean())
        for net, ids in zip(networks, reversed(picks), strict=True)
    ]
    task.step(DATA)
    for got, expected in zip(networks, wanted, strict=True):
        assert_equal(got, expected)


@pytest.mark.parametrize(("epoch", "kept"), [(0, 7), (3, 4)])
def test_jocor_takes_both_networks_along_one_joint_loss(epoch: int, kept: int) -> None:
    task = at_half_noise("jocor", {"weight": 0.25, "ramp": 4}, epoch)
    pair = nn.ModuleList([task.learner.network, task.peer.network])

    def objective(pair: Any) -> Tensor:
        one, two = (F.log_softmax(net(DATA.x), 1) for net in pair)
        supervised = F.nll_loss(one, DATA.y, reduction="none") + F.nll_loss(
            two, DATA.y, reduction="none"
        )
        kl = [
            F.kl_div(q, p, reduction="none", log_target=True).sum(1)
            for p, q in ((one, two), (two, one))
        ]
        joint = 0.75 * supervised + 0.25 * (kl[0] + kl[1])
        return joint.sort().values[:kept].mean()

    wanted = stepped(pair, objective)
    task.step(DATA)
    assert_equal(pair, wanted, rtol=1e-5)  # its KL is in float32
