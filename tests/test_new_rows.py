"""New rows are read as the training rows were, and what differs is said."""

import json
import logging
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from commands import run
from frames import ROWS, frame

import mwnet
from mwnet.data.tables.columns import features_of, read_column
from mwnet.data.tables.preparation import TablePreparation
from mwnet.data.unlabelled import new_samples

DAYS = [f"{1 + i % 28:02d}/{1 + i % 12:02d}/2024" for i in range(ROWS)]
MONTHS = [f"{1 + i % 12:02d}/{1 + i % 28:02d}/2024" for i in range(ROWS)]
ISO = [f"2024-{1 + i % 12:02d}-{1 + i % 28:02d}" for i in range(ROWS)]
COMMAS = [f"{i}.00{i % 7},25" for i in range(1, ROWS + 1)]
POINTS = [f"{i},00{i % 7}.25" for i in range(1, ROWS + 1)]
WHOLE = [str(i % 9) for i in range(ROWS)]


def fitted(cells: object) -> TablePreparation:
    """The preparation of a column, as it is after it was saved."""
    made = TablePreparation.fit(features_of(frame(c=cells), columns=["c"]), torch.arange(ROWS))
    described = json.loads(json.dumps(made.described()))
    return TablePreparation.restored(described, made.tensors())


def read(trained: object, new: object) -> tuple[list, list[str]]:
    found, notes = fitted(trained).read(pd.DataFrame({"c": new}))
    return found.columns[0].values.tolist(), notes


@pytest.mark.parametrize(
    ("trained", "new", "values"),
    [
        (COMMAS, ["1.234"], [1234]),
        (COMMAS, ["1,234"], [1.234]),
        (COMMAS, ["7", None], [7, np.nan]),
        (COMMAS, [1.5], [1.5]),
        (COMMAS, pd.Series([1.5, None], dtype=object), [1.5, np.nan]),
        (POINTS, ["1,234"], [1234]),
        (POINTS, ["1.234"], [1.234]),
        (WHOLE, ["1,5"], [1.5]),
        (WHOLE, ["1.5"], [1.5]),
        ([f"{i} €" for i in range(ROWS)], ["4,5 EUR"], [4.5]),
        (DAYS, ["01/02/2024"], [19754]),
        (MONTHS, ["01/02/2024"], [19724]),
        (ISO, ["2024-01-02"], [19724]),
        (ISO, ["13/01/2024"], [19735]),
        (pd.to_datetime(ISO), ["2024-01-02"], [19724]),
        (DAYS, pd.to_datetime(["2024-02-01"]), [19754]),
    ],
)
def test_training_decides_what_new_cells_mean(
    trained: object, new: object, values: list[float]
) -> None:
    found, notes = read(trained, new)
    assert found == pytest.approx(values, nan_ok=True)
    assert notes == []


