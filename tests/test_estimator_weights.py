"""Weights of samples that the caller gives, and clean samples for the meta set."""

import numpy as np
import pytest
from estimators import small
from sklearn.datasets import load_digits


def test_samples_of_weight_zero_are_left_out_and_scored(noisy: tuple) -> None:
    x, given, _ = noisy
    weight = np.ones(600)
    weight[500:] = 0
    other = given.copy()
    other[500:] = (other[500:] + 1) % 10
    fitted = small().fit(x, given, sample_weight=weight)
    changed = small().fit(x, other, sample_weight=weight)
    np.testing.assert_array_equal(fitted.predict_proba(x), changed.predict_proba(x))
    assert len(fitted.label_issues_) == 600
    alone = small().fit(x[:500], given[:500])
    np.testing.assert_array_equal(fitted.predict_proba(x), alone.predict_proba(x))


@pytest.mark.parametrize("method", ["mwnet", "erm", "cmw-net", "co-teaching"])
def test_equal_weights_are_no_weights(noisy: tuple, method: str) -> None:
    x, given, _ = noisy
    plain = small(method=method).fit(x, given).predict_proba(x)
    weighted = small(method=method).fit(x, given, sample_weight=np.full(600, 3.0))
    np.testing.assert_array_equal(plain, weighted.predict_proba(x))


@pytest.mark.parametrize("method", ["mwnet", "erm", "cmw-net"])
def test_high_weights_count_more(noisy: tuple, method: str) -> None:
    """The same samples with two contradicting labels each: the heavier label wins."""
    x, given, _ = noisy
    twice, labels = np.concatenate([x, x]), np.concatenate([given, (given + 1) % 10])
    weight = np.r_[np.full(600, 0.1), np.full(600, 1.0)]
    # A held-out meta set says that both are as good; without a weight net that moves it has no say.
    fitted = small(method=method, epochs=20, lr=0.01, weight_net_lr=0.0)
    predicted = fitted.fit(twice, labels, sample_weight=weight).predict(x)
    assert (predicted == (given + 1) % 10).mean() > 0.8


def test_methods_that_cannot_weight_say_so(noisy: tuple) -> None:
    x, given, _ = noisy
    weight = np.linspace(0.5, 1, 600)
    with pytest.raises(ValueError, match=r"`sample_weight`.*mwnet"):
        small(method="co-teaching").fit(x, given, sample_weight=weight)
    with pytest.raises(ValueError, match="non-zero"):
        small().fit(x, given, sample_weight=np.zeros(600))
    with pytest.raises(ValueError, match="from 0"):
        small().fit(x, given, sample_weight=weight - 0.7)


def test_a_clean_meta_set_is_used_as_it_is(noisy: tuple) -> None:
    x, given, _ = noisy
    rest, truth = (part[600:700] for part in load_digits(return_X_y=True))
    fitted = small(meta_loss="ce").fit(x, given, rest, truth)
    assert len(fitted.label_issues_) == 600
    other = small(meta_loss="ce").fit(x, given, rest, (truth + 1) % 10)
    assert not np.array_equal(fitted.sample_weight_, other.sample_weight_)
    small(method="glc", epochs=2).fit(x, given, rest, truth)


def test_clean_samples_of_another_type_are_not_cut_to_whole_numbers(noisy: tuple) -> None:
    x, given, _ = noisy
    rest, truth = (part[600:700] for part in load_digits(return_X_y=True))
    pixels = x.astype(np.uint8)
    got = small(epochs=1).fit(pixels, given, rest + 0.75, truth).sample_weight_
    wanted = small(epochs=1).fit(pixels.astype(np.float32), given, rest + 0.75, truth)
    np.testing.assert_array_equal(got, wanted.sample_weight_)
