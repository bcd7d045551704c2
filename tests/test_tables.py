"""Tables: how they are read, what their columns are, how they are prepared."""

import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from mwnet.data.source import Source
from mwnet.data.tables.columns import copies, features_of, read_column
from mwnet.data.tables.loading import load_table
from mwnet.data.tables.preparation import Categories, Numbers, TablePreparation
from mwnet.data.tables.reading import read_frame

RNG = np.random.default_rng(0)
ROWS = 40


def frame(**columns: object) -> pd.DataFrame:
    return pd.DataFrame(columns or {"a": RNG.normal(size=ROWS)})


def table(path: Path, **columns: object) -> Path:
    everything = {"a": RNG.normal(size=ROWS), **columns, "label": ["x", "y"] * (ROWS // 2)}
    pd.DataFrame(everything).to_csv(path, index=False)
    return path


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
        ([[1], [2]] * 20, "lists or other objects"),
        ([1j, 2j] * 20, "complex"),
    ],
)
def test_columns_that_are_refused(values: list, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_column("c", pd.Series(values))


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


def mixed() -> pd.DataFrame:
    return frame(
        a=np.where(RNG.random(ROWS) < 0.2, np.nan, RNG.normal(size=ROWS)),
        colour=RNG.choice(["red", "blue"], ROWS),
        b=RNG.random(ROWS) < 0.5,
        text=[f"row {i} tells about cats or dogs {i % 3}" for i in range(ROWS)],
    )


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


def test_only_the_training_rows_are_measured() -> None:
    found = features_of(frame(a=np.concatenate([np.arange(20) / 7, 1000 + np.arange(20) / 7])))
    fitted = TablePreparation.fit(found, torch.arange(20))
    (part,) = fitted.parts
    assert isinstance(part, Numbers)
    assert max(part.knots) < 3


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
    ],
)
def test_numbers_as_people_write_them(cells: list[str], numbers: list[float]) -> None:
    assert read_column("c", pd.Series(cells)).values == pytest.approx(numbers, nan_ok=True)


@pytest.mark.parametrize(
    "cells", [["$5", "5 €"], ["5%", "5"], ["10.0.0.1", "10.0.0.2"], ["EUR", "USD"]]
)
def test_what_only_looks_like_numbers(cells: list[str]) -> None:
    assert read_column("c", pd.Series(cells)).kind == "category"


def written(path: Path, data: pd.DataFrame) -> Path:
    if path.suffix == ".parquet":
        data.to_parquet(path)
    elif path.suffix == ".feather":
        data.to_feather(path)
    elif path.suffix == ".xlsx":
        data.to_excel(path, index=False)
    else:
        data.to_csv(path, index=False, sep="\t" if ".tsv" in path.name else ",")
    return path


@pytest.mark.parametrize(
    "name",
    [
        "t.csv",
        "t.tsv",
        "t.csv.gz",
        "t.csv.bz2",
        "t.csv.xz",
        "t.zip",
        "t.parquet",
        "t.feather",
        "t.xlsx",
    ],
)
def test_formats_give_the_same_features(tmp_path: Path, name: str) -> None:
    data = mixed().assign(label=["x", "y"] * 20)
    data["colour"] = data["colour"].astype("category")
    one = load_table(written(tmp_path / "plain.csv", data))
    other = load_table(written(tmp_path / name, data))
    rows = torch.arange(30)
    assert torch.allclose(one.prepared(rows).x, other.prepared(rows).x, atol=1e-6)
    assert other.classes == ("x", "y")


def test_what_a_file_is_shows_in_its_content(tmp_path: Path) -> None:
    path = table(tmp_path / "data.txt")
    path.write_bytes(gzip.compress(path.read_bytes()))
    assert load_table(path).feature_names == ("a",)


