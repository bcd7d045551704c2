"""Short names: different ones stay different, on the screen and in the pictures too."""

from pathlib import Path

import numpy as np
import pytest
from commands import run
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure
from PIL import Image

from mwnet.core.names import short_names
from mwnet.runs.figures import confusion, confusion_on


@pytest.mark.parametrize(
    ("names", "short"),
    [
        (["cat", "exactly_twel"], ["cat", "exactly_twel"]),
        (["an uncommonly long name", "cat"], ["an uncommon…", "cat"]),
        (
            ["malignant tumour of the lung", "malignant tumour of the liver"],
            ["maligna…lung", "malign…liver"],
        ),
        (
            ["common_beginning_9", "common_beginning_10", "common_beginning_11"],
            ["common_beg…9", "common_be…10", "common_be…11"],
        ),
        (
            [f"photo_of_{what}_in_{year}" for what in ("cat", "dog") for year in (2020, 2021)],
            ["p…cat_i…2020", "p…cat_i…2021", "p…dog_i…2020", "p…dog_i…2021"],
        ),
        (["twice " * 4, "twice " * 4], ["twice twice…", "twice twice…"]),
        (["a" * 12 + "b" * 9, "a" * 11 + "…"], ["aaaaaaaaaa…0", "aaaaaaaaaaa…"]),
    ],
)
def test_what_is_kept(names: list[str], short: list[str]) -> None:
    assert short_names(names, 12) == short


@given(
    st.lists(st.text("ab_ …", min_size=1, max_size=40), max_size=12),
    st.sampled_from(["", "a_common_beginning_"]),
    st.integers(8, 14),
)
def test_different_names_stay_different(ends: list[str], begin: str, width: int) -> None:
    names = [begin + end for end in ends]
    short = short_names(names, width)
    assert all(len(name) <= width for name in short)
    assert len(set(zip(names, short, strict=True))) == len(set(names)) == len(set(short))
    kept = [name for name in names if len(name) <= width]
    assert kept == [name for name, was in zip(short, names, strict=True) if len(was) <= width]


def test_the_screen_tells_classes_apart(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(0)
    rows = [f"{rng.normal():.3f},{rng.normal():.3f}" for _ in range(80)]
    labels = ["common beginning, then one", "common beginning, then two"] * 40
    lines = [f'{row},"{label}"' for row, label in zip(rows, labels, strict=True)]
    (tmp_path / "data.csv").write_text("\n".join(["a,b,label", *lines]) + "\n")
    noise = ["--noise", "symmetric", "--noise-rate", "0.2"]
    run(tmp_path / "run", "--data", str(tmp_path / "data.csv"), *noise)
    shown = capsys.readouterr().out
    assert "common b…one 0.80 0.20" in shown
    assert "common b…two 0.20 0.80" in shown
    suspects = shown.split("most suspect training samples")[1]
    assert "common b…one  " in suspects
    assert "common b…two  " in suspects
    assert "common begin" not in suspects


@pytest.mark.parametrize("count", [3, 31, 100])
def test_axes_name_up_to_a_hundred_classes(count: int) -> None:
    classes = tuple(f"a common beginning ${place}" for place in range(count))
    axes = Figure().subplots()
    ids = np.arange(count)
    confusion_on(axes, ids, "true", ids, classes)
    for axis in (axes.xaxis, axes.yaxis):
        names = [tick.get_text() for tick in axis.get_ticklabels()]
        assert names == short_names(classes, 14)
        assert len(set(names)) == count


def test_more_classes_are_told_by_the_title() -> None:
    classes = tuple(f"class {place}" for place in range(101))
    axes = Figure().subplots()
    ids = np.arange(101)
    confusion_on(axes, ids, "true", ids, classes)
    title = "classes 0 (class 0) to 100 (class 100), in the order of summary.json"
    assert axes.get_title().splitlines()[1] == title


def test_the_picture_grows_until_a_hundred_names_fit(tmp_path: Path) -> None:
    heights = []
    for count in (31, 100, 101):
        ids = np.arange(count)
        confusion(tmp_path / "a.png", ids, "true", ids, tuple(f"class {i}" for i in ids))
        with Image.open(tmp_path / "a.png") as picture:
            heights.append(picture.height)
    assert heights == [1560, 2626, 1560]
