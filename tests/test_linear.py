"""The linear judge of cross-fitting, and what the weight net is told of each label."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from mwnet.methods.base import log_margin
from mwnet.methods.folds import OUTSIDE, features_of
from mwnet.methods.linear import ABSENT, ITERATIONS, C, Linear


def samples(classes: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    rng = torch.Generator().manual_seed(classes)
    y = torch.arange(120) % classes
    x = torch.randn(120, 4, generator=rng) * torch.tensor([1.0, 10, 0.1, 0]) + 3
    x[:, 0] += y
    return x, y, torch.arange(120) // classes % 5


@pytest.mark.parametrize("classes", [2, 3])
def test_each_sample_is_judged_without_its_fold(classes: int) -> None:
    x, y, fold = samples(classes)
    _, unseen = Linear.fit(x, y, classes, fold)
    standard = (x - x.mean(0)) / x.std(0, correction=0).where(x.std(0) > 0, 1)
    for k in range(5):
        seen = (fold != k).numpy()
        own = LogisticRegression(C=C, max_iter=ITERATIONS)
        own.fit(standard[seen].numpy(), y[seen].numpy())
        expected = own.predict_proba(standard[~seen].numpy())
        assert np.abs(unseen[~seen].exp().numpy() - expected).max() < 2e-3


def test_prediction_is_the_mean_of_the_logits() -> None:
    x, y, fold = samples(3)
    linear, _ = Linear.fit(x, y, 3, fold)
    apart = [Linear.fit(x, y, 3, torch.where(fold == k, 0, OUTSIDE))[0](x).log() for k in range(5)]
    mean = torch.stack(apart).mean(0).softmax(-1)
    assert (linear(x) - mean).abs().max() < 2e-3


def test_who_is_in_no_fold_is_judged_by_the_mean() -> None:
    x, y, fold = samples(2)
    fold[7] = OUTSIDE
    linear, unseen = Linear.fit(x, y, 2, fold)
    assert torch.allclose(unseen[7].exp(), linear(x[7:8])[0], atol=1e-4)


def test_a_class_that_nobody_was_given_is_improbable() -> None:
    x, y, fold = samples(2)
    _, unseen = Linear.fit(x, y, 3, fold)
    assert (unseen[:, 2] < ABSENT / 2).all()


def test_weights_count_by_their_ratios() -> None:
    x, y, fold = samples(2)
    weights = torch.rand(120, generator=torch.Generator().manual_seed(0))
    one, _ = Linear.fit(x, y, 2, fold, weights=weights)
    ten, _ = Linear.fit(x, y, 2, fold, weights=10 * weights)
    none, _ = Linear.fit(x, y, 2, fold)
    assert torch.allclose(one.weight, ten.weight, atol=1e-3)
    assert not torch.allclose(one.weight, none.weight, atol=1e-2)


def test_under_heavy_noise_margins_are_further_from_zero_than_log_margins() -> None:
    """Of 1,000 samples 100 are of class 1; 40 % of the labels of each class are flipped."""
    rng = np.random.default_rng(0)
    true = (np.arange(1000) < 100).astype(int)
    given = torch.from_numpy(np.where(rng.random(1000) < 0.4, 1 - true, true))
    said = torch.tensor([[0.6, 0.4], [0.4, 0.6]])[true].log()
    margin = features_of(said, given, torch.zeros(1000))[:, 0]
    wrong = given != torch.from_numpy(true)
    plain = log_margin(said, given)
    assert (margin[wrong] < 1.5 * plain[wrong]).all()
    assert (margin[~wrong] > 1.5 * plain[~wrong]).all()
