"""The weight net and the normalisation of its weights."""

import torch

from mwnet.bilevel.weighting import NORMALISATIONS, WeightNet, by_mean, by_sum


def test_weight_net_is_1_100_1_with_a_sigmoid() -> None:
    net = WeightNet()
    assert [tuple(p.shape) for p in net.parameters()] == [(100, 1), (100,), (1, 100), (1,)]
    weights = net(torch.linspace(0, 20, 50))
    assert weights.shape == (50,)
    assert weights.min() > 0
    assert weights.max() < 1


def test_normalisations() -> None:
    weights = torch.tensor([0.1, 0.3, 0.4])
    torch.testing.assert_close(by_mean(weights), torch.tensor([0.1, 0.3, 0.4]) / 3)
    torch.testing.assert_close(by_sum(weights), torch.tensor([0.125, 0.375, 0.5]))


def test_equal_weights_of_one_are_the_mean_under_both() -> None:
    for normalise in NORMALISATIONS.values():
        torch.testing.assert_close(normalise(torch.ones(4)), torch.full((4,), 0.25))


def test_sum_is_safe_at_zero_and_its_gradient_couples_samples() -> None:
    zeros = torch.zeros(3, requires_grad=True)
    by_sum(zeros).sum().backward()
    assert zeros.grad is not None
    assert zeros.grad.isfinite().all()
    weights = torch.tensor([0.2, 0.6], dtype=torch.float64, requires_grad=True)
    a = torch.tensor([1.0, 3.0], dtype=torch.float64)
    (by_sum(weights) @ a).backward()
    u = weights.detach() / 0.8
    assert weights.grad is not None
    torch.testing.assert_close(weights.grad, (a - u @ a) / 0.8)
