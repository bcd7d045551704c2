"""Noise is a row-stochastic matrix and a draw from it."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mwnet.noise import NOISES, corrupt, labels_from_file, realised_rate

RATED = sorted(NOISES.keys() - {"none"})
CLASSES = {"asymmetric": 10, "superclass": 100, "hierarchical": 100}  # others take any number


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def matrix_of(name: str, classes: int, rate: float, seed: int = 0) -> torch.Tensor:
    """The matrix of any noise, with a number of classes near the one asked for that it can have."""
    if name == "block5":
        classes = -(-classes // 5) * 5
    dataset = "cifar10" if name == "asymmetric" else ""
    return NOISES[name](CLASSES.get(name, classes), rate, rng(seed), dataset=dataset)


@settings(deadline=None, max_examples=30)
@given(
    name=st.sampled_from(RATED),
    classes=st.integers(3, 12),
    rate=st.floats(0, 1),
    seed=st.integers(0, 9),
)
def test_matrices_are_row_stochastic(name: str, classes: int, rate: float, seed: int) -> None:
    matrix = matrix_of(name, classes, rate, seed)
    classes = len(matrix)
    assert matrix.shape == (classes, classes)
    assert matrix.dtype == torch.float64
    assert bool((matrix >= 0).all())
    torch.testing.assert_close(matrix.sum(1), torch.ones(classes, dtype=torch.float64))


@pytest.mark.parametrize(
    ("name", "kept", "targets"),
    [
        ("uniform", 0.64, 9),
        ("symmetric", 0.6, 9),
        ("flip", 0.6, 1),
        ("flip2", 0.6, 2),
        ("pairflip", 0.6, 1),
    ],
)
def test_rate_and_number_of_targets(name: str, kept: float, targets: int) -> None:
    matrix = NOISES[name](10, 0.4, rng())
    torch.testing.assert_close(matrix.diagonal(), torch.full((10,), kept, dtype=torch.float64))
    assert ((matrix > 0).sum(1) == targets + 1).all()


def test_pairflip_goes_to_the_next_class() -> None:
    matrix = NOISES["pairflip"](3, 0.4, rng())
    assert matrix[0, 1] == matrix[1, 2] == matrix[2, 0] == 0.4


def test_flip_targets_come_from_the_generator_alone() -> None:
    before = torch.get_rng_state()
    one, same, other = (NOISES["flip2"](10, 0.4, rng(seed)) for seed in (1, 1, 2))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("name", sorted(NOISES))
def test_corrupt_follows_the_matrix(name: str) -> None:
    matrix = matrix_of(name, 5, 0.0 if name == "none" else 0.4, 3)
    classes, draws = len(matrix), 20_000 if len(matrix) <= 10 else 500
    truth = torch.arange(classes).repeat_interleave(draws)
    given_labels = corrupt(truth, matrix, rng(4))
    counts = torch.zeros(classes, classes, dtype=torch.float64)
    counts.index_put_((truth, given_labels), torch.ones(len(truth)).double(), accumulate=True)
    # 5 standard deviations of a share are below 2.5 / sqrt(draws), 0.018 for 20,000 a row.
    torch.testing.assert_close(counts / draws, matrix, atol=2.5 / draws**0.5, rtol=0)
    assert not counts[matrix == 0].any()


def test_same_seed_same_labels_and_global_generator_untouched() -> None:
    truth = torch.arange(10).repeat(50)
    matrix = NOISES["uniform"](10, 0.4, rng())
    before = torch.get_rng_state()
    assert torch.equal(corrupt(truth, matrix, rng(7)), corrupt(truth, matrix, rng(7)))
    assert not torch.equal(corrupt(truth, matrix, rng(7)), corrupt(truth, matrix, rng(8)))
    assert torch.equal(before, torch.get_rng_state())


def test_uniform_at_ten_classes_makes_nine_tenths_of_the_rate_wrong() -> None:
    truth = torch.arange(10).repeat(10_000)
    noisy = corrupt(truth, NOISES["uniform"](10, 0.4, rng()), rng(1))
    assert realised_rate(noisy, truth) == pytest.approx(0.36, abs=0.008)


@pytest.mark.parametrize("name", RATED)
@pytest.mark.parametrize("rate", [-0.1, 1.1, float("nan")])
def test_rate_outside_the_unit_interval_is_refused(name: str, rate: float) -> None:
    with pytest.raises(ValueError, match="rate lies in"):
        NOISES[name](10, rate, rng())


def test_impossible_requests_are_refused() -> None:
    with pytest.raises(ValueError, match="2 other class"):
        NOISES["flip2"](2, 0.4, rng())
    with pytest.raises(ValueError, match="rate 0"):
        NOISES["none"](10, 0.4, rng())
    with pytest.raises(ValueError, match="sums to 1"):
        corrupt(torch.tensor([0]), torch.full((2, 2), 0.6), rng())
    with pytest.raises(ValueError, match=r"0\.\.1"):
        corrupt(torch.tensor([2]), torch.eye(2), rng())


def test_labels_from_file(tmp_path: Path) -> None:
    path = tmp_path / "labels.npz"
    np.savez(
        path, ids=np.array([1, 0, 1]), names=np.array(["b", "a", "b"]), bad=np.array([0, 5, 0])
    )
    assert labels_from_file(f"{path}:ids", 3, ("a", "b")).tolist() == [1, 0, 1]
    assert labels_from_file(f"{path}:names", 3, ("a", "b")).tolist() == [1, 0, 1]
    np.save(tmp_path / "labels.npy", np.array([0.0, 1.0]))
    assert labels_from_file(str(tmp_path / "labels.npy"), 2, ("a", "b")).tolist() == [0, 1]
    for spec, count, message in [
        (f"{path}:ids", 4, "holds 3 labels, but 4 are needed"),
        (f"{path}:bad", 3, "sample 1 is 5"),
        (f"{path}:nope", 3, "ids, names, bad"),
        (str(path), 3, "after a colon"),
        (str(tmp_path / "none.npz:x"), 3, "there is no file"),
    ]:
        with pytest.raises(ValueError, match=message):
            labels_from_file(spec, count, ("a", "b"))


def test_every_noise_has_its_paragraph_and_picture() -> None:
    docs = Path(__file__).parent.parent / "docs"
    text = (docs / "NOISE.md").read_text()
    for name in [*NOISES, "instance", "pmd"]:
        assert f"### {name}\n" in text
        assert f"](noise/{name}.png)" in text
        assert (docs / "noise" / f"{name}.png").is_file()
