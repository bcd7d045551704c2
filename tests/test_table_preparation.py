"""How columns become features, and how that is repeated for new rows."""

import numpy as np
import pandas as pd
import pytest
import torch
from frames import RNG, ROWS, frame, mixed

from mwnet.data.source import Source
from mwnet.data.tables.columns import features_of
from mwnet.data.tables.parts import Categories, Numbers
from mwnet.data.tables.preparation import TablePreparation


def test_numbers_become_standard_normal_by_rank() -> None:
    skewed = np.exp(3 * RNG.normal(size=5000))
    fitted = Numbers.fit(skewed, mark=False)
    out = fitted.transform(skewed)
    assert abs(out.mean()) < 1e-9
    assert abs(out.std() - 1) < 1e-9
    assert np.array_equal(np.argsort(out[:, 0], kind="stable"), np.argsort(skewed, kind="stable"))
    far = fitted.transform(np.array([-1e30, 1e30]))
    assert np.abs(far).max() < 4


def test_a_value_of_many_rows_is_in_the_middle_of_its_ranks() -> None:
    values = np.concatenate([np.zeros(600), RNG.uniform(1, 2, 400)])
    out = Numbers.fit(values, mark=False).transform(np.array([0.0, 1.5]))
    # The zeros' middle rank is 0.3, that of 1.5 is 0.8: -0.52 and 0.84 before standardising.
    assert -1.2 < out[0, 0] < -0.4
    assert 0.8 < out[1, 0] < 1.6


def test_a_missing_number_is_the_median_and_marked() -> None:
    values = np.array([1.0, 2.0, 3.0, np.nan] * 10)
    fitted = Numbers.fit(values, mark=True)
    out = fitted.transform(np.array([2.0, np.nan]))
    assert out[0, 0] == out[1, 0]
    assert out[:, 1].tolist() == [0, 1]
    assert np.isfinite(Numbers.fit(np.full(5, np.nan), mark=True).transform(values)).all()


def test_rare_and_unseen_categories_are_other() -> None:
    values = np.array(["a"] * 300 + ["b"] * 300 + ["rare"], dtype=object)
    fitted = Categories.fit(values, mark=True)
    assert fitted.names == ("a", "b")
    out = fitted.transform(np.array(["a", "rare", "unseen", None], dtype=object))
    assert out.tolist() == [[1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 1, 0], [0, 0, 0, 1]]


def test_only_the_training_rows_are_measured() -> None:
    found = features_of(frame(a=np.concatenate([np.arange(20) / 7, 1000 + np.arange(20) / 7])))
    fitted = TablePreparation.fit(found, torch.arange(20))
    (part,) = fitted.parts
    assert isinstance(part, Numbers)
    assert max(part.knots) < 3


def test_a_source_that_needs_no_preparation_is_itself() -> None:
    source = Source("s", torch.zeros(4, 2, 1, 1), torch.tensor([0, 1, 0, 1]), None, ("a", "b"))
    assert source.prepared(torch.arange(4)) is source


def test_a_missing_number_is_the_median_also_where_many_are_alike() -> None:
    values = np.concatenate([np.zeros(900), np.arange(1, 101), [np.nan]])
    out = Numbers.fit(values, mark=True).transform(np.array([np.nan, 0.0]))
    assert out[0, 0] == out[1, 0]


def test_new_rows_are_prepared_like_the_old_ones_after_saving() -> None:
    data = mixed()
    found = features_of(data)
    fitted = TablePreparation.fit(found, torch.arange(30))
    out = fitted.transform(found)
    assert out.shape == (ROWS, fitted.width)
    assert out.isfinite().all()
    assert all(tensor.is_contiguous() for tensor in fitted.tensors().values())  # to be saved
    copy = TablePreparation.restored(fitted.described(), fitted.tensors())
    shuffled = data[["text", "b", "colour", "a"]].assign(more=1)
    again, notes = copy.read(shuffled)
    assert torch.equal(copy.transform(again), out)
    assert notes == ["not used: column 'more'"]
    for one_row in (copy.read(data.iloc[[3]])[0], copy.read(data.iloc[[3]].astype(str))[0]):
        assert torch.allclose(copy.transform(one_row), out[[3]], atol=1e-6)


@pytest.mark.parametrize(
    ("new", "message"),
    [
        (frame(colour=["red"]), "no column 'a'"),
        (frame(a=["tall"], colour=["red"], b=[True], text=["x"]), "'a' holds 'tall'"),
    ],
)
def test_new_rows_of_another_kind(new: pd.DataFrame, message: str) -> None:
    fitted = TablePreparation.fit(features_of(mixed()), torch.arange(30))
    with pytest.raises(ValueError, match=message):
        fitted.read(new)


def test_dates_where_numbers_were_are_refused() -> None:
    fitted = TablePreparation.fit(features_of(frame()), torch.arange(30))
    with pytest.raises(ValueError, match="'a' holds '2020-01-01', and the run was trained on"):
        fitted.read(frame(a=["2020-01-01", "2020-01-05"]))


def test_spaces_around_names_of_columns_do_not_matter() -> None:
    data = frame(**{" a ": RNG.normal(size=ROWS), "b": RNG.normal(size=ROWS)})
    fitted = TablePreparation.fit(features_of(data), torch.arange(30))
    assert len(fitted.read(data)[0]) == ROWS
