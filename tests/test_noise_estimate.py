"""Estimates of the transition matrix recover known ones."""

import pytest
import torch

from mwnet.noise import (
    NOISES,
    anchor_points,
    confident_joint,
    corrupt,
    estimated_rate,
    realised_rate,
)

NAMES = ["symmetric", "flip", "flip2", "pairflip", "uniform"]
TRUTH = torch.arange(5).repeat_interleave(4000)


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def blurred(posterior: torch.Tensor, share: float = 0.15) -> torch.Tensor:
    """Predictions of a network that knows the posterior up to a random part."""
    random = torch.rand(posterior.shape, generator=rng(5), dtype=torch.float64)
    return (1 - share) * posterior + share * random / random.sum(1, keepdim=True)


@pytest.mark.parametrize("name", NAMES)
def test_anchor_points(name: str) -> None:
    matrix = NOISES[name](5, 0.3, rng(1))
    for percentile in (None, 0.97):
        perfect = anchor_points(matrix[TRUTH], percentile=percentile)
        torch.testing.assert_close(perfect, matrix)
    # A random part of 0.15 could move an entry by that much; at the percentile it is half of it.
    torch.testing.assert_close(anchor_points(blurred(matrix[TRUTH])), matrix, atol=0.075, rtol=0)


def test_an_outlier_is_passed_over_by_the_percentile() -> None:
    matrix = NOISES["symmetric"](5, 0.3, rng())
    eta = matrix[TRUTH]
    eta[0] = torch.eye(5, dtype=torch.float64)[0]
    assert anchor_points(eta, percentile=None)[0].tolist() == [1, 0, 0, 0, 0]
    torch.testing.assert_close(anchor_points(eta), matrix)


def test_anchor_points_leave_predictions_and_later_rows_alone() -> None:
    eta = blurred(NOISES["pairflip"](5, 0.3, rng())[TRUTH]).float()
    before = eta.clone()
    matrix = anchor_points(eta)
    assert torch.equal(eta, before)
    assert bool((matrix > 0).all())
    torch.testing.assert_close(matrix.sum(1), torch.ones(5, dtype=torch.float64))


@pytest.mark.parametrize("name", NAMES)
def test_confident_joint(name: str) -> None:
    matrix = NOISES[name](5, 0.3, rng(1))
    labels = corrupt(TRUTH, matrix, rng(2), "exact-per-class")
    # Exact predictions tell the true class of every sample, so T is that of the labels drawn.
    drawn = (TRUTH * 5 + labels).bincount(minlength=25).reshape(5, 5).double() / 4000
    torch.testing.assert_close(confident_joint(matrix[TRUTH], labels), drawn)
    # Where every class gets as much noise as it loses, a random part of 0.15 costs little more
    # than the draw (5 standard deviations of a share of 4,000 samples are below 0.037). A class
    # that gets no foreign samples has a threshold that half of its own miss, which shifts flip.
    tolerance = 0.12 if name in ("flip", "flip2") else 0.037
    estimate = confident_joint(blurred(matrix[TRUTH]), labels)
    torch.testing.assert_close(estimate, matrix, atol=tolerance, rtol=0)


def test_confident_joint_by_hand() -> None:
    eta = torch.tensor([[0.9, 0.1], [0.7, 0.3], [0.2, 0.8], [0.1, 0.9], [0.3, 0.7], [0.55, 0.45]])
    labels = torch.tensor([0, 0, 0, 1, 1, 1])
    # Thresholds: 0.6 and (0.9 + 0.7 + 0.45) / 3 = 0.683. Given 0: two count as 0, one as 1. Given
    # 1: two count as 1, the last as neither, so the row (0, 2) is scaled to (0, 3).
    expected = torch.tensor([[1, 0], [1 / 4, 3 / 4]], dtype=torch.float64)
    torch.testing.assert_close(confident_joint(eta, labels), expected)


@pytest.mark.parametrize("name", NAMES)
def test_estimated_rate(name: str) -> None:
    """Exact predictions give the exact rate; those of a fair network give nearly that."""
    matrix = NOISES[name](5, 0.3, rng(1))
    for labels in (TRUTH, corrupt(TRUTH, matrix, rng(2)), corrupt(TRUTH, matrix, rng(3), "exact")):
        eta = matrix[TRUTH] if labels is not TRUTH else torch.eye(5)[TRUTH]
        assert estimated_rate(eta, labels) == pytest.approx(realised_rate(labels, TRUTH), abs=1e-9)
    tolerance = 0.12 if name in ("flip", "flip2") else 0.02  # see above
    blurry = estimated_rate(blurred(matrix[TRUTH]), labels)
    assert blurry == pytest.approx(realised_rate(labels, TRUTH), abs=tolerance)


def test_estimated_rate_by_hand() -> None:
    """The example above: 1 of 3 given as 0, and of those given as 1 none."""
    eta = torch.tensor([[0.9, 0.1], [0.7, 0.3], [0.2, 0.8], [0.1, 0.9], [0.3, 0.7], [0.55, 0.45]])
    assert estimated_rate(eta, torch.tensor([0, 0, 0, 1, 1, 1])) == pytest.approx(1 / 6)
    # Without a given label of a class, none of its samples can be found.
    unsure = torch.tensor([[0.5, 0.5, 0.0], [0.5, 0.5, 0.0], [0.1, 0.9, 0.0]])
    assert estimated_rate(unsure, torch.tensor([1, 1, 1])) == 0


def test_classes_without_samples_get_the_identity_row() -> None:
    eta = torch.tensor([[0.8, 0.2, 0.0], [0.3, 0.7, 0.0]])
    assert anchor_points(eta, percentile=None)[2].tolist() == [0, 0, 1]
    assert torch.equal(confident_joint(eta, torch.tensor([0, 1])), torch.eye(3).double())
    empty, none = torch.zeros(0, 3), torch.zeros(0, dtype=torch.int64)
    assert torch.equal(anchor_points(empty), torch.eye(3).double())
    assert torch.equal(confident_joint(empty, none), torch.eye(3).double())


def test_bad_input_is_refused() -> None:
    eta = torch.tensor([[0.8, 0.2], [0.3, 0.7]])
    with pytest.raises(ValueError, match="not logits"):
        anchor_points(eta * 2)
    with pytest.raises(ValueError, match="percentile"):
        anchor_points(eta, percentile=97)
    for estimate in (confident_joint, estimated_rate):
        with pytest.raises(ValueError, match="2 rows of probabilities have 3 labels"):
            estimate(eta, torch.tensor([0, 1, 1]))
        with pytest.raises(ValueError, match=r"0\.\.1"):
            estimate(eta, torch.tensor([0, 2]))
