"""mwnet.review: every kind of samples, what it refuses, and the page that a run leaves."""

import base64
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from commands import QUICK, ROBUST
from PIL import Image

import mwnet
from mwnet.__main__ import main

N = 24


def issues(index: Any = None, **columns: Any) -> pd.DataFrame:
    """Issues of N samples, every sixth of which is called wrong."""
    wrong = np.arange(N) % 6 == 0
    y = np.array(["a", "b"] * (N // 2))
    found = {
        "is_label_issue": wrong,
        "label_quality": np.where(wrong, 0.1, 0.9),
        "given_label": y,
        "predicted_label": np.where(wrong, np.roll(y, 1), y),
        "weight": np.ones(N),
        "loss": np.ones(N),
        "margin": np.full(N, -0.5),
    }
    return pd.DataFrame({**found, **columns}, index=index)


def data_of(path: Path) -> dict[str, Any]:
    (found,) = re.findall(r'id="data">(.*?)</script>', path.read_text(encoding="utf-8"))
    return json.loads(found)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "review.html"


def photos(folder: Path) -> list[Path]:
    files = []
    for i in range(N):
        files.append(folder / "ab"[i % 2] / f"{i:02}.png")
        files[-1].parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (60, 40), (i, 0, 0)).save(files[-1])
    return files


@pytest.mark.parametrize(
    ("x", "kind"),
    [
        (np.random.default_rng(0).random((N, 5)), "rows"),
        (np.zeros((N, 8, 8), dtype=np.uint8), "pictures"),
        (np.random.default_rng(0).random((N, 3, 60, 50)), "pictures"),
        (np.zeros((N, 28, 28, 3), dtype=np.uint8), "pictures"),
        ([f"text number {i} says nothing" for i in range(N)], "texts"),
        (pd.Series([f"text number {i} says nothing" for i in range(N)]), "texts"),
        (pd.DataFrame({"x": range(N), "colour": ["red", "blue", "blue"] * 8}), "rows"),
    ],
)
def test_every_kind_of_samples(x: Any, kind: str, out: Path) -> None:
    assert mwnet.review(issues(), x, out) == out
    found = data_of(out)
    assert found["looks"]["kind"] == kind
    assert found["ids"][:4] == ["0", "6", "12", "18"]
    assert found["classes"] == ["a", "b"]


def test_photos_and_paths(tmp_path: Path, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = photos(tmp_path / "photos")
    features = np.random.default_rng(0).random((N, 4)).astype(np.float32)
    place = "mwnet.data.photo_features.photo_features"
    monkeypatch.setattr(place, lambda found, *_, **__: features[: len(found)])
    mwnet.review(issues(), files, out)
    assert data_of(out)["looks"]["kind"] == "pictures"
    names = [f"{file.parent.name}/{file.name}" for file in files]
    mwnet.review(issues(names), tmp_path / "photos", out)
    assert data_of(out)["ids"][0] == names[0]

    frame = pd.DataFrame({"x": np.arange(N) * 1.5, "label": ["a", "b"] * (N // 2)})
    frame.to_csv(tmp_path / "table.csv", index=False)
    mwnet.review(issues(), tmp_path / "table.csv", out)
    assert data_of(out)["looks"]["features"] == ["x"]
    np.savez(
        tmp_path / "arrays.npz",
        x=np.zeros((N, 8, 8), np.uint8),
        y=np.array(frame["label"].tolist()),
    )
    mwnet.review(issues(), str(tmp_path / "arrays.npz"), out)
    assert data_of(out)["looks"]["kind"] == "pictures"


def test_samples_are_found_by_the_index(out: Path) -> None:
    frame = pd.DataFrame({"x": np.arange(N) * 1.5}, index=[f"row {i}" for i in range(N)])
    shuffled = issues(frame.index).sample(frac=1, random_state=0)
    mwnet.review(shuffled, frame, out)
    found = data_of(out)
    cells = {
        name: row[0][0] for name, row in zip(found["ids"], found["looks"]["cells"], strict=True)
    }
    assert cells["row 6"] == "9"
    assert cells["row 1"] == "1.5"


def test_a_run_quotes_names_that_a_spreadsheet_would_run(tmp_path: Path, out: Path) -> None:
    frame = pd.DataFrame({"x": np.arange(N) * 1.5}, index=[f"={i}" for i in range(N)])
    mwnet.review(issues([f"'={i}" for i in range(N)]), frame, out)
    assert data_of(out)["ids"][1] == "'=6"
    assert data_of(out)["looks"]["cells"][1][0] == ["9"]


def test_a_cut_margin_is_no_small_probability(out: Path) -> None:
    margin, loss = np.full(N, -30.0), np.full(N, 60.0)
    mwnet.review(issues(margin=margin, loss=loss), np.zeros((N, 8, 8)), out)
    text = data_of(out)["columns"]["probability"]
    assert np.frombuffer(base64.b64decode(text), dtype="<f4")[0] == 1


def test_numbers_as_pictures(out: Path) -> None:
    x = np.random.default_rng(0).random((N, 64))
    for shape in ((8, 8), (1, 8, 8), (4, 4, 4)):
        mwnet.review(issues(), x, out, image_shape=shape)
        assert data_of(out)["looks"]["kind"] == "pictures"


def test_probabilities_give_each_sample_a_suggestion(out: Path) -> None:
    def suggestions() -> list[int]:
        text = data_of(out)["columns"]["suggested"]
        return np.frombuffer(base64.b64decode(text), dtype="<i2").tolist()

    x = np.random.default_rng(0).random((N, 5))
    mwnet.review(issues(), x, out)
    assert suggestions().count(-1) == N - 4
    mwnet.review(issues(), x, out, pred_probs=np.full((N, 2), 0.5))
    assert -1 not in suggestions()
    mwnet.review(issues(), x, out, classes=["b", "a", "c"], pred_probs=np.full((N, 3), 0.3))
    assert data_of(out)["classes"] == ["b", "a", "c"]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"issues": [1]}, "`issues` must be a table of find_label_issues"),
        ({"issues": issues().drop(columns="loss")}, "`issues` has no column 'loss'"),
        ({"issues": issues()[:0]}, "`issues` is empty"),
        ({"issues": issues(["x"] * N)}, "`X` has no sample 'x'"),
        ({"X": np.zeros((5, 3))}, "`X` has no sample 5"),
        ({"X": "nowhere.csv"}, "there is no file or folder nowhere.csv"),
        ({"X": {"a": 1}}, "`X` must be samples as for find_label_issues"),
        ({"X": pd.DataFrame({"x": np.arange(N) * 1.5 % 7}, index=[0] * N)}, "same label twice"),
        ({"image_shape": (3, 3)}, "`image_shape=(3, 3)` does not fit"),
        ({"label_column": "x"}, "`label_column` is for a table"),
        ({"pred_probs": np.zeros((N, 3))}, "`pred_probs` must have a row for each line"),
        ({"classes": ["a"]}, "`classes` does not have 'b'"),
        ({"classes": ["a", "b", 1, "1"]}, "two classes have the same name"),
        ({"limit": 0}, "`limit` must be a whole number from 1"),
        ({"limit": 2.5}, "`limit` must be a whole number from 1"),
        ({"noise_estimate": {"rate": 0.1}}, "`noise_estimate` must have `rate` and `interval`"),
        ({"noise_estimate": {"rate": 2, "interval": [0, 1]}}, "`noise_estimate` must have shares"),
        ({"path": "no/such/folder.html"}, "there is no folder no/such"),
        ({"path": 5}, "`path` must be a path"),
    ],
)
def test_what_does_not_fit_is_one_sentence(
    change: dict[str, Any], sentence: str, out: Path
) -> None:
    arguments = {"issues": issues(), "X": np.zeros((N, 3)) + np.arange(3), "path": out, **change}
    with pytest.raises(ValueError, match=re.escape(sentence)) as caught:
        mwnet.review(**arguments)
    assert "\n" not in str(caught.value)
    assert not out.exists()


def test_a_run_leaves_its_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    argv = ["train", *ROBUST, *(flag for flag in QUICK if flag != "--no-figures")]
    assert main([*argv, "--out", str(tmp_path / "run")]) == 0
    assert "review.html" in capsys.readouterr().out
    found = data_of(tmp_path / "run" / "review.html")
    assert found["looks"]["kind"] == "pictures"
    lines = mwnet.load(tmp_path / "run").label_issues
    assert found["ids"] == [str(name) for name in lines.index]
    assert found["total"] == len(lines)
    assert found["noise"] is None
    assert main([*argv, "--no-figures", "--out", str(tmp_path / "plain")]) == 0
    assert not (tmp_path / "plain" / "review.html").exists()


def test_a_run_on_a_table_shows_its_cells(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 200)
    frame = pd.DataFrame({"size": y * 5 + rng.normal(size=200), "label": np.array(["=a", "b"])[y]})
    frame["colour"] = rng.choice(["red", "blue"], 200)
    frame.to_csv(tmp_path / "t.csv", index=False)
    argv = ["train", "--data", str(tmp_path / "t.csv"), "--method", "cross-fit", "--epochs", "2"]
    argv += ["--no-tensorboard", "--threads", "1", "--out", str(tmp_path / "run")]
    assert main(argv) == 0
    found = data_of(tmp_path / "run" / "review.html")
    assert set(found["looks"]["features"]) == {"size", "colour"}
    assert found["noise"]["rate"] == mwnet.load(tmp_path / "run").summary["noise_estimate"]["rate"]
    row = int(found["ids"][0])
    shown = dict(zip(found["looks"]["which"][0], found["looks"]["cells"][0][0], strict=True))
    names = {found["looks"]["features"][place]: cell for place, cell in shown.items()}
    assert names["colour"] == frame["colour"][row]
    assert float(names["size"]) == pytest.approx(frame["size"][row], rel=1e-3)


def test_the_room_can_be_called_whatever_was_imported_first() -> None:
    code = (
        "import mwnet.reviewing.gather, mwnet\n"
        "try: mwnet.review(1, 2)\n"
        "except ValueError as error: print(error)"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.startswith("`issues` must be a table")


def test_training_imports_nothing_of_a_page_before_its_end() -> None:
    code = "import mwnet.reviewing.from_run, sys; sys.exit('jinja2' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
