"""Noise that depends on the sample: instance-dependent and near the decision boundary."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mwnet.noise import corrupt, instance, instance_dependent, pmd, realised_rate

LABELS = torch.arange(3).repeat(40)


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def features(samples: int, *shape: int) -> torch.Tensor:
    return torch.randn(samples, *shape, generator=rng(99))


def predictions(samples: int, classes: int = 4, sharpness: float = 2.0) -> torch.Tensor:
    return (sharpness * torch.randn(samples, classes, generator=rng(98))).softmax(1)


def test_instance_is_its_formula_sample_by_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(instance_dependent, "CHUNK", 7)
    x, labels = features(30, 2, 3), torch.randint(0, 4, (30,), generator=rng(1))
    rows = instance(x, labels, 0.3, rng(2), 4, temperature=2.0)
    generator = rng(2)
    torch.rand(30, generator=generator, dtype=torch.float64)
    weights = torch.stack(
        [torch.randn(6, 4, generator=generator, dtype=torch.float64) for _ in range(4)]
    )
    for row, sample, label in zip(rows, x.double(), labels, strict=True):
        others = [j for j in range(4) if j != label]
        scores = sample.flatten() @ weights[label][:, others] / 2.0
        torch.testing.assert_close(row[others], (1 - row[label]) * scores.softmax(0))


@settings(deadline=None, max_examples=30)
@given(classes=st.integers(2, 6), rate=st.floats(0, 1), seed=st.integers(0, 9))
def test_instance_rows_are_distributions(classes: int, rate: float, seed: int) -> None:
    labels = torch.arange(20) % classes
    rows = instance(features(20, 5), labels, rate, rng(seed), classes)
    assert rows.dtype == torch.float64
    assert bool((rows >= 0).all())
    torch.testing.assert_close(rows.sum(1), torch.ones(20, dtype=torch.float64))
    assert torch.equal(rows, instance(features(20, 5), labels, rate, rng(seed), classes))


@pytest.mark.parametrize(
    ("rate", "mean"), [(0.0, 0.0798), (0.1, 0.1288), (0.4, 0.4), (1.0, 0.9202)]
)
def test_instance_rates_are_truncated_normal(rate: float, mean: float) -> None:
    labels = torch.zeros(20_000, dtype=torch.int64)
    moved = 1 - instance(features(20_000, 1), labels, rate, rng(), 2)[:, 0]
    assert float(moved.mean()) == pytest.approx(mean, abs=0.004)
    if rate == 0.4:
        assert float(moved.std()) == pytest.approx(0.1, abs=0.003)


def test_instance_is_nearly_one_hot_unless_the_temperature_is_raised() -> None:
    x, labels = features(120, 400), LABELS
    sharp = instance(x, labels, 0.4, rng(), 3)
    even = instance(x, labels, 0.4, rng(), 3, temperature=1e6)
    assert torch.equal(sharp.gather(1, labels[:, None]), even.gather(1, labels[:, None]))
    off = sharp.scatter(1, labels[:, None], 0)
    assert float((off.amax(1) / off.sum(1)).mean()) > 0.95
    off = even.scatter(1, labels[:, None], 0)
    assert float((off.amax(1) / off.sum(1)).max()) < 0.51


def test_instance_leaves_the_global_generator_alone_and_draws_its_rate() -> None:
    before = torch.get_rng_state()
    labels = torch.arange(10).repeat(500)
    noisy = corrupt(labels, instance(features(5000, 8), labels, 0.4, rng(), 10), rng(1), "exact")
    assert torch.equal(before, torch.get_rng_state())
    assert realised_rate(noisy, labels) == pytest.approx(0.4, abs=0.01)


def test_instance_refuses_bad_input() -> None:
    x = features(120, 2)
    for message, arguments, options in [
        ("rate lies in", (x, LABELS, 1.2, rng(), 3), {}),
        ("at least 2 classes", (x, LABELS * 0, 0.4, rng(), 1), {}),
        (r"0\.\.1", (x, LABELS, 0.4, rng(), 2), {}),
        (r"120 labels, got shape \(3, 2\)", (x[:3], LABELS, 0.4, rng(), 3), {}),
        (r"got shape \(120,\)", (x[:, 0], LABELS, 0.4, rng(), 3), {}),
        ("finite", (x / 0, LABELS, 0.4, rng(), 3), {}),
        ("temperature", (x, LABELS, 0.4, rng(), 3), {"temperature": 0.0}),
    ]:
        with pytest.raises(ValueError, match=message):
            instance(*arguments, **options)


@settings(deadline=None, max_examples=60)
@given(
    kind=st.sampled_from([1, 2, 3]),
    rate=st.floats(0, 1),
    samples=st.integers(1, 80),
    classes=st.integers(2, 6),
)
def test_pmd_rows_have_the_rate_on_average(
    kind: int, rate: float, samples: int, classes: int
) -> None:
    eta = predictions(samples, classes)
    rows = pmd(eta, rate, kind)
    base = eta.argmax(1, keepdim=True)
    torch.testing.assert_close(rows.sum(1), torch.ones(samples, dtype=torch.float64))
    assert bool((rows >= 0).all())
    assert float(1 - rows.gather(1, base).mean()) == pytest.approx(rate, abs=1e-9)


@pytest.mark.parametrize(("kind", "ratio"), [(1, 0.75), (2, 0.875), (3, 1 - 0.875 / 3)])
def test_pmd_falls_with_the_margin_by_its_polynomial(kind: int, ratio: float) -> None:
    eta = torch.tensor([[0.45, 0.1, 0.45], [0.1, 0.2, 0.7], [0.0, 1.0, 0.0]])
    rows = pmd(eta, 0.2, kind)
    move = torch.tensor([rows[0, 2], rows[1, 1], rows[2, 0]])  # margins 0, 0.5 and 1
    assert float(move[1] / move[0]) == pytest.approx(ratio, abs=1e-6)
    assert float(move[2]) == 0
    assert rows[1].tolist() == pytest.approx([0, float(move[1]), 1 - float(move[1])])
    # At a rate of 0.65 the first sample always changes and the second takes what is left.
    assert pmd(eta, 0.65, kind)[[0, 1], [2, 1]].tolist() == pytest.approx([1, 0.95])


def test_pmd_base_label_is_the_prediction() -> None:
    eta = predictions(500)
    base, second = eta.topk(2).indices.T
    noisy = corrupt(base, pmd(eta, 0.35, 1), rng(), "exact")
    assert realised_rate(noisy, base) == 0.35
    assert bool(((noisy == base) | (noisy == second)).all())


def test_pmd_refuses_bad_input() -> None:
    eta = predictions(8)
    certain = torch.eye(4)[:3]
    for message, arguments in [
        ("kind 1, 2 or 3, got 4", (eta, 0.4, 4)),
        ("rate lies in", (eta, math.nan, 1)),
        ("not logits", (eta * 3, 0.4, 1)),
        (r"\(n, K\)", (eta[0], 0.4, 1)),
        ("only 0 of 3 have a margin below 1", (certain, 0.4, 1)),
    ]:
        with pytest.raises(ValueError, match=message):
            pmd(*arguments)
    assert torch.equal(pmd(certain, 0.0, 1), certain.double())
