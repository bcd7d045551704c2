"""Predictions on new data, by the command and from Python."""

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from commands import ROBUST, run
from odd_networks import Line
from scipy.sparse import csr_matrix
from sklearn.datasets import load_digits

import mwnet
from mwnet.__main__ import main

SMALL = ["--model.width", "16"]


@pytest.fixture(scope="module")
def table_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on a table with two numeric columns, and its folder."""
    out = tmp_path_factory.mktemp("table")
    rng = np.random.default_rng(0)
    label = rng.integers(0, 2, 200)
    frame = pd.DataFrame(
        {"height": label * 3 + rng.normal(size=200), "width": rng.normal(size=200),
         "label": np.where(label == 1, "big", "=small")}
    )  # fmt: skip
    frame.to_csv(out / "data.csv", index=False)
    flags = ["--dataset", "table", "--data", str(out / "data.csv"), *ROBUST, *SMALL]
    run(out / "run", *flags, "--epochs", "10")
    return out


def test_predictions_on_a_new_table(table_run: Path, tmp_path: Path) -> None:
    new = pd.DataFrame({"colour": ["red", "blue"], "width": [0.0, 0.0], "height": [-1.0, 4.0]})
    new.to_csv(tmp_path / "new.csv", index=False)
    out = tmp_path / "predictions.csv"
    argv = [str(table_run / "run"), "--data", str(tmp_path / "new.csv"), "--out", str(out)]
    assert main(["predict", *argv]) == 0
    lines = list(csv.DictReader(out.open()))
    assert [line["predicted_label"] for line in lines] == ["'=small", "big"]
    run_ = mwnet.load(table_run / "run")
    np.testing.assert_allclose(
        [float(line["probability of big"]) for line in lines],
        run_.predict_proba(new)[:, list(run_.classes).index("big")],
        rtol=1e-6,
    )


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("height\n1\n", "no column 'width'"),
        ("height,width\n1,big\n", "column 'width' holds 'big'"),
        ("height,width\n1\n", "Expected 2 columns, got 1"),
        ("height,width\n1,inf\n", "column 'width' holds inf in row 1"),
    ],
)
def test_a_new_table_that_does_not_fit(
    table_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, sentence: str
) -> None:
    (tmp_path / "new.csv").write_text(text)
    out = tmp_path / "out.csv"
    argv = [str(table_run / "run"), "--data", str(tmp_path / "new.csv"), "--out", str(out)]
    assert main(["predict", *argv]) == 2
    message = capsys.readouterr().err
    assert sentence in message
    assert message.count("\n") == 1
    assert not out.exists()


def test_predict_without_data_or_run(
    table_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["predict", str(table_run / "run")]) == 2
    assert "--data PATH" in capsys.readouterr().err
    assert main(["predict", str(tmp_path), "--data", "x.csv"]) == 2
    assert "no readable model" in capsys.readouterr().err
    assert main(["predict", str(table_run / "run"), "--data", "nowhere.csv"]) == 2
    assert "nowhere.csv" in capsys.readouterr().err


@pytest.mark.parametrize("model", ["mlp2", "resnet32"])
def test_an_export_computes_the_same(tmp_path: Path, model: str) -> None:
    pytest.importorskip("onnxscript")
    onnxruntime = pytest.importorskip("onnxruntime")
    argv = ["--model", model, "--model.width", "4"]
    run(tmp_path / "run", *ROBUST, *argv, "--epochs", "1")
    out = tmp_path / "model.onnx"
    assert main(["predict", str(tmp_path / "run"), "--export", "onnx", "--out", str(out)]) == 0
    x = load_digits().data[:5].reshape(-1, 1, 8, 8).astype(np.float32)
    session = onnxruntime.InferenceSession(str(out), providers=["CPUExecutionProvider"])
    (got,) = session.run(None, {"x": x})
    np.testing.assert_allclose(got, mwnet.load(tmp_path / "run").predict_proba(x), atol=1e-5)


def test_predictions_of_a_saved_classifier(tmp_path: Path) -> None:
    x, y = load_digits(return_X_y=True, as_frame=True)
    mwnet.MWNetClassifier(epochs=1).fit(x, y).save(tmp_path / "saved")
    x[:7].to_csv(tmp_path / "new.csv", index=False)
    argv = ["predict", str(tmp_path / "saved"), "--data", str(tmp_path / "new.csv")]
    assert main(argv) == 0
    assert len((tmp_path / "saved" / "predictions.csv").read_text().splitlines()) == 8


@pytest.mark.parametrize("array", [np.array(3.0), np.array("word"), np.arange(4.0)])
def test_an_array_of_no_samples_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], array: np.ndarray, table_run: Path
) -> None:
    np.save(tmp_path / "x.npy", array)
    argv = ["predict", str(table_run / "run"), "--data", str(tmp_path / "x.npy")]
    assert main(argv) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_predict_overwrites_only_when_told(
    table_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "new.csv").write_text("height,width\n1,2\n")
    out = tmp_path / "out.csv"
    out.write_text("mine")
    argv = ["predict", str(table_run / "run"), "--data", str(tmp_path / "new.csv")]
    assert main([*argv, "--out", str(out)]) == 2
    assert capsys.readouterr().err == (
        f"mwnet predict: {out} exists already: choose another --out, or add --overwrite\n"
    )
    assert out.read_text() == "mine"
    assert main([*argv, "--out", str(out), "--overwrite"]) == 0
    assert out.read_text().startswith("sample_id,")
    assert main([*argv, "--out", str(tmp_path)]) == 2
    assert "is a folder" in capsys.readouterr().err
    export = ["predict", str(table_run / "run"), "--export", "onnx", "--out", str(out)]
    assert main(export) == 2
    assert "--overwrite" in capsys.readouterr().err


def test_predict_says_how_to_open_a_network_of_ones_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    x, y = load_digits(return_X_y=True)
    np.save(tmp_path / "x.npy", x[:3])
    saved = tmp_path / "saved"
    own: Any = Line
    mwnet.MWNetClassifier(epochs=1, model=own).fit(x, y).save(saved)
    assert main(["predict", str(saved), "--data", str(tmp_path / "x.npy")]) == 2
    message = capsys.readouterr().err
    assert f"only Python can build it: mwnet.load({str(saved)!r}, model=BUILD)" in message
    assert message.count("\n") == 1
    assert mwnet.load(saved, model=Line).predict(x[:3]).shape == (3,)

    registered = tmp_path / "registered"
    with monkeypatch.context() as patch:
        patch.setitem(mwnet.MODELS, "line", Line)
        run(registered, *ROBUST, "--model", "line", "--epochs", "1")
    assert main(["predict", str(registered), "--data", str(tmp_path / "x.npy")]) == 2
    message = capsys.readouterr().err
    assert "needs the network 'line'" in message
    assert "in Python" in message
    assert message.count("\n") == 1
    monkeypatch.setitem(mwnet.MODELS, "line", Line)
    assert mwnet.load(registered).predict(x[:3].reshape(-1, 1, 8, 8)).shape == (3,)


def test_a_run_predicts_sparse_samples(table_run: Path) -> None:
    opened = mwnet.load(table_run / "run")
    x = np.array([[1.0, 0.0], [0.0, 2.0]], dtype=np.float32)
    np.testing.assert_array_equal(opened.predict_proba(csr_matrix(x)), opened.predict_proba(x))
