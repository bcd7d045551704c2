"""What is said of odd labels: rare classes, equal samples with different labels."""

import logging
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from commands import run
from PIL import Image

import mwnet
from mwnet.data import remarks as module
from mwnet.data.load import load
from mwnet.data.remarks import remarks
from mwnet.data.source import Source
from mwnet.data.tables.columns import Column, Table

RARE = "too few to learn from or to judge labels by; add some or leave"
RNG = np.random.default_rng(0)


def source(labels: list[int], x: np.ndarray | None = None, **more: object) -> Source:
    classes = tuple("abcdefgh"[: max(labels) + 1])
    x = np.arange(float(len(labels)))[:, None] if x is None else x
    samples = torch.from_numpy(x if x.ndim == 4 else x[:, :, None, None])
    return Source("arrays", samples, torch.tensor(labels), None, classes, **more)  # pyright: ignore


def alike(table: list[np.ndarray], labels: list[int]) -> tuple[str, ...]:
    columns = tuple(
        Column(str(place), "text" if values.dtype == object else "numeric", values)
        for place, values in enumerate(table)
    )
    return remarks(source(labels, np.empty((len(labels), 0)), table=Table(columns)))


def test_nothing_is_said_of_data_without_oddities() -> None:
    assert remarks(source([0] * 5 + [1] * 5)) == ()


def test_a_rare_class_is_named_with_its_count() -> None:
    assert remarks(source([0] * 9 + [1] * 3)) == (f"class 'b' has 3 samples: {RARE} it out",)
    assert remarks(source([0] * 9 + [1])) == (f"class 'b' has 1 sample: {RARE} it out",)


def test_rare_classes_share_a_sentence_and_five_are_named() -> None:
    said = f"2 classes have fewer than 5 samples ('c' 1, 'b' 4): {RARE} them out"
    assert remarks(source([0] * 9 + [1] * 4 + [2])) == (said,)
    (said,) = remarks(source([0] * 9 + [1, 2, 3, 4, 5, 6]))
    assert "6 classes" in said
    assert "('b' 1, 'c' 1, 'd' 1, 'e' 1, 'f' 1, ...)" in said


def test_samples_of_a_test_part_do_not_count() -> None:
    labels = [0] * 9 + [1] * 4 + [0, 1, 1, 1]
    (said,) = remarks(source(labels, test_ids=torch.arange(13, 17)))
    assert said.startswith("class 'b' has 4 training samples: ")


@pytest.mark.parametrize(
    ("columns", "count"),
    [
        ([np.array([1.0, 2, 3, 4, 1, 6, 1, 8, 9, 0])], 3),
        ([np.array([1.0, 2, 3, 4, 5, 6, 7, 8, 9, 0])], 0),
        ([np.array([np.nan, 2, 3, 4, 5, 6, -np.nan, 8, 9, 0])], 2),
        ([np.array([0.0, 2, 3, 4, 5, 6, -0.0, 8, 9, 1])], 2),
        ([np.zeros(10), np.arange(10.0) % 9], 2),
        ([np.arange(10.0) % 9, np.array([*"abcdefgh", None, "a"], dtype=object)], 2),
        ([np.arange(10.0) % 9, np.array([*"abcdefghij"], dtype=object)], 0),
        ([np.array(["a", None, *"bcdefg", None, "h"], dtype=object)], 2),
    ],
)
def test_equal_rows_of_a_table(columns: list[np.ndarray], count: int) -> None:
    said = alike(columns, [0] * 5 + [1] * 5)
    assert len(said) == (count > 0)
    if count:
        assert said[0].startswith(f"{count} of 10 samples have the same features as another one")


def test_equal_rows_with_one_label_are_no_contradiction() -> None:
    assert alike([np.array([1.0, 1, 3, 4, 5, 6, 7, 8, 8, 8])], [0] * 5 + [1] * 5) == ()


def test_each_row_of_a_contradiction_counts() -> None:
    """Rows 0, 1 and 7 are equal, and so are 3 and 9; 5 and 6 agree."""
    x = np.array([1.0, 1, 3, 4, 5, 6, 6, 1, 8, 4])
    (said,) = remarks(source([0] * 5 + [1] * 5, x[:, None]))
    assert said.startswith("5 of 10 samples")
    assert "such as sample_id 0 and 7: one of the labels is wrong, or the features" in said


