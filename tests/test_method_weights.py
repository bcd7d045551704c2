"""Weights by gradients, by classes and by memory, against autograd and hand numbers."""

import itertools
import math

import pytest
import torch
from problems import assert_equal, batch, method, stepped, training, weighting
from torch import Tensor, nn
from torch.func import functional_call

from mwnet.data import Batch
from mwnet.losses import cross_entropy
from mwnet.methods.cmw_net import ClassAwareWeightNet, groups_by_size

DATA = batch(seed=4)


def explicit_weights(network: nn.Module, rate: float, data: Batch, meta: Batch) -> Tensor:
    """max(0, -dM(w'(epsilon))/d epsilon) at 0, by autograd through w'(epsilon)."""
    epsilon = torch.zeros(len(data.y), dtype=torch.float64, requires_grad=True)
    w = dict(network.named_parameters())
    weighted = epsilon @ cross_entropy(functional_call(network, w, (data.x,)), data.y)
    slopes = torch.autograd.grad(weighted, list(w.values()), create_graph=True)
    ahead = {name: p - rate * g for (name, p), g in zip(w.items(), slopes, strict=True)}
    meta_loss = cross_entropy(functional_call(network, ahead, (meta.x,)), meta.y).mean()
    return (-torch.autograd.grad(meta_loss, epsilon)[0]).clamp_min(0)


@pytest.mark.parametrize("engine", ["forward", "higher", "auto"])
def test_l2rw_weights_are_the_explicit_meta_gradient_at_zero(engine: str) -> None:
    task = method("l2rw", weighting=weighting(engine))
    meta = batch(seed=2)
    v = explicit_weights(task.learner.network, 0.1, DATA, meta)
    assert 0 < (v > 0).sum() < 8
    u = v / v.sum()
    wanted = stepped(
        task.learner.network, lambda network: u @ cross_entropy(network(DATA.x), DATA.y)
    )
    report = task.step(DATA, meta)
    assert_equal(task.learner.network, wanted)
    assert set(report) == {"train_loss", "meta_loss"}
    quality = task.label_quality(task.learner(DATA.x), DATA.y, DATA.index)["own"]
    assert quality[v > 0].min() > quality[v == 0].max()


@pytest.mark.parametrize("engine", ["forward", "higher"])
def test_l2rw_stands_still_where_every_sample_works_against_the_meta_set(engine: str) -> None:
    """One image, given as 0 and 1 where the meta set says 2: no weight is above zero."""
    task = method("l2rw", weighting=weighting(engine), train=training(2))
    for group in task.learner.optimizer.param_groups:
        group["weight_decay"] = 0.0
    x = DATA.x[:1].repeat(2, 1)
    index = torch.arange(2)
    before = [p.clone() for p in task.learner.parameters()]
    task.step(Batch(index, x, torch.tensor([0, 0])), Batch(index, x, torch.tensor([2, 2])))
    assert all(map(torch.equal, task.learner.parameters(), before))


# --- scores that remember


def test_elr_scores_by_the_running_mean_of_its_predictions() -> None:
    task = method("elr", {"beta": 0.75})
    p = []
    for _ in range(2):
        logits = task.learner(DATA.x).detach()
        p.append(logits.softmax(1).gather(1, DATA.y[:, None]).squeeze(1))
        fresh = task.label_quality(logits, DATA.y, DATA.index)["own"]
        if len(p) == 1:  # nothing remembered yet
            torch.testing.assert_close(fresh, p[0])
        task.step(DATA)
    own = task.label_quality(logits, DATA.y, DATA.index)["own"]
    wanted = (0.75 * p[0] + p[1]) / 1.75
    torch.testing.assert_close(own, wanted, rtol=1e-5, atol=0)  # it predicts in float32


def test_l2rw_scores_by_the_running_mean_of_whether_a_sample_counted() -> None:
    task = method("l2rw", {"memory": 0.75}, num_samples=9)
    counted = []
    for seed in (2, 3):
        meta = batch(seed=seed)
        counted.append(explicit_weights(task.learner.network, 0.1, DATA, meta) > 0)
        task.step(DATA, meta)
    wanted = (0.75 * counted[0] + 0.25 * counted[1]).double()
    assert len(wanted.unique()) > 2
    logits = task.learner(DATA.x)
    own = task.label_quality(logits, DATA.y, DATA.index)["own"]
    torch.testing.assert_close(own, wanted)
    # A sample that was never trained on gets the probability of its label.
    unseen = task.label_quality(logits[:1], DATA.y[:1], torch.tensor([8]))["own"]
    torch.testing.assert_close(unseen, logits[:1].softmax(1)[:, DATA.y[0]])


# --- CMW-Net


@pytest.mark.parametrize(
    ("sizes", "clusters", "ratio", "groups"),
    [
        ([100, 90, 50, 10, 12, 55], 3, 1.5, [2, 2, 1, 0, 0, 1]),
        ([100, 90, 95, 10, 12, 15], 2, 1.5, [1, 1, 1, 0, 0, 0]),
        ([100, 90, 50, 10, 12, 55], 1, 1.5, [0] * 6),
        ([100, 98, 4, 5], 3, 1.5, [1, 1, 0, 0]),  # three groups would be too close
        ([100, 98, 4, 5], 3, 1.0, [2, 1, 0, 0]),  # as in the paper
        ([20, 20, 20], 3, 1.0, [0, 0, 0]),
        ([20, 10, 20], 3, 1.0, [1, 0, 1]),
    ],
)
def test_groups_by_size(sizes: list[int], clusters: int, ratio: float, groups: list[int]) -> None:
    assert groups_by_size(torch.tensor(sizes), clusters, ratio).tolist() == groups


@pytest.mark.parametrize("groups", list(itertools.permutations(range(3))))
def test_groups_are_numbered_from_the_smallest(groups: tuple[int, ...]) -> None:
    sizes = torch.tensor([10, 50, 100])[list(groups)]
    assert groups_by_size(sizes, 3, 1.5).tolist() == list(groups)


def test_a_class_aware_weight_net_has_an_output_for_each_group() -> None:
    net = ClassAwareWeightNet(torch.tensor([1, 0, 1]), hidden=2)
    for parameter in net.parameters():
        nn.init.zeros_(parameter)
    nn.init.ones_(net.hidden.weight)  # both units give the loss
    net.out.weight.data = torch.tensor([[0.0, 0.0], [-1.0, 0.0]])
    net.out.bias.data = torch.tensor([0.5, 2.0])
    weights = net(torch.tensor([3.0, 3.0, 1.0]), torch.tensor([0, 1, 2]))
    wanted = [1 / (1 + math.exp(-z)) for z in (2 - 3, 0.5, 2 - 1)]
    torch.testing.assert_close(weights, torch.tensor(wanted))
