"""Columns that are named like labels, beside the labels."""

from pathlib import Path

import numpy as np
import pytest
from frames import RNG, ROWS, table

from mwnet.data.source import Source
from mwnet.data.tables.loading import load_table

FLIPPED = ["y", "x", "y", "x", *["x", "y"] * (ROWS // 2 - 2)]
"""The labels of ``table`` but for four."""


def said(source: Source, word: str) -> str:
    (note,) = [note for note in source.notes if word in note]
    return note


def test_another_version_of_the_labels_is_left_out(tmp_path: Path) -> None:
    data = load_table(table(tmp_path / "t.csv", target=FLIPPED))
    assert data.feature_names == ("a",)
    note = said(data, "left out 'target'")
    assert note.endswith("it is named like labels too, and tells 90% of those in 'label'")
    assert "`columns` and `drop` choose other columns" in data.notes


def test_a_copy_with_other_words_is_left_out(tmp_path: Path) -> None:
    data = load_table(table(tmp_path / "t.csv", Class=[1, 0] * (ROWS // 2)))
    assert "tells 100%" in said(data, "left out 'Class'")


@pytest.mark.parametrize(
    ("name", "values"),
    [("class", ["first", "second", "first", "first"] * (ROWS // 4)), ("y", RNG.normal(size=ROWS))],
)
def test_what_tells_little_is_a_feature_and_named(
    tmp_path: Path, name: str, values: object
) -> None:
    data = load_table(table(tmp_path / "t.csv", **{name: values}))
    assert data.feature_names == ("a", name)
    assert "is used as a feature beside the labels in 'label'" in said(data, f"'{name}' is named")


def test_given_labels_beside_others_are_never_a_feature(tmp_path: Path) -> None:
    data = load_table(table(tmp_path / "t.csv", given_label=RNG.choice(["x", "y"], ROWS)))
    assert data.feature_names == ("a",)
    assert said(data, "left out 'given_label'")


def test_the_user_decides(tmp_path: Path) -> None:
    path = table(tmp_path / "t.csv", target=FLIPPED)
    assert load_table(path, columns=["a", "target"]).feature_names == ("a", "target")
    dropped = load_table(path, drop=["target"])
    assert not any("target" in note for note in dropped.notes)
    other = load_table(path, label_column="target")
    assert other.feature_names == ("a",)
    assert "of those in 'target'" in said(other, "left out 'label'")


def test_missing_cells_do_not_count(tmp_path: Path) -> None:
    half = np.where(np.arange(ROWS) < 4, None, np.array(["x", "y"] * (ROWS // 2), dtype=object))
    data = load_table(table(tmp_path / "t.csv", target=half))
    assert "tells 100%" in said(data, "left out 'target'")
