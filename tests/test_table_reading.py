"""Files of tables: formats, encodings, separators, what is refused."""

import gzip
from pathlib import Path

import pandas as pd
import pytest
import torch
from frames import RNG, ROWS, mixed, table

from mwnet.data.tables.loading import load_table
from mwnet.data.tables.reading import read_frame


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
        ("a b label\n" + "1 2 x\n" * 20, "has one column only, 'a b label'"),
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


def test_a_repeated_column_gets_another_name(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    rows = "".join(f"{i * 7 % 5},{i % 4},{'xy'[i % 2]}\n" for i in range(ROWS))
    path.write_text(f"f,f,label\n{rows}")
    data, notes, _ = read_frame(path)
    assert list(data.columns) == ["f", "f.1", "label"]
    assert "'f' is there twice" in notes[0]


@pytest.mark.parametrize("mark", ["\ufeffsep=;\r\n", '"sep=;"\n'])
def test_the_separator_may_stand_in_the_first_line(tmp_path: Path, mark: str) -> None:
    path = tmp_path / "data.csv"
    rows = "".join(f"{i},5;{'xy'[i % 2]}\n" for i in RNG.permutation(ROWS))
    path.write_text(f"{mark}a;label\n{rows}", encoding="utf-8")
    data = load_table(path)
    assert data.feature_names == ("a",)
    assert len(data.labels) == ROWS


def test_a_repeated_label_column_is_no_feature(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    rows = "".join(f"{i * 7 % 5},{'xy'[i % 2]},{'xy'[i % 3 > 0]}\n" for i in range(ROWS))
    path.write_text(f"f,kind,kind\n{rows}")
    data = load_table(path, label_column="kind")
    assert data.feature_names == ("f",)
    assert any(note.startswith("left out 'kind.1'") for note in data.notes)


def test_answers_of_annotators_are_no_samples(tmp_path: Path) -> None:
    path = tmp_path / "answers.csv"
    rows = "".join(f"{i % 13},{i % 4},{'xy'[i % 2]}\n" for i in range(ROWS))
    path.write_text(f"item,annotator,label\n{rows}")
    with pytest.raises(
        ValueError, match=r"answers of annotators, not samples: .*'item' and 'annot"
    ):
        load_table(path)
    path.write_text(f"item,size,label\n{rows}")
    assert load_table(path).feature_names == ("item", "size")