@pytest.mark.parametrize(
    ("trained", "new", "message"),
    [
        (COMMAS, ["1.5"], r"'c' holds '1.5', and in training its numbers had a decimal comma"),
        (COMMAS, ["1,234.5"], "had a decimal comma, as in 1,5"),
        (POINTS, ["1,5"], r"had a decimal point, as in 1.5"),
        (POINTS, ["1.234,5"], "had a decimal point"),
        (WHOLE, ["1,234"], "decimal comma or thousands"),
        ([f"${i}" for i in range(ROWS)], ["5 €"], r"is in €, and in training it was in \$"),
        (DAYS, ["01/13/2024"], "in training the day came first"),
        (MONTHS, ["13/01/2024"], "in training the month came first"),
        (ISO, ["01/02/2024"], "may be the day first or the month first"),
    ],
)
def test_new_cells_that_contradict_training(trained: object, new: list, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read(trained, new)


@pytest.mark.parametrize(
    ("trained", "new", "note"),
    [
        ([f"{i}%" for i in range(ROWS)], [45.0], "no unit here and had % in training: 45 counts"),
        (WHOLE, ["45 %"], "has % here and had no unit in training"),
    ],
)
def test_a_unit_on_one_side_is_said(trained: object, new: list, note: str) -> None:
    found, notes = read(trained, new)
    assert found == [45]
    assert len(notes) == 1
    assert note in notes[0]


def test_categories_that_are_numbers_are_compared_as_numbers() -> None:
    trained = pd.Series([1, 2, 10] * 13 + [1]).astype("category")
    assert read(trained, [1.0, 2.0, None]) == (["1", "2", None], [])
    assert read(trained, ["10", " 2.0 "])[0] == ["10", "2"]
    codes = ["01", "1", "two"] * 13 + ["01"]
    assert read(codes, ["1.0", "01"]) == (["1", "01"], [])


def test_categories_that_training_has_not_seen_are_said_once() -> None:
    data = frame(a=["x", "y"] * 20, b=["u", "v"] * 20)
    made = TablePreparation.fit(features_of(data), torch.arange(ROWS))
    _, notes = made.read(pd.DataFrame({"a": ["z", "x", "z"], "b": ["u", None, "w"]}))
    assert notes == [
        'cells of categories that training has not or hardly seen count as "other": '
        "'a' 2 ('z'); 'b' 1 ('w')"
    ]


def test_a_date_that_nothing_decides_is_refused_where_it_is_a_feature() -> None:
    cells = pd.Series(["01/02/2024", "03/04/2024"] * 20)
    assert read_column("c", cells).why == "a date"
    with pytest.raises(ValueError, match=r"'01/02/2024', which may be the day first"):
        read_column("c", cells, asked=True)
    dots = pd.Series(["01.02.2024", "03.04.2024"] * 20)
    assert read_column("c", dots, asked=True).values[0] == 19754


def test_one_file_decides_for_another(tmp_path: Path) -> None:
    """Decimal commas between semicolons: 1.234 is a thousand there, in old rows and new ones."""
    lines = [f"{i % 7},5;{1 + i % 9}.{i * 7 % 31:03d};{'ab'[i % 2]};{i % 2}" for i in range(ROWS)]
    path, out, new = tmp_path / "old.csv", tmp_path / "run", tmp_path / "new.csv"
    path.write_text("\n".join(["a;people;kind;label", *lines, ""]))
    run(out, "--data", str(path), "--epochs", "1", "--threads", "1")
    found = mwnet.load(out).model.preparation
    assert found is not None
    assert [spelling.decimal for spelling in found.spellings] == [",", ",", None]

    def values(text: str) -> list[list]:
        new.write_text(text)
        _, samples, _ = new_samples(new, preparation=found, extractor=None, image_size=None)
        return [column.values.tolist() for column in samples.columns]

    assert values("a;people;kind\n2;1.234;a\n") == [[2], [1234], ["a"]]
    assert values("a,people,kind\n2,1.234,b\n") == [[2], [1234], ["b"]]
    with pytest.raises(ValueError, match=r"'a' holds '2\.5', and in training its numbers had"):
        values("a,people,kind\n2.5,1.234,b\n")
    pd.DataFrame({"a": [2.5], "people": [1.234], "kind": ["a"]}).to_parquet(new)
    _, samples, _ = new_samples(new, preparation=found, extractor=None, image_size=None)
    assert samples.columns[1].values.tolist() == [1.234]


def test_points_of_the_training_file_hold_for_a_file_with_commas(tmp_path: Path) -> None:
    made = TablePreparation.fit(
        features_of(pd.DataFrame({"a": np.arange(20) / 8}), decimal="."), torch.arange(20)
    )
    new = tmp_path / "new.csv"
    new.write_text("a;b\n1,5;x\n2,5;x\n")
    with pytest.raises(ValueError, match=r"new\.csv: column 'a' holds '1,5', and in training"):
        new_samples(new, preparation=made, extractor=None, image_size=None)


def test_the_classifier_keeps_what_training_decided(caplog: pytest.LogCaptureFixture) -> None:
    data = frame(a=COMMAS, b=["x", "y"] * 20)
    classifier = mwnet.MWNetClassifier(epochs=1, random_state=0).fit(data, [0, 1] * 20)
    caplog.clear()
    one = pd.DataFrame({"a": ["1.234"], "b": ["x"]})
    with caplog.at_level(logging.WARNING):
        plain = classifier.predict_proba(pd.DataFrame({"a": [1234.0], "b": ["x"]}))
        assert np.array_equal(classifier.predict_proba(one), plain)
        assert caplog.messages == []
        classifier.predict(one.assign(b="z"))
    assert "count as \"other\": 'b' 1 ('z')" in caplog.text
    with pytest.raises(ValueError, match="had a decimal comma"):
        classifier.predict(pd.DataFrame({"a": ["1.5"], "b": ["x"]}))
