"""How samples look on a review page: pictures on sheets, cells that differ, words that speak."""

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from test_review_gather import line, shown

from mwnet.core.errors import UserError
from mwnet.data.tables.columns import Column, Table
from mwnet.reviewing.pictures import Photos, Pictures
from mwnet.reviewing.reviewed import Shown
from mwnet.reviewing.rows import Rows
from mwnet.reviewing.words import Texts


def pictures(x: np.ndarray) -> Pictures:
    return Pictures(torch.from_numpy(x), torch.arange(len(x)))


def opened(content: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(content)))


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 28, 28), (1, 48, 20)])
def test_tiny_pictures_are_on_their_sheet_as_they_are(shape: tuple[int, int, int]) -> None:
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (30, *shape)).astype(np.uint8)
    samples = line()
    found = shown(samples, 10)
    looks, sheets = pictures(x).packed(samples, found)
    assert looks["tiny"]
    sheet = opened(sheets[0][1])
    assert sheets[0][0] == "image/png"
    set_ = looks["large"]
    assert set_["sizes"] == [[shape[2], shape[1]]]
    for member, row in enumerate(found.members):
        place = set_["places"][member]
        top, left = place // set_["across"] * set_["cell"], place % set_["across"] * set_["cell"]
        cut = sheet[top : top + shape[1], left : left + shape[2]]
        wanted = x[row].transpose(1, 2, 0) if shape[0] == 3 else x[row, 0]
        np.testing.assert_array_equal(cut, wanted)


