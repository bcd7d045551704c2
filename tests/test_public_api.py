"""The public names, finished runs opened from Python, predictions on new data, one training."""

import csv
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from commands import ROBUST, run
from scipy.sparse import csr_matrix
from sklearn.datasets import load_digits
from torch import nn
from torch.optim import AdamW

import mwnet
from mwnet.__main__ import main
from mwnet.builders.experiment import build
from mwnet.config.flags import parse_training
from mwnet.core.seeding import seeded
from mwnet.models import MODELS
from mwnet.runs.folder import RunFolder

SMALL = ["--model.width", "16"]


def test_importing_mwnet_takes_no_torch() -> None:
    code = "import sys, mwnet; sys.exit(any(m in sys.modules for m in ('torch', 'sklearn')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_every_public_name_is_there() -> None:
    for name in mwnet.__all__:
        assert getattr(mwnet, name).__doc__, name
        assert name in dir(mwnet)
    assert set(mwnet._HOMES) == set(mwnet.__all__)
    assert {"mwnet", "erm"} <= mwnet.METHODS.keys()
    with pytest.raises(AttributeError, match="nothing"):
        mwnet.nothing  # noqa: B018


def digits() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """500 training and 100 test digits, the training labels with 30 % replaced."""
    x, y = load_digits(return_X_y=True)
    rng = np.random.default_rng(1)
    given = y.copy()
    chosen = rng.random(len(y)) < 0.3
    given[chosen] = rng.integers(0, 10, chosen.sum())
    return x[:500], given[:500], x[500:600], y[500:600]


def test_one_seed_trains_the_same_weights_everywhere(tmp_path: Path) -> None:
    """The command line, the estimator and BilevelStep: equal bit for bit."""
    x, given, x_test, y_test = digits()
    np.savez(tmp_path / "data.npz", x=x, y=given, x_test=x_test, y_test=y_test)
    flags = [*ROBUST, "--dataset", "arrays", "--data", str(tmp_path / "data.npz"), *SMALL]
    flags += [
        "--method",
        "mwnet",
        "--seed",
        "3",
        "--epochs",
        "4",
        "--device",
        "cpu",
        "--model",
        "mlp2",
    ]
    run(tmp_path / "run", *flags)
    opened = mwnet.load(tmp_path / "run")

    fitted = mwnet.MWNetClassifier(
        method="mwnet", epochs=4, model="mlp2", model_options={"width": 16}, random_state=3,
        device="cpu",
    ).fit(x, given)  # fmt: skip

    config = parse_training(flags)
    experiment = build(config)  # for the same samples in the same order
    with seeded(3, "classifier"):
        network = MODELS["mlp2"](num_classes=10, in_channels=64, image_size=1, width=16)
    optimizer = AdamW(network.parameters(), lr=0.002, weight_decay=0.01)
    steps = len(experiment.train)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: 0.5 * (1 + np.cos(np.pi * step / (4 * steps)))
    )
    step = mwnet.BilevelStep(
        network, optimizer, meta_loss="mae", weight_lr=0.05, normalisation="sum",
        meta_interval=2, seed=3,
    )  # fmt: skip
    for k in range(4 * steps):
        batch, meta = experiment.train[k], experiment.meta[k]
        step(batch.x, batch.y, meta.x, meta.y)
        schedule.step()

    wanted = opened.network.state_dict()
    for got in (fitted.network_, network):
        state = got.state_dict()
        assert state.keys() == wanted.keys()
        for name, value in state.items():
            assert torch.equal(value, wanted[name]), name
    np.testing.assert_array_equal(fitted.predict_proba(x_test), opened.predict_proba(x_test))


def test_a_run_is_opened(tmp_path: Path) -> None:
    summary = run(tmp_path / "run", *ROBUST, *SMALL)
    opened = mwnet.load(tmp_path / "run")
    assert opened.summary == summary
    issues = opened.label_issues
    lines = {line["sample_id"]: line for line in RunFolder(tmp_path / "run").label_quality()}
    assert issues["label_quality"].is_monotonic_increasing
    assert sorted(issues.index) == sorted(map(int, lines))
    for name in ("given_label", "predicted_label"):
        assert all(lines[str(i)][name] == value for i, value in issues[name].items())
    x = load_digits().data[issues.index.to_numpy()].reshape(-1, 8, 8)
    probabilities = opened.predict_proba(x)
    saved, _ = RunFolder(tmp_path / "run").predictions()
    order = [sorted(issues.index).index(i) for i in issues.index]
    np.testing.assert_allclose(probabilities, saved[order], atol=1e-6)
    assert opened.predict(x).tolist() == issues["predicted_label"].tolist()
    with pytest.raises(ValueError, match="shape"):
        opened.predict_proba(x[:, :5])
    with pytest.raises(ValueError, match="NaN"):
        opened.predict_proba(np.full((1, 8, 8), np.nan))


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


def test_commands(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["--help"]) == 0
    listed = capsys.readouterr().out
    assert all(f"  {name} " in listed for name in ("train", "search", "table", "claim", "predict"))
    assert main(["trian"]) == 2
    assert "did you mean train?" in capsys.readouterr().err
    argv = [*ROBUST, *SMALL, "--epochs", "2", "--no-figures", "--no-tensorboard"]
    out = tmp_path / "run"
    assert main(["train", *argv, "--max-steps", "5", "--out", str(out)]) == 0
    assert main(["resume"]) == 2
    assert main(["claim", "list"]) == 0
    assert json.loads((out / "summary.json").read_text())["steps"] == 5


def test_metrics_by_hand() -> None:
    wrong, quality = [True, False, True, False], [0.1, 0.2, 0.3, 0.9]
    assert mwnet.metrics.roc_auc(wrong, quality) == 0.75
    assert mwnet.metrics.average_precision(wrong, quality) == pytest.approx((1 + 2 / 3) / 2)
    assert mwnet.metrics.precision_at_noise_rate(wrong, quality) == 0.5
    assert mwnet.metrics.f1(wrong, [True, True, False, False]) == 0.5
    assert mwnet.metrics.roc_auc([False, False], [0.1, 0.2]) is None
    assert mwnet.metrics.average_precision([False, False], [0.1, 0.2]) is None
    with pytest.raises(ValueError, match="one length"):
        mwnet.metrics.roc_auc([True], [0.1, 0.2])


def test_registries_are_those_that_the_program_uses(tmp_path: Path) -> None:
    mwnet.MODELS["line"] = Line
    try:
        assert run(tmp_path / "run", *ROBUST, "--model", "line")["model"] == "line"
    finally:
        del mwnet.MODELS["line"]


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


def test_an_unfinished_run_is_named(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("seed: 0")
    with pytest.raises(ValueError, match="not finished: mwnet resume"):
        mwnet.load(tmp_path)


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


class Line(nn.Module):
    def __init__(self, num_classes: int, in_channels: int, image_size: Any) -> None:
        super().__init__()
        self.line = nn.Linear(64, num_classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.line(x.flatten(1))


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
