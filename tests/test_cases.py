"""Inputs as people have them: each is read as is right for it, or refused in one sentence.

The inputs and what is right for them are made by a script that is no part of the project.
"""

import atexit
import json
import logging
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from shared import SHARED, needs
from sklearn.metrics import roc_auc_score

import mwnet
from mwnet.__main__ import train
from mwnet.data.images import fitted

MAKER = SHARED / "cases" / "make_cases.py"
QUICK = ["--epochs", "1", "--no-figures", "--no-tensorboard", "--device", "cpu", "--threads", "1"]
MADE_BY_PANDAS = ("leading_zero_label.csv",)
"""Cases that pandas reads as something else, before mwnet sees them."""
FEW = "tiny12.csv"
"""Too few rows for the command line, which keeps some for testing; the classifier takes them."""

pytestmark = needs(MAKER)


def made() -> tuple[Path, dict[str, dict[str, Any]]]:
    """The folder of the cases, and what is right for each by its name."""
    folder = Path(tempfile.mkdtemp(prefix="mwnet-cases-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    if not MAKER.is_file():
        return folder, {}
    subprocess.run([sys.executable, MAKER, folder], check=True, capture_output=True)
    return folder, json.loads((folder / "expected.json").read_text(encoding="utf-8"))


FOLDER, EXPECTED = made()
every_case = pytest.mark.parametrize("name", EXPECTED)


def holds_one_of(text: str, words: list[str]) -> bool:
    return any(word in text for word in words)


def check_said(right: dict[str, Any], said: str) -> None:
    """What was told holds the number of features, a word of ``say``, and what was left out."""
    assert holds_one_of(said, right.get("say", [""])), said
    if "features" in right:
        assert f"{right['features']} features (" in said
    for column in right.get("drop", []):
        assert "left out " + (f"'{column}'" if column else "the column without a name") in said


def told(caplog: pytest.LogCaptureFixture) -> str:
    return "\n".join(record.getMessage() for record in caplog.records)


@every_case
def test_command_line(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    right = EXPECTED[name]
    out = tmp_path / "run"
    code = train([*QUICK, "--data", str(FOLDER / name), "--out", str(out)])
    said = capsys.readouterr()
    if "refuse" in right:
        assert code == 2
        assert said.err.startswith("train.py: ")
        assert said.err.count("\n") == 1
        assert holds_one_of(said.err, right["refuse"])
        assert said.out == ""
        assert not out.exists()
        return
    assert code == 0, said.err
    check_said(right, said.out)
    summary = json.loads((out / "summary.json").read_text())
    if "rows" in right:
        assert sum(summary["samples"].values()) == right["rows"]
    assert summary["classes"] == right.get("classes", summary["classes"])
    if "same_as" in right:
        twin = tmp_path / "twin"
        assert train([*QUICK, "--data", str(FOLDER / right["same_as"]), "--out", str(twin)]) == 0
        one, other = (pd.read_csv(run / "label_quality.csv") for run in (out, twin))
        assert one["predicted_label"].equals(other["predicted_label"])
        np.testing.assert_allclose(one["label_quality"], other["label_quality"], rtol=1e-3)


@every_case
def test_find_label_issues_of_a_path(name: str, caplog: pytest.LogCaptureFixture) -> None:
    right, path = EXPECTED[name], FOLDER / name
    quick = mwnet.MWNetClassifier(epochs=1)
    if "refuse" in right:
        with pytest.raises(ValueError) as refused:  # noqa: PT011, the words are checked below
            mwnet.find_label_issues(path, estimator=quick)
        assert holds_one_of(str(refused.value), right["refuse"])
        return
    issues = mwnet.find_label_issues(path, estimator=quick)
    check_said(right, told(caplog))
    test_part = len(np.load(path).get("x_test", [])) if path.suffix == ".npz" else 0
    if "rows" in right:
        assert len(issues) == right["rows"] - test_part
    if "classes" in right:
        assert sorted(set(issues["given_label"])) == sorted(right["classes"])
    assert issues["label_quality"].is_monotonic_increasing
    if "same_as" in right:
        twin = mwnet.find_label_issues(FOLDER / right["same_as"], estimator=quick)
        assert twin["predicted_label"].sort_index().equals(issues["predicted_label"].sort_index())


def by_pandas(name: str) -> tuple[pd.DataFrame, pd.Series] | None:
    """Features and labels as ``pandas.read_csv`` reads them; None where it does not."""
    try:
        frame = pd.read_csv(FOLDER / name)
    except UnicodeDecodeError:
        return None
    labels = [c for c in frame.columns if c.strip().lower() in ("label", "class")]
    if len(labels) != 1:
        return None
    truths = [c for c in frame.columns if c == "y_true"]
    return frame.drop(columns=[*labels, *truths]), frame[labels[0]]


@pytest.mark.parametrize(
    "name", [n for n in EXPECTED if (".csv" in n or ".tsv" in n) and n not in MADE_BY_PANDAS]
)
def test_find_label_issues_of_a_frame(name: str, caplog: pytest.LogCaptureFixture) -> None:
    right, read = EXPECTED[name], by_pandas(name)
    if read is None:
        pytest.skip("pandas.read_csv does not read it without being told how")
    x, y = read
    quick = mwnet.MWNetClassifier(epochs=1)
    if name == FEW:
        assert len(mwnet.find_label_issues(x, y, estimator=quick)) == len(x)
        return
    if "refuse" in right:
        with pytest.raises(ValueError) as refused:  # noqa: PT011, the words are checked below
            mwnet.find_label_issues(x, y, estimator=quick)
        assert holds_one_of(str(refused.value), right["refuse"])
        return
    with caplog.at_level(logging.INFO, "mwnet"):
        issues = mwnet.find_label_issues(x, y, estimator=quick)
    said = told(caplog)
    if "features" in right:
        assert f"{right['features']} features (" in said
    for column in right.get("drop", []):
        assert f"left out '{column or 'Unnamed: 0'}'" in said
    assert right.get("say") != ["missing"] or "missing" in said
    assert sorted(issues.index) == list(range(right["rows"]))
    assert issues["given_label"].sort_index().equals(y.rename("given_label"))


@pytest.mark.parametrize("name", [n for n, right in EXPECTED.items() if "auc_at_least" in right])
def test_ranking_of_few_rows(name: str) -> None:
    issues = mwnet.find_label_issues(FOLDER / name).sort_index()
    truth = pd.read_csv(FOLDER / "y_true.csv")["y_true"][: len(issues)]
    right = truth.to_numpy() == issues["given_label"].to_numpy()
    assert roc_auc_score(right, issues["label_quality"]) >= EXPECTED[name]["auc_at_least"]


def test_photos_look_right() -> None:
    read, folder = fitted(40), FOLDER / "photos" / "c0"
    plain = read(folder / "0.png").astype(float)
    assert np.abs(read(folder / "turned.jpg") - plain).mean() < 5
    for name in ("grey16.png", "float.tif"):
        grey = read(folder / name).astype(float)
        left, right = grey[:, :, 5].mean(), grey[:, :, -5].mean()
        assert 250 > left > right + 20 > 25
    clear = read(folder / "transparent.png").astype(float)
    assert (clear[:, 2, :] == 255).all()
    assert (clear[:, 20, 26] == 255).all()
    assert clear[1, 20, 10] > 150 > clear[2, 20, 10]
