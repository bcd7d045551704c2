"""What people hand to the classifier: tensors, masked arrays, tables of other libraries, labels."""

import logging
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch

import mwnet
from mwnet.data.inputs import as_table, check_rows, unwrapped

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 3))
Y = (X[:, 0] > 0).astype(int)
FRAME = pd.DataFrame(X, columns=["a", "b", "c"])


def fitted(x: object, y: object) -> mwnet.MWNetClassifier:
    return mwnet.MWNetClassifier(epochs=1, random_state=0).fit(x, y)


def test_tensors_are_arrays_also_with_a_gradient() -> None:
    tensor = torch.tensor(X, requires_grad=True)
    plain = fitted(X, Y).predict_proba(X)
    assert np.array_equal(fitted(tensor, torch.tensor(Y)).predict_proba(tensor), plain)


def test_what_is_masked_is_missing() -> None:
    masked = np.ma.array([[1, 2], [3, 4]], mask=[[False, True], [False, False]])
    assert unwrapped(masked) == pytest.approx(np.array([[1, np.nan], [3, 4]]), nan_ok=True)
    assert unwrapped(np.ma.array([1, 2])).dtype == int
    words = np.ma.array(["a", "b"], mask=[True, False])
    assert unwrapped(words).tolist() == [None, "b"]
    with pytest.raises(ValueError, match="NaN"):
        fitted(X, np.ma.array(Y, mask=[True, *[False] * 39]))


def test_tables_of_arrow_and_polars_are_tables() -> None:
    mixed = FRAME.assign(kind=["x", "y"] * 20)
    wanted = fitted(mixed, Y).predict_proba(mixed)
    table = pa.Table.from_pandas(mixed)
    assert np.array_equal(fitted(table, Y).predict_proba(table), wanted)
    polars = pytest.importorskip("polars")
    table = polars.from_pandas(mixed)
    assert np.array_equal(fitted(table, polars.Series(Y)).predict_proba(table), wanted)


def test_labels_in_another_order_than_the_samples_are_refused() -> None:
    order = RNG.permutation(40)
    with pytest.raises(ValueError, match=r"`y` has the rows of `X` in another order: give y\.loc"):
        fitted(FRAME, pd.Series(Y)[order])
    check_rows(FRAME.iloc[order], pd.Series(Y).iloc[order])
    check_rows(FRAME.iloc[order], pd.Series(Y, index=range(100, 140)))  # numbered anew
    check_rows(FRAME.set_axis([0] * 40), pd.Series(Y))


def test_one_hot_labels_are_named() -> None:
    for labels in (np.eye(2)[Y], pd.get_dummies(Y)):
        with pytest.raises(ValueError, match=r"`y` of shape \(40, 2\) is one-hot: give the column"):
            fitted(X, labels)


def test_labels_that_look_alike_are_named(caplog: pytest.LogCaptureFixture) -> None:
    labels = np.array(["no", "yes", "no ", "yes"] * 10)
    with caplog.at_level(logging.WARNING, "mwnet"):
        fitted(X, labels)
    assert "`y`: 'no ' and 'no' differ only in case or spaces" in caplog.text


def test_repeated_columns_are_named() -> None:
    with pytest.raises(ValueError, match="`X` has more than one column 'a'"):
        fitted(FRAME.set_axis(["a", "a", "b"], axis=1), Y)


@pytest.mark.filterwarnings("ignore:X has feature names")
def test_a_table_for_a_classifier_of_arrays() -> None:
    classifier = fitted(X, Y)
    assert np.array_equal(classifier.predict_proba(FRAME), classifier.predict_proba(X))


def test_columns_that_training_left_out_are_no_news(caplog: pytest.LogCaptureFixture) -> None:
    dated = FRAME.assign(when=pd.date_range("2024-01-01", periods=40))
    classifier = fitted(dated, Y)
    caplog.clear()
    with caplog.at_level(logging.WARNING, "mwnet"):
        classifier.predict(dated)
    assert caplog.text == ""


def test_a_missing_text_is_named() -> None:
    with pytest.raises(ValueError, match="list of texts, but sample 0 is no text"):
        as_table([None, "a text", "another"])
    assert as_table([Path("a.jpg")]) is None


def test_columns_may_be_named_by_words_and_numbers() -> None:
    named = FRAME.set_axis([0, "a", ("b", 1)], axis=1)
    plain = FRAME.set_axis(["0", "a", "('b', 1)"], axis=1)
    classifier = fitted(named, Y)
    assert list(classifier.feature_names_in_) == list(plain.columns)
    assert np.array_equal(classifier.predict_proba(named), classifier.predict_proba(plain))
    with pytest.raises(ValueError, match="`X` has more than one column '0'"):
        fitted(FRAME.set_axis([0, "0", "b"], axis=1), Y)
