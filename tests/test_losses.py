"""Losses against hand-computed numbers and the papers' identities."""

import math

import pytest
import torch

from mwnet.losses import LOSSES

LOGITS = torch.log(torch.tensor([[0.7, 0.2, 0.1], [0.25, 0.25, 0.5]], dtype=torch.float64))
LABELS = torch.tensor([0, 1])


@pytest.mark.parametrize(
    ("name", "expected"),
    [("ce", [-math.log(0.7), -math.log(0.25)]), ("mae", [0.6, 1.5])],
)
def test_hand_computed(name: str, expected: list[float]) -> None:
    values = LOSSES[name](LOGITS, LABELS)
    torch.testing.assert_close(values, torch.tensor(expected, dtype=torch.float64))


def sum_over_labels(name: str, logits: torch.Tensor) -> torch.Tensor:
    return sum(
        (LOSSES[name](logits, torch.full((len(logits),), k)) for k in range(logits.shape[1])),
        start=torch.zeros(len(logits), dtype=logits.dtype),
    )


def test_mae_is_symmetric_and_cross_entropy_is_not() -> None:
    logits = torch.randn(50, 10, dtype=torch.float64) * 4
    torch.testing.assert_close(sum_over_labels("mae", logits), torch.full((50,), 18.0).double())
    assert sum_over_labels("ce", logits).std() > 1


def test_mae_is_the_l1_distance_to_the_one_hot_label() -> None:
    logits = torch.randn(20, 5, dtype=torch.float64)
    labels = torch.randint(0, 5, (20,))
    one_hot = torch.nn.functional.one_hot(labels, 5)
    expected = (logits.softmax(1) - one_hot).abs().sum(1)
    torch.testing.assert_close(LOSSES["mae"](logits, labels), expected)


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_contract(name: str) -> None:
    logits = torch.randn(6, 4, dtype=torch.float64, requires_grad=True)
    labels = torch.randint(0, 4, (6,))
    assert LOSSES[name](logits, labels).shape == (6,)
    assert torch.autograd.gradcheck(lambda z: LOSSES[name](z, labels), logits)


@pytest.mark.parametrize("name", sorted(LOSSES))
@pytest.mark.parametrize("scale", [-1e4, 1e4])
def test_finite_at_the_extremes(name: str, scale: float) -> None:
    logits = (torch.eye(3) * scale).requires_grad_()
    values = LOSSES[name](logits, torch.tensor([0, 1, 0]))
    values.sum().backward()
    assert logits.grad is not None
    assert values.isfinite().all()
    assert logits.grad.isfinite().all()
