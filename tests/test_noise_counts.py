"""How many labels change: per sample, exactly, exactly in each class."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mwnet.builders.experiment import build
from mwnet.config.flags import parse_training
from mwnet.noise import COUNTS, NOISES, corrupt, realised_rate

ANY_SIZE = ["uniform", "symmetric", "flip", "pairflip"]


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_per_sample_counts_are_one_threshold_per_sample() -> None:
    # Runs of published seeds must keep their labels, bit for bit.
    labels = torch.randint(0, 7, (5000,), generator=rng())
    for name in ANY_SIZE:
        matrix = NOISES[name](7, 0.4, rng(1))
        numbers = torch.rand(5000, generator=rng(2), dtype=torch.float64)
        expected = (numbers[:, None] >= matrix.cumsum(1)[labels]).sum(1)
        assert torch.equal(corrupt(labels, matrix, rng(2)), expected)
    first = corrupt(torch.arange(10).repeat(2), NOISES["uniform"](10, 0.8, rng()), rng(5))
    assert first.tolist() == [5, 1, 2, 3, 3, 8, 6, 7, 8, 5, 1, 1, 7, 2, 1, 4, 4, 4, 8, 6]


@settings(deadline=None, max_examples=100)
@given(
    name=st.sampled_from(ANY_SIZE),
    classes=st.integers(3, 12),
    rate=st.floats(0, 1),
    samples=st.integers(0, 200),
    seed=st.integers(0, 9),
)
def test_exact_counts_are_the_rounded_expectation(
    name: str, classes: int, rate: float, samples: int, seed: int
) -> None:
    labels = torch.randint(0, classes, (samples,), generator=rng(seed))
    matrix = NOISES[name](classes, rate, rng(seed))
    change = 1 - matrix.diagonal()[labels]
    changed = corrupt(labels, matrix, rng(seed), "exact") != labels
    assert abs(int(changed.sum()) - float(change.sum())) <= 0.5 + 1e-6
    changed = corrupt(labels, matrix, rng(seed), "exact-per-class") != labels
    for label in range(classes):
        own = labels == label
        assert abs(int(changed[own].sum()) - float(change[own].sum())) <= 0.5 + 1e-6


@pytest.mark.parametrize("counts", ["exact", "exact-per-class"])
@pytest.mark.parametrize(("samples", "changed"), [(1000, 400), (10, 4), (5, 2), (1, 0)])
def test_exact_count_at_forty_percent(counts: str, samples: int, changed: int) -> None:
    labels = torch.zeros(samples, dtype=torch.int64)
    noisy = corrupt(labels, NOISES["symmetric"](10, 0.4, rng()), rng(1), counts)
    assert int((noisy != 0).sum()) == changed


def test_exact_counts_round_half_up() -> None:
    labels = torch.zeros(5, dtype=torch.int64)
    noisy = corrupt(labels, NOISES["symmetric"](10, 0.1, rng()), rng(), "exact")
    assert int((noisy != 0).sum()) == 1


@pytest.mark.parametrize("counts", COUNTS)
def test_each_sample_changes_with_its_own_probability(counts: str) -> None:
    # Sums to 4 over all samples and to 2 over either class, so no count is rounded.
    change = torch.tensor([0.0, 1.0, 0.25, 0.75, 0.5, 0.9, 0.2, 0.4], dtype=torch.float64)
    labels = torch.tensor([0, 0, 0, 0, 1, 1, 1, 1])
    rows = torch.zeros(8, 3, dtype=torch.float64)
    rows[torch.arange(8), labels] = 1 - change
    rows[:, 2] = change
    generator, draws = rng(3), 2000
    hits = sum((corrupt(labels, rows, generator, counts) == 2).double() for _ in range(draws))
    # 5 standard deviations of a share are below 2.5 / sqrt(draws).
    torch.testing.assert_close(hits / draws, change, atol=2.5 / draws**0.5, rtol=0)
    assert hits[0] == 0
    assert hits[1] == draws


@pytest.mark.parametrize("counts", ["exact", "exact-per-class"])
def test_every_set_of_samples_is_equally_likely(counts: str) -> None:
    labels, matrix = torch.zeros(4, dtype=torch.int64), NOISES["pairflip"](2, 0.5, rng())
    generator = rng(4)
    drawn = [tuple(corrupt(labels, matrix, generator, counts).tolist()) for _ in range(1200)]
    assert len(set(drawn)) == 6
    assert all(abs(drawn.count(pair) - 200) < 65 for pair in set(drawn))  # 5 standard deviations


@pytest.mark.parametrize("counts", ["exact", "exact-per-class"])
def test_new_labels_follow_the_rest_of_the_row(counts: str) -> None:
    matrix = torch.tensor([[0.6, 0.3, 0.1], [0, 1, 0], [0, 0, 1]], dtype=torch.float64)
    labels = torch.zeros(50_000, dtype=torch.int64)
    shares = corrupt(labels, matrix, rng(), counts).bincount() / 50_000
    assert shares[0] == 0.6
    assert float(shares[1]) == pytest.approx(0.3, abs=0.01)


@pytest.mark.parametrize("counts", COUNTS)
def test_classes_that_swap_lose_the_full_rate_each(counts: str) -> None:
    # Choosing class after class among labels already changed would send flipped cats back: 24 %
    # of the cats and 18.4 % of all labels would be wrong instead of 40 % and 20 %.
    truth = torch.arange(10).repeat_interleave(5000)
    given_labels = truth.clone()
    matrix = NOISES["asymmetric"](10, 0.4, rng(), dataset="cifar10")
    noisy = corrupt(given_labels, matrix, rng(1), counts)
    assert torch.equal(given_labels, truth)
    cats, dogs = noisy[truth == 3], noisy[truth == 5]
    slack = {"sample": 0.035, "exact": 0.035, "exact-per-class": 0}[counts]
    assert float((cats == 5).double().mean()) == pytest.approx(0.4, abs=slack)
    assert float((dogs == 3).double().mean()) == pytest.approx(0.4, abs=slack)
    slack = 0.01 if counts == "sample" else 0
    assert realised_rate(noisy, truth) == pytest.approx(0.2, abs=slack)


@pytest.mark.parametrize("counts", COUNTS)
def test_a_row_for_each_sample_equals_the_matrix(counts: str) -> None:
    labels = torch.randint(0, 4, (300,), generator=rng())
    matrix = NOISES["uniform"](4, 0.5, rng())
    one = corrupt(labels, matrix, rng(1), counts)
    assert torch.equal(one, corrupt(labels, matrix[labels], rng(1), counts))
    assert not torch.equal(one, corrupt(labels, matrix, rng(2), counts))
    assert corrupt(labels[:0], matrix, rng(1), counts).shape == (0,)


def test_bad_input_is_refused() -> None:
    labels, matrix = torch.tensor([0, 1, 1]), NOISES["uniform"](2, 0.5, rng())
    for message, arguments in [
        ("counts is one of sample, exact, exact-per-class", (labels, matrix, rng(), "often")),
        (r"each of the 3 labels, got \(4, 2\)", (labels, matrix.repeat(2, 1), rng())),
        ("got \\(2,\\)", (labels, matrix[0], rng())),
        ("non-negative", (labels, torch.tensor([[1.5, -0.5], [0, 1]]), rng())),
        ("sums to 1", (labels, torch.full((2, 2), float("nan")), rng())),
        ("int64", (labels.double(), matrix, rng())),
        (r"0\.\.1", (labels - 1, matrix, rng(), "exact")),
    ]:
        with pytest.raises(ValueError, match=message):
            corrupt(*arguments)


@pytest.mark.parametrize("counts", COUNTS)
def test_the_option_reaches_the_labels(counts: str) -> None:
    """With exact counts every seed has as many wrong labels."""
    argv = ["--noise", "symmetric", "--noise-rate", "0.4", "--noise-counts", counts]
    wrong = set()
    for seed in range(3):
        data = build(parse_training([*argv, "--noise-seed", str(seed)])).data
        assert data.truth is not None
        wrong.add(int((data.labels != data.truth).sum()))
    assert (len(wrong) == 1) == (counts != "sample")
