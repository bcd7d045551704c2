"""Theorem 1 of Ghosh and Lan, WACV 2021, exactly: every corruption of a meta batch enumerated."""

import itertools

import pytest
import torch
from problems import CLASSES, batch, flat, problem, relative
from torch import Tensor
from torch.optim import SGD

from mwnet.bilevel import higher_engine
from mwnet.data import Batch
from mwnet.noise import NOISES


def meta_gradient(meta_loss: str, labels: Tensor) -> Tensor:
    task = problem("plain", seed=3, meta_loss=meta_loss)
    for parameter in task.classifier.parameters():
        parameter.data *= 4  # confident predictions, where the losses differ most
    optimizer = SGD(task.classifier.parameters(), lr=0.5)
    clean = batch(3, seed=2)
    meta = Batch(clean.index, clean.x, labels)
    return flat(higher_engine(task, optimizer, batch(seed=1), meta).theta)


def expected_gradient(meta_loss: str, truth: Tensor, matrix: Tensor) -> Tensor:
    """Sum over all label vectors of their probability times the meta-gradient they give."""
    total = torch.zeros(())
    for labels in itertools.product(range(CLASSES), repeat=len(truth)):
        given = torch.tensor(labels)
        total = total + matrix[truth, given].prod() * meta_gradient(meta_loss, given)
    return total


def off_direction(a: Tensor, b: Tensor) -> float:
    """What of a is left after its projection on b, as a share of a; 0 for any multiple of b."""
    return float((a - (a @ b) / (b @ b) * b).norm() / a.norm())


@pytest.mark.parametrize("rate", [0.2, 0.4, 0.9])
def test_mae_keeps_the_direction_under_uniform_noise(rate: float) -> None:
    truth = batch(3, seed=2).y
    matrix = NOISES["uniform"](CLASSES, rate, torch.Generator())
    expected = expected_gradient("mae", truth, matrix)
    assert relative(expected, (1 - rate) * meta_gradient("mae", truth)) < 1e-10


def test_cross_entropy_does_not() -> None:
    truth = batch(3, seed=2).y
    matrix = NOISES["uniform"](CLASSES, 0.4, torch.Generator())
    expected, clean = expected_gradient("ce", truth, matrix), meta_gradient("ce", truth)
    assert relative(expected, 0.6 * clean) > 1e-2
    assert off_direction(expected, clean) > 1e-2


def test_mae_is_biased_by_a_fixed_flip_but_not_on_average_over_flips() -> None:
    """Section 3's remark: E over the random target class is again a multiple of the clean one."""
    truth = batch(3, seed=2).y
    rate = 0.3
    clean = meta_gradient("mae", truth)
    fixed = expected_gradient("mae", truth, NOISES["pairflip"](CLASSES, rate, torch.Generator()))
    assert off_direction(fixed, clean) > 1e-2
    averaged = expected_gradient(
        "mae", truth, NOISES["symmetric"](CLASSES, rate, torch.Generator())
    )
    factor = 1 - rate * CLASSES / (CLASSES - 1)
    assert relative(averaged, factor * clean) < 1e-10