@pytest.mark.parametrize("dtype", [np.uint8, np.float16, np.float32])
def test_equal_images(monkeypatch: pytest.MonkeyPatch, dtype: type) -> None:
    monkeypatch.setattr(module, "CHUNK", 70)  # numbers: two images
    x = RNG.integers(0, 9, (10, 3, 3, 3)).astype(dtype)
    x[8] = x[1]
    (said,) = remarks(source([0] * 5 + [1] * 5, x))
    assert "2 of 10 samples" in said
    assert "sample_id 1 and 8" in said


def test_large_data_is_not_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    x = np.zeros((10, 1))
    assert len(remarks(source([0] * 5 + [1] * 5, x))) == 1
    monkeypatch.setattr(module, "MOST_ROWS", 9)
    assert remarks(source([0] * 5 + [1] * 5, x)) == ()


def test_equal_photos_are_called_by_their_names(tmp_path: Path) -> None:
    for label in ("cats", "dogs"):
        (tmp_path / label).mkdir()
        for number in range(5):
            x = RNG.integers(0, 255, (8, 8, 3), dtype=np.uint8)
            Image.fromarray(x).save(tmp_path / label / f"{number}.png")
    whole = (tmp_path / "cats" / "2.png").read_bytes()
    (tmp_path / "dogs" / "4.png").write_bytes(whole)
    said = load("folder", path=tmp_path, features="none").notes[-1]
    assert "2 of 10 samples" in said
    assert "such as sample_id cats/2.png and dogs/4.png:" in said


def table(path: Path) -> Path:
    rows = [f"{place % 38}.5,word{place % 38},{'ab'[place % 3 > 0]}" for place in range(40)]
    path.write_text("\n".join(["x,w,label", *rows, *["7.25,other,c"] * 2]) + "\n")
    return path


SAID = (
    "class 'c' has 2 samples: ",
    "4 of 42 samples have the same features as another one with another label, such as "
    "sample_id 0 and 38: ",
)


def test_the_library_logs_it(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "mwnet"):
        estimator = mwnet.MWNetClassifier(epochs=1)
        mwnet.find_label_issues(table(tmp_path / "a.csv"), estimator=estimator)
    for sentence in SAID:
        assert sentence in caplog.text


def test_the_command_prints_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = str(table(tmp_path / "a.csv"))
    run(tmp_path / "run", "--data", data, "--max-steps", "1")
    shown = capsys.readouterr().out
    for sentence in SAID:
        assert sentence in shown


def test_features_of_ones_own_are_compared(tmp_path: Path) -> None:
    np.save(tmp_path / "e.npy", RNG.normal(size=(42, 3)))
    data = load("table", path=table(tmp_path / "a.csv"), features=str(tmp_path / "e.npy"))
    assert SAID[0] in data.notes[-1]


@pytest.mark.parametrize("as_array", [True, False])
def test_data_from_python_is_remarked_upon(
    as_array: bool, caplog: pytest.LogCaptureFixture
) -> None:
    x = RNG.normal(size=(42, 3))
    x[38] = x[0]
    y = [*["a", "b"] * 20, "c", "c"]
    y[38] = "b"
    samples = x if as_array else pd.DataFrame(x, columns=[*"uvw"])
    with caplog.at_level(logging.WARNING, "mwnet"):
        mwnet.find_label_issues(samples, y, estimator=mwnet.MWNetClassifier(epochs=1))
    assert SAID[0] in caplog.text
    assert "2 of 42 samples have the same features" in caplog.text
    assert "sample_id 0 and 38: " in caplog.text


def test_clean_samples_are_called_by_their_argument(caplog: pytest.LogCaptureFixture) -> None:
    x, y = RNG.normal(size=(40, 3)), ["a", "b"] * 20
    with caplog.at_level(logging.WARNING, "mwnet"):
        mwnet.MWNetClassifier(epochs=1).fit(x, y, x[:4], ["a", "b", "b", "b"])
    assert "2 of 44 samples" in caplog.text
    assert "such as sample_id 2 and 2 of X_meta: " in caplog.text
