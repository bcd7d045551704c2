"""Swapping true labels changes no parameter, score or issue, for any method."""

from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from benchmarks.faults.truth import trained
from mwnet.methods import METHODS

X, Y = map(np.asarray, load_digits(return_X_y=True))
GIVEN = np.where(np.random.default_rng(0).random(len(Y)) < 0.3, (Y + 1) % 10, Y)
TRAIN, TEST = slice(0, 300), slice(300, 400)


def outcome(
    path: Path, method: str, given: np.ndarray, truth: np.ndarray, tested: np.ndarray
) -> dict:
    np.savez(
        path, x=X[TRAIN], y=given[TRAIN], y_true=truth[TRAIN], x_test=X[TEST], y_test=tested[TEST]
    )
    return trained(path, method, True)


@pytest.mark.parametrize("method", [n for n, entry in METHODS.items() if entry.meta != "clean"])
def test_truth_swapped(method: str, tmp_path: Path) -> None:
    path = tmp_path / "own.npz"
    right = outcome(path, method, GIVEN, Y, Y)
    swapped = outcome(path, method, GIVEN, Y[::-1], Y[::-1])
    assert right.keys() == swapped.keys()
    assert any(name.startswith("scored.") for name in right)
    for name, value in right.items():
        assert torch.equal(value, swapped[name]), name


def test_given_labels_do_matter(tmp_path: Path) -> None:
    """Negative control: the comparison sees a difference."""
    path = tmp_path / "own.npz"
    right = outcome(path, "erm", GIVEN, Y, Y)
    other = outcome(path, "erm", Y, Y, Y)
    assert any(not torch.equal(value, other[name]) for name, value in right.items())
