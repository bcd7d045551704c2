"""The Taylor loss against eq. 4 term by term, and its exact range against searches."""

import math

import numpy as np
import pytest
import torch
from problems import random_logits
from scipy.optimize import minimize
from torch import Tensor

from mwnet.losses import LOSSES, taylor_range
from mwnet.losses.taylor import CROSS_ENTROPY

LOGITS = torch.log(torch.tensor([[0.7, 0.2, 0.1], [0.25, 0.25, 0.5]], dtype=torch.float64))
LABELS = torch.tensor([0, 1])


def eq_4(t: tuple, x: Tensor, y: float) -> Tensor:
    """The polynomial for one class, term by term."""
    z, d = x - t[0], y - t[1]
    return (
        t[2] * z + t[3] * z**2 / 2 + t[4] * z**3 / 6 + t[5] * z**4 / 24
        + t[6] * z * d + t[7] * z * d**2 / 2 + t[8] * z**2 * d / 2
        + t[9] * z**3 * d / 6 + t[10] * z * d**3 / 6 + t[11] * z**2 * d**2 / 4
    )  # fmt: skip


def taylor_value(theta: tuple, p: Tensor, y: int) -> Tensor:
    """Before normalisation, for one sample of label y."""
    return torch.stack([eq_4(theta, x, float(k == y)) for k, x in enumerate(p)]).mean()


def test_taylor_is_eq_4_normalised_by_eq_5() -> None:
    rng = torch.Generator().manual_seed(0)
    theta = tuple(torch.randn(12, generator=rng, dtype=torch.float64).tolist())
    lowest, highest = taylor_range(theta, 4)
    logits, labels = random_logits(8, 4), torch.arange(8) % 4
    p = logits.softmax(-1)
    raw = torch.stack([taylor_value(theta, p[i], int(labels[i])) for i in range(8)])
    want = 3 * (raw - lowest) / (highest - lowest)
    torch.testing.assert_close(LOSSES["taylor"](logits, labels, theta=theta, eta=3.0), want)


@pytest.mark.parametrize("y", [0.0, 1.0])
def test_the_expansion_of_cross_entropy(y: float) -> None:
    """-y log p around p = y = 1/2 to fourth order, up to a constant."""
    p = torch.linspace(0.05, 0.95, 19, dtype=torch.float64)
    z, d = p - 0.5, y - 0.5
    log_p = math.log(0.5) + 2 * z - 2 * z**2 + 8 / 3 * z**3 - 4 * z**4
    want = -y * log_p - 4 * d * z**4  # which is of fifth order
    difference = eq_4(CROSS_ENTROPY, p, y) - want
    torch.testing.assert_close(difference, difference[9].expand(19), rtol=0, atol=1e-12)


def searched_range(theta: tuple, classes: int) -> tuple[float, float]:
    """Extremes found by search: the simplex's corners, random points, and descent from them."""
    rng = np.random.default_rng(0)
    points = [np.eye(classes)[0], np.eye(classes)[-1], np.full(classes, 1 / classes)]
    points += [rng.dirichlet(np.full(classes, a)) for a in (0.02, 0.1, 0.5, 1.0) for _ in range(6)]

    def value(p: np.ndarray) -> float:
        return float(taylor_value(theta, torch.from_numpy(p), 0))

    found = [value(p) for p in points]
    for sign in (1, -1):
        for start in points:
            end = minimize(
                lambda p, sign=sign: sign * value(p),
                start,
                bounds=[(0, 1)] * classes,
                constraints={"type": "eq", "fun": lambda p: p.sum() - 1},
                method="SLSQP",
                options={"maxiter": 60 if classes <= 10 else 3},
            )
            p = np.clip(end.x, 0, 1)
            found.append(value(p / p.sum()))
    return min(found), max(found)


@pytest.mark.parametrize("classes", [3, 10])
@pytest.mark.parametrize("seed", range(4))
def test_the_range_is_that_of_a_search(classes: int, seed: int) -> None:
    rng = torch.Generator().manual_seed(seed)
    theta = tuple((torch.randn(12, generator=rng, dtype=torch.float64) * 1.2).tolist())
    lowest, highest = taylor_range(theta, classes)
    searched = searched_range(theta, classes)
    width = highest - lowest
    # Nothing that a search finds lies outside, and the ends are reached.
    assert lowest <= searched[0] + 1e-7 * width
    assert highest >= searched[1] - 1e-7 * width
    assert searched == pytest.approx((lowest, highest), abs=2e-3 * width)


def test_the_range_of_many_classes_holds_every_random_point() -> None:
    rng = np.random.default_rng(0)
    for seed in range(3):
        theta = tuple((np.random.default_rng(seed).normal(size=12) * 1.2).tolist())
        lowest, highest = taylor_range(theta, 100)
        p = np.concatenate([rng.dirichlet(np.full(100, a), 500) for a in (0.003, 0.01, 0.1, 1)])
        logits = torch.from_numpy(np.log(np.maximum(p, 1e-300)))
        values = LOSSES["taylor"](
            logits, torch.zeros(len(p), dtype=torch.int64), theta=theta, eta=1.0
        )
        assert values.min() >= -1e-9
        assert values.max() <= 1 + 1e-9
        assert lowest < highest


@pytest.mark.parametrize("seed", range(3))
def test_the_range_at_a_hundred_classes_is_that_of_a_structured_search(seed: int) -> None:
    """All points with the label at s, one other class at c, and the rest spread over n classes."""
    theta = tuple((np.random.default_rng(seed).normal(size=12) * 1.2).tolist())
    grid = torch.linspace(0, 1, 81, dtype=torch.float64)
    label, other = grid[:, None, None], grid[None, :, None]
    n = torch.arange(1, 99, dtype=torch.float64)[None, None, :]
    rest = 1 - label - other
    off = eq_4(theta, other, 0.0) + n * eq_4(theta, rest / n, 0.0)
    off = off + (98 - n) * eq_4(theta, torch.zeros((), dtype=torch.float64), 0.0)
    values = ((eq_4(theta, label, 1.0) + off) / 100)[(rest >= 0).expand(-1, -1, 98)]
    lowest, highest = taylor_range(theta, 100)
    width = highest - lowest
    assert lowest - 1e-9 * width <= values.min() <= lowest + 1e-3 * width
    assert highest - 1e-3 * width <= values.max() <= highest + 1e-9 * width


def test_taylor_is_invariant_to_scale_but_not_to_sign() -> None:
    rng = torch.Generator().manual_seed(1)
    theta = torch.randn(12, generator=rng, dtype=torch.float64)
    scaled, flipped = theta.clone(), theta.clone()
    scaled[2:] *= 7
    flipped[2:] *= -1
    logits, labels = random_logits(), torch.arange(50) % 10
    one, other, third = (
        LOSSES["taylor"](logits, labels, theta=t.tolist(), eta=1.0)
        for t in (theta, scaled, flipped)
    )
    torch.testing.assert_close(one, other)
    torch.testing.assert_close(one, 1 - third)


def test_a_constant_polynomial_is_zero_and_a_short_theta_refused() -> None:
    assert LOSSES["taylor"](LOGITS, LABELS, theta=[0.0] * 12).tolist() == [0, 0]
    with pytest.raises(ValueError, match="12 finite coefficients, got 3"):
        LOSSES["taylor"](LOGITS, LABELS, theta=[1, 2, 3])