@pytest.mark.parametrize("encoding", ["utf-16", "cp1252", "utf-8-sig"])
def test_encodings(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "data.csv"
    rows = "".join(f"{i * i / 7},{'Käse' if i % 2 else 'Öl'}\r\n" for i in range(ROWS))
    path.write_bytes(f"Größe,label\r\n{rows}".encode(encoding))
    data = load_table(path)
    assert data.feature_names == ("Größe",)
    assert data.classes == ("Käse", "Öl")


def test_a_spreadsheet_export_with_decimal_commas_and_an_empty_end(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    rows = "".join(f"{i % 7},125;1.{i:03d},5;{'ab'[i % 2]};\n" for i in range(ROWS))
    path.write_text(f"a;b;label;\n{rows};;;\n;;;\n")
    data = load_table(path)
    assert data.table is not None
    assert [column.values[8] for column in data.table.columns] == [1.125, 1008.5]
    assert "left out 2 empty rows at the end" in data.notes
    assert "left out the column without a name: empty" in data.notes


def test_other_sheets_are_named(tmp_path: Path) -> None:
    path = table(tmp_path / "data.csv")
    with pd.ExcelWriter(tmp_path / "data.xlsx") as book:
        for name in ("first", "second"):
            pd.read_csv(path).to_excel(book, sheet_name=name, index=False)
    assert (
        "read the first sheet, 'first', and not 'second'"
        in load_table(tmp_path / "data.xlsx").notes
    )


def test_text_with_separators_and_lines_in_its_cells(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    rows = "".join(f'"so, {i};\nit goes ""on""",{"ab"[i % 2]}\n' for i in range(ROWS))
    path.write_text(f"text,label\n{rows}")
    data = load_table(path)
    assert data.table is not None
    assert data.table.columns[0].kind == "text"
    assert data.table.columns[0].values[7] == 'so, 7;\nit goes "on"'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "needs a header line"),
        ("a,label\n", "at least one row"),
        ("a,label\n1,x\n2\n3,y\n", "Expected 2 columns, got 1"),
        ("1.5,2.5,x\n1.5,3.5,y\n", "no header"),
        ("a\0,label\n1,x\n", "binary data"),
        ("a,label\n" + "1,x\n2,y\n" * 5, "10 rows: too few"),
        ("a,b\n" + "1,x\n2,y\n" * 20, "which column holds the labels"),
        ("label,Label\n" + "1,x\n2,y\n" * 20, "columns label and Label"),
        ("LABEL,Label\n" + "1,x\n2,y\n" * 20, "name one as `label_column`"),
        ("Report\na,label\n1,x\n", "first line, 'Report', does not name the columns"),
        ('{"a": 1, "label": "x"}\n' * 20, "is JSON"),
        ("spam\ta\nspam\tb\n" * 20, "first line, with 'spam' in it, holds no names"),
    ],
)
def test_tables_that_are_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "data.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        load_table(path)


@pytest.mark.parametrize("header", ["0,1,2,label", "2019,2020,2021,label"])
def test_numbers_may_be_names_of_columns(tmp_path: Path, header: str) -> None:
    path = tmp_path / "data.csv"
    rows = "".join(f"{i * 7 % 5},{i % 4},{i % 3},{'xy'[i % 2]}\n" for i in range(ROWS))
    path.write_text(f"{header}\n{rows}")
    assert load_table(path).feature_names == tuple(header.split(",")[:3])


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


def test_a_repeated_column_gets_another_name(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    rows = "".join(f"{i * 7 % 5},{i % 4},{'xy'[i % 2]}\n" for i in range(ROWS))
    path.write_text(f"f,f,label\n{rows}")
    data, notes = read_frame(path)
    assert list(data.columns) == ["f", "f.1", "label"]
    assert "'f' is there twice" in notes[0]


def test_a_source_that_needs_no_preparation_is_itself() -> None:
    source = Source("s", torch.zeros(4, 2, 1, 1), torch.tensor([0, 1, 0, 1]), None, ("a", "b"))
    assert source.prepared(torch.arange(4)) is source


def test_a_missing_number_is_the_median_also_where_many_are_alike() -> None:
    values = np.concatenate([np.zeros(900), np.arange(1, 101), [np.nan]])
    out = Numbers.fit(values, mark=True).transform(np.array([np.nan, 0.0]))
    assert out[0, 0] == out[1, 0]


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


def test_dates_where_numbers_were_are_refused() -> None:
    fitted = TablePreparation.fit(features_of(frame()), torch.arange(30))
    with pytest.raises(ValueError, match="'a' holds '2020-01-01', and the run was trained on"):
        fitted.read(frame(a=["2020-01-01", "2020-01-05"]))


def test_spaces_around_names_of_columns_do_not_matter() -> None:
    data = frame(**{" a ": RNG.normal(size=ROWS), "b": RNG.normal(size=ROWS)})
    fitted = TablePreparation.fit(features_of(data), torch.arange(30))
    assert len(fitted.read(data)[0]) == ROWS
