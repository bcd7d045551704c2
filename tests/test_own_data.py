"""Real tables, texts, photos and digits train by --data alone; they are no part of the project."""

import gzip
import json
import zipfile
from pathlib import Path

import pytest
from shared import SHARED, needs

from mwnet.__main__ import train
from mwnet.data import efficientnet_lite

OWN = SHARED / "data" / "own"
TABLES = sorted(OWN.glob("tabular/*.csv.gz"))
TEXTS = sorted(OWN.glob("text/*.csv.gz"))
PHOTOS = sorted(OWN.glob("photos/*.zip"))
QUICK = ["--epochs", "1", "--no-figures", "--no-tensorboard", "--device", "cpu", "--threads", "1"]
FEW_STEPS = ["--max-steps", "3"]
KNOWN = ("label", "class", "target", "y")
EACH = 20
"""Photos of a class."""

pytestmark = needs(OWN)


def trained(data: Path, out: Path, *more: str) -> dict:
    assert train([*QUICK, *FEW_STEPS, "--data", str(data), "--out", str(out), *more]) == 0
    return json.loads((out / "summary.json").read_text())


def header(path: Path) -> list[str]:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return file.readline().rstrip("\n").split(",")


@pytest.mark.parametrize("path", TABLES, ids=lambda path: path.name)
def test_tables(path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    label = header(path)[-1]
    named = [] if label.lower() in KNOWN else ["--label-column", label]
    if named:
        assert train([*QUICK, "--data", str(path), "--out", str(tmp_path / "run")]) == 2
        message = capsys.readouterr().err
        assert f"Give --label-column {label}; candidates" in message
        assert not (tmp_path / "run").exists()
    summary = trained(path, tmp_path / "run", *named)
    with gzip.open(path, "rt", encoding="utf-8") as file:
        lines = sum(1 for _ in file)
    assert sum(summary["samples"].values()) == lines - 1
    assert summary["steps"] == 3
    assert summary["model"] == "tabm"


@needs(OWN / "noisy" / "jira_defects_a.csv.gz")
def test_a_table_with_true_labels_beside_noisy_ones(tmp_path: Path) -> None:
    summary = trained(OWN / "noisy" / "jira_defects_a.csv.gz", tmp_path / "run")
    assert summary["noise"]["realised_rate"] == pytest.approx(0.228, abs=0.03)
    assert 0 <= summary["detection_auc"]["own"]["last"] <= 1


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.name)
def test_texts(path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    summary = trained(path, tmp_path / "run", "--train-size", "1000")
    assert "1 feature (1 text)" in capsys.readouterr().out
    assert summary["samples"]["train"] == 1000
    assert summary["model"] == "tabm"


@pytest.mark.skipif(
    efficientnet_lite.weights_file() is None, reason="mwnet[photos] is not installed"
)
@pytest.mark.parametrize("path", PHOTOS, ids=lambda path: path.name)
def test_photos(path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    count: dict[str, int] = {}
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            place = str(Path(name).parent)
            count[place] = count.get(place, 0) + (not name.endswith("/"))
            if count[place] <= EACH:
                archive.extract(name, tmp_path / "photos")
    (root,) = (folder for folder in (tmp_path / "photos", *(tmp_path / "photos").iterdir())
               if any(file.is_file() for file in folder.glob("*/*.jpg")))  # fmt: skip
    summary = trained(root, tmp_path / "run")
    assert "1280 features of efficientnet-lite0" in capsys.readouterr().out
    assert sum(summary["samples"].values()) == EACH * len(summary["classes"])
    # The labels are right, and three steps on such features teach a lot.
    assert summary["test_accuracy"]["last"] > 1 / len(summary["classes"])


@needs(OWN / "digits" / "usps.npz")
def test_digits(tmp_path: Path) -> None:
    summary = trained(OWN / "digits" / "usps.npz", tmp_path / "run")
    assert summary["samples"]["test"] == 2007
    assert summary["samples"]["train"] + summary["samples"]["meta"] == 7291
    assert len(summary["classes"]) == 10
