"""Features that somebody has computed: whose each row is, and what is said about it."""

from pathlib import Path

import numpy as np
import pytest
from commands import run
from frames import ROWS, table
from PIL import Image

from mwnet.data.load import load
from mwnet.runs.model import load_model
from mwnet.runs.predict import predicted

RNG = np.random.default_rng(0)
X = RNG.normal(size=(ROWS, 3)).astype(np.float32)


def photos(folder: Path) -> list[str]:
    for label in ("ants", "bees"):
        (folder / label).mkdir(parents=True)
        for place in range(ROWS // 2):
            Image.new("RGB", (4, 4), (place, 9, 9)).save(folder / label / f"{place:02d}.png")
    return sorted(str(file.relative_to(folder)) for file in folder.rglob("*.png"))


def test_rows_are_found_by_their_names(tmp_path: Path) -> None:
    names = photos(tmp_path / "photos")
    order = RNG.permutation(ROWS)
    own = tmp_path / "e.npz"
    np.savez(own, x=np.vstack([X[order], X[:1]]), names=[*np.array(names)[order], "more.png"])
    data = load("folder", path=tmp_path / "photos", features=str(own))
    assert np.array_equal(data.x[:, :, 0, 0].numpy(), X)
    (note,) = [note for note in data.notes if "e.npz" in note]
    assert note.endswith("its rows are found by their names; 1 of its rows are not used")


def test_rows_of_a_table_are_found_by_their_numbers(tmp_path: Path) -> None:
    order = RNG.permutation(ROWS)
    np.savez(tmp_path / "e.npz", features=X[order], ids=order)
    path = table(tmp_path / "t.csv")
    data = load("table", path=path, features=str(tmp_path / "e.npz"))
    assert np.array_equal(data.x[:, :, 0, 0].numpy(), X)


def test_without_names_the_order_is_said(tmp_path: Path) -> None:
    photos(tmp_path / "photos")
    np.save(tmp_path / "e.npy", X)
    data = load("folder", path=tmp_path / "photos", features=str(tmp_path / "e.npy"))
    assert (
        "the first row is taken for ants/00.png, the last for bees/19.png, in the order of the data"
        in "".join(data.notes)
    )


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": X}, "needs an array x of features and an array names"),
        ({"x": X, "names": range(1, ROWS + 1)}, "has no row for 1 samples, such as '0'"),
        ({"x": X, "names": [0, *range(ROWS - 1)]}, "1 of its names are there twice"),
        ({"x": X, "names": range(3)}, r"x has shape \(40, 3\) and names \(3,\)"),
    ],
)
def test_rows_that_fit_no_sample(tmp_path: Path, arrays: dict, message: str) -> None:
    np.savez(tmp_path / "e.npz", **{name: np.asarray(value) for name, value in arrays.items()})
    with pytest.raises(ValueError, match=message):
        load("table", path=table(tmp_path / "t.csv"), features=str(tmp_path / "e.npz"))


def test_new_features_on_another_scale_are_named(tmp_path: Path) -> None:
    np.save(tmp_path / "e.npy", X)
    out = tmp_path / "run"
    data = ["--data", str(table(tmp_path / "t.csv")), "--features", str(tmp_path / "e.npy")]
    run(out, *data, "--epochs", "1")
    np.save(tmp_path / "same.npy", X[:9])
    np.save(tmp_path / "scaled.npy", 50 + 100 * X[:9])
    model = load_model(out)
    assert predicted(model, tmp_path / "same.npy").notes == []
    (note,) = predicted(model, tmp_path / "scaled.npy").notes
    assert "were they made by the same network, and scaled alike?" in note