def test_many_pictures_take_several_sheets() -> None:
    n = 3000
    x = (np.arange(n * 48 * 48) % 256).reshape(n, 1, 48, 48).astype(np.uint8)
    found = Shown(np.arange(n), n, np.full((n, 2, 3), -1))
    looks, sheets = pictures(x).packed(line(), found)
    on, across = looks["large"]["on"], looks["large"]["across"]
    assert len(sheets) == -(-n // on) == 2
    assert looks["large"]["rows"] == [across, -(-(n - on) // across)]
    last = n - 1 - on
    top, left = last // across * 48, last % across * 48
    np.testing.assert_array_equal(opened(sheets[1][1])[top : top + 48, left : left + 48], x[-1, 0])


def test_other_numbers_are_stretched_over_the_set() -> None:
    x = np.zeros((30, 1, 8, 8), dtype=np.float32)
    x[0], x[1], x[2] = -1, 1, 0
    greys = [one[0, 0] for one in pictures(x).read(np.array([0, 1, 2]), 48)]
    assert greys == [0, 255, 128]
    few = np.full((2, 1, 8, 8), 16, dtype=np.uint8)
    few[1] = 4
    assert [one[0, 0] for one in pictures(few).read(np.arange(2), 48)] == [255, 64]


def test_photos_keep_their_shape(tmp_path: Path) -> None:
    files = []
    for i in range(30):
        files.append(tmp_path / f"{i}.png")
        Image.new("RGB", (300, 150) if i % 2 else (40, 60), (i * 8, 100, 200)).save(files[-1])
    samples = line()
    found = shown(samples, 10)
    looks, sheets = Photos(tuple(files)).packed(samples, found)
    sizes = looks["large"]["sizes"]
    assert len(sizes) == 10
    for member, row in enumerate(found.reviewed):
        assert sizes[member] == ([128, 64] if row % 2 else [40, 60])
    assert looks["small"]["first"] == len(sheets) - 1
    beside = set(found.near[found.near >= 0].tolist())
    assert {m for m, place in enumerate(looks["small"]["places"]) if place >= 0} == beside
    centre = opened(sheets[0][1])[20, 20].astype(int)
    assert np.abs(centre - [int(found.reviewed[0]) * 8, 100, 200]).max() < 6
    files[3].unlink()
    with pytest.raises(UserError, match=r"3\.png"):
        Photos(tuple(files)).packed(samples, found)


def table() -> Table:
    rng = np.random.default_rng(0)
    high = np.arange(30) >= 15
    size = np.where(high, 50.0, 10.0) + rng.normal(size=30)
    colour = np.where(high, "red", "blue").astype(object)
    hole = rng.normal(size=30)
    hole[3] = np.nan
    flag = np.where(high, 1.0, 0.0)
    return Table(
        (
            Column("noise", "numeric", rng.normal(size=30)),
            Column("size", "numeric", size),
            Column("colour", "category", colour),
            Column("hole", "numeric", hole),
            Column("flag", "boolean", flag),
        )
    )


def test_cells_that_differ_most_come_first() -> None:
    samples = line()  # sample 3 is given as "high" and looks like "low"
    looks, sheets = Rows(table()).packed(samples, shown(samples, 2))
    assert sheets == []
    names = [looks["features"][i] for i in looks["which"][0]]
    assert names[0] == "size"
    assert set(names[1:4]) == {"colour", "hole", "flag"}
    assert looks["distance"][0][0] < -10  # far below the median of "high"
    assert names[-1] == "noise"
    cells = dict(zip(names, looks["cells"][0][0], strict=True))
    assert cells["colour"] == "blue"
    assert cells["flag"] == "false"
    assert cells["hole"] == ""
    place = looks["features"].index("colour")
    assert looks["usual"][place] == ["blue", "red"]
    assert len(looks["cells"][0]) == 7  # itself and three of each class
    assert looks["cells"][0][1][names.index("colour")] == "red"


def test_rows_of_a_larger_table_look_as_if_they_were_all_of_it() -> None:
    samples, whole = line(), table()
    order = np.random.default_rng(1).permutation(60) % 30  # each row of the table twice, mixed
    place = np.array([np.flatnonzero(order == row)[0] for row in range(30)])
    mixed = Table(tuple(replace(one, values=one.values[order]) for one in whole.columns))
    some = Rows(mixed).rows(place)
    assert len(some) == 30
    assert some.packed(samples, shown(samples, 2)) == Rows(whole).packed(samples, shown(samples, 2))
    half = np.arange(0, 30, 2)
    (column, *_) = mixed.columns
    cells = some.rows(half).cells_of(column, np.arange(15))
    np.testing.assert_array_equal(cells, whole.columns[0].values[half])


def test_a_column_of_names_tells_nothing() -> None:
    samples = line()
    names = np.array([f"name {row}" for row in range(30)], dtype=object)
    colour = np.where(np.arange(30) >= 15, "red", "blue").astype(object)
    table = Table((Column("name", "category", names), Column("colour", "category", colour)))
    looks, _ = Rows(table).packed(samples, shown(samples, 1))
    assert [looks["features"][i] for i in looks["which"][0]] == ["colour", "name"]
    assert looks["distance"][0][1] < 0.5


def test_a_value_that_half_a_class_share_is_no_infinite_scale() -> None:
    samples = line()
    values = np.zeros(30)
    values[:4] = [0, 0, 0, 0.001]
    values[20:] = 100
    looks, _ = Rows(Table((Column("x", "numeric", values),))).packed(
        replace(samples, given=np.zeros(30, dtype=np.int64)),
        shown(samples, 1),
    )
    assert abs(looks["distance"][0][0]) < 0.1


def test_numbers_and_days_are_written_as_people_do() -> None:
    columns = (
        Column("n", "numeric", np.array([3.0, 0.123456, 12345678.0, np.nan] * 8)[:30]),
        Column("d", "date", np.full(30, 19_000.0)),
    )
    samples = line()
    found = Shown(np.arange(4), 4, np.full((4, 2, 3), -1))
    looks, _ = Rows(Table(columns)).packed(samples, found)
    n = looks["features"].index("n")
    written = [
        row[0][which.index(n)] for row, which in zip(looks["cells"], looks["which"], strict=True)
    ]
    assert written == ["3", "0.1235", "12345678", ""]
    assert looks["usual"][1 - n] == ["2022-01-08", "2022-01-08"]


def test_words_speak_for_the_class_that_has_them() -> None:
    texts = np.array(["good film " + "x" * (i % 3) for i in range(15)] + ["bad film"] * 15, object)
    samples = line()
    looks, _ = Texts(texts).packed(samples, shown(samples, 2))
    # Given "high", whose other texts are bad; it says what "low" says.
    assert looks["words"][0] == [[], ["good"]]
    assert looks["words"][1] == [["good"], []]
    assert looks["texts"][0] == "good film "


def test_texts_are_cut_and_may_be_missing() -> None:
    texts = np.array(["word " * 1000] * 30, dtype=object)
    texts[0] = None
    samples = line()
    found = shown(samples, 2)
    looks, _ = Texts(texts).packed(samples, found)
    assert looks["texts"][1] == ""
    assert len(looks["texts"][0]) == 2000
    assert looks["texts"][0].endswith("…")
    assert {len(text) for text in looks["texts"][2:]} == {240}
    looks, _ = Texts(np.full(30, None, dtype=object)).packed(samples, found)
    assert looks["words"] == [[[], []], [[], []]]
