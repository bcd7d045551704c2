"""Columns of tables: their kinds, what is no feature, numbers as people write them."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from frames import RNG, ROWS, frame, table

from mwnet.data.tables.columns import copies, features_of, read_column
from mwnet.data.tables.loading import load_table


def kinds(data: pd.DataFrame) -> dict[str, str]:
    return {column.name: column.kind for column in features_of(data).columns}


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (RNG.normal(size=ROWS), "numeric"),
        (RNG.integers(0, 5, ROWS), "numeric"),
        ([f" {value:.3f} " for value in RNG.normal(size=ROWS)], "numeric"),
        (["1,5", "2,25", "3"] * 13 + ["?"], "numeric"),
        ([f"{i / 7:.1f}%" for i in range(ROWS)], "numeric"),
        ([True, False] * 20, "boolean"),
        (["true", "False"] * 20, "boolean"),
        (["yes", "no"] * 20, "category"),
        (pd.Categorical.from_codes([0, 1] * 20, categories=["1", "2"]), "category"),
        (["one", "2", "three", "4"] * 10, "category"),
        ([f"this is the text of row {i}" for i in range(ROWS)], "text"),
        ([f"これは{i}番目の文章です" for i in range(ROWS)], "text"),
        (pd.to_timedelta(RNG.integers(0, 9, ROWS), unit="h"), "numeric"),
    ],
)
def test_kinds_of_columns(values: object, kind: str) -> None:
    assert kinds(frame(c=values, other=RNG.normal(size=ROWS)))["c"] == kind


@pytest.mark.parametrize(
    ("name", "values", "why"),
    [
        ("n", np.arange(ROWS) * 7 + 3, "running number"),
        ("n", RNG.permutation(ROWS), "running number"),
        ("customer_id", RNG.choice(10**6, ROWS, replace=False), "identifier, by its name"),
        ("customer", [f"C{i:05d}" for i in RNG.choice(10**5, ROWS, replace=False)], "identifier"),
        ("c", [7] * ROWS, r"constant \(7\)"),
        ("c", ["x"] * ROWS, r"constant \(x\)"),
        ("c", [None] * ROWS, "empty"),
        ("when", [f"2024-{1 + i % 12:02d}-01" for i in range(ROWS)], "a date"),
        ("when", [f"{1 + i % 28}/12/2024" for i in range(ROWS)], "a date"),
        ("when", pd.date_range("2024-01-01", periods=ROWS), "a date"),
        ("when", ["2024-01-02", "13/01/2024"] * 20, "a date"),
        ("n", 2**60 + RNG.permutation(ROWS), "an identifier"),
    ],
)
def test_columns_that_are_no_features(name: str, values: object, why: str) -> None:
    data = frame(**{name: values, "other": RNG.normal(size=ROWS)})
    found = features_of(data)
    assert found.names == ("other",)
    assert pd.Series(found.notes).str.contains(f"left out '{name}': .*{why}").any()


def test_the_user_decides_otherwise() -> None:
    data = frame(id=np.arange(ROWS), when=pd.date_range("2024-01-01", periods=ROWS), a=1.5, b=2.5)
    data["b"] = RNG.normal(size=ROWS)
    assert features_of(data, columns=["id", "when"]).names == ("id", "when")
    assert features_of(data, drop=["when"]).names == ("b",)
    with pytest.raises(ValueError, match=r"there is no column 'bb' .did you mean b"):
        features_of(data, drop=["bb"])
    with pytest.raises(ValueError, match="no feature beside its labels"):
        features_of(data, drop=["b"])


def test_a_distinct_whole_number_is_a_feature_all_the_same() -> None:
    moments = RNG.choice(10**9, ROWS, replace=False)
    assert kinds(frame(milliseconds=moments)) == {"milliseconds": "numeric"}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([1.0, np.inf] * 20, "holds inf in row 2"),
        ([*map(str, range(39)), "red"], "'red' in row 40"),
        (["1,234", "5,678"] * 20, "decimal comma or thousands"),
        ([*map(str, range(30)), *["missing"] * 10], "'missing' in row 31"),
        (["5%", "0.05"] * 20, "holds '5%' and '0.05': write all numbers in one unit"),
        ([[1], [2]] * 20, "lists or other objects"),
        ([1j, 2j] * 20, "complex"),
    ],
)
def test_columns_that_are_refused(values: list, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_column("c", pd.Series(values))


@pytest.mark.parametrize(
    ("cells", "numbers"),
    [
        (["0,227", "1,234"], [0.227, 1.234]),
        (["1,234,567", "5,678"], [1234567, 5678]),
        (["1.234,50", "7"], [1234.5, 7]),
        (["1 234,5", "7"], [1234.5, 7]),
        (["$1,234.50", "-$3"], [1234.5, -3]),
        (["45.5%", "3 %"], [45.5, 3]),
        (["12.50 €", "-"], [12.5, np.nan]),
        (["1.5 kg", "3 kg"], [1.5, 3]),
        (["21 °C", "-4 °C"], [21, -4]),
        (["3 EUR", "4,5 €"], [3, 4.5]),
        (["(1,234.50)", "3"], [-1234.5, 3]),
        (["($5)", "$3"], [-5, 3]),
        (["\u22121.5", "2"], [-1.5, 2]),
        (["1,23,000", "45,000"], [123000, 45000]),
    ],
)
def test_numbers_as_people_write_them(cells: list[str], numbers: list[float]) -> None:
    assert read_column("c", pd.Series(cells)).values == pytest.approx(numbers, nan_ok=True)


@pytest.mark.parametrize(
    "cells", [["$5", "5 €"], ["5%", "5"], ["10.0.0.1", "10.0.0.2"], ["EUR", "USD"]]
)
def test_what_only_looks_like_numbers(cells: list[str]) -> None:
    assert read_column("c", pd.Series(cells)).kind == "category"


def test_the_true_labels_are_no_feature(tmp_path: Path) -> None:
    data = load_table(table(tmp_path / "data.csv", true_label=["x"] * 20 + ["y"] * 20))
    assert data.feature_names == ("a",)
    assert data.truth is not None
    assert data.truth.tolist() == [0] * 20 + [1] * 20
    assert (
        "column 'true_label' holds the true labels, for metrics and clean meta sets" in data.notes
    )


def test_a_copy_of_the_labels_is_named(tmp_path: Path) -> None:
    data = load_table(
        table(tmp_path / "data.csv", kind=["cat", "dog"] * 20, other=[1, 1, 2, 2] * 10)
    )
    assert [note[:12] for note in data.notes if "tells the label" in note] == ["'kind' tells"]
    assert data.table is not None
    assert not copies(data.table, np.arange(ROWS) % 3)


def test_true_labels_in_any_case_are_no_feature_and_may_be_dropped(tmp_path: Path) -> None:
    path = table(tmp_path / "data.csv", True_Label=["x"] * 20 + ["y"] * 20, y_true=["x", "y"] * 20)
    with pytest.raises(ValueError, match="leave one of them out by `drop`"):
        load_table(path)
    data = load_table(path, drop=["True_Label"])
    assert data.feature_names == ("a",)
    assert data.truth is not None
    assert data.truth.tolist() == [0, 1] * 20


def test_categories_of_a_parquet_stay_categories(tmp_path: Path) -> None:
    codes = pd.Categorical.from_codes([0, 1, 2, 3] * 10, categories=["01", "02", "10", "20"])
    path = tmp_path / "data.parquet"
    frame(code=codes, label=["x", "y"] * 20).to_parquet(path)
    data = load_table(path)
    assert data.table is not None
    assert data.table.columns[0].kind == "category"
    assert data.table.columns[0].values[0] == "01"


def test_dates_in_two_ways_are_refused_where_they_are_a_feature() -> None:
    with pytest.raises(ValueError, match="dates that are written in different ways"):
        read_column("c", pd.Series(["2024-01-02", "13/01/2024"] * 20), asked=True)


def test_large_whole_numbers_are_names() -> None:
    column = read_column("c", pd.Series([2**60, 2**60 + 1, None] * 20, dtype="Int64"))
    assert column.kind == "category"
    assert column.values[:3].tolist() == [str(2**60), str(2**60 + 1), None]


def test_numbers_that_a_parquet_calls_categories_are_some(tmp_path: Path) -> None:
    path = tmp_path / "data.parquet"
    codes = pd.Categorical([1, 2] * 20)
    frame(code=codes, n=[1, 2] * 20, label=["x", "y"] * 20).to_parquet(path)
    data = load_table(path)
    assert data.table is not None
    assert [column.kind for column in data.table.columns] == ["category", "numeric"]


@pytest.mark.parametrize(
    ("numbers", "noticed"),
    [
        ([*range(20), -999, -999, -999], ["'a' has -999 in 3 cells"]),
        ([*range(20), 999, 999, 999, -99, -99, -99], ["'a' has -99 in", "'a' has 999 in"]),
        ([*range(0, 2000, 100), -99, -99, -99], []),  # as near as the others are to each other
        ([*range(20), -999, -999], []),  # twice may be chance
        ([*range(20), -500, -500, -500], []),
        ([-999] * 20, []),  # there is no other number
    ],
)
def test_numbers_that_may_stand_for_a_missing_cell(numbers: list, noticed: list[str]) -> None:
    table = features_of(pd.DataFrame({"a": numbers, "b": np.arange(len(numbers)) / 7}))
    found = [note for note in table.notes if "far from its other numbers" in note]
    assert len(found) == len(noticed)
    assert all(note.startswith(start) for note, start in zip(found, noticed, strict=True))
    if noticed:
        assert table.columns[0].values.tolist() == numbers  # they are read as numbers
