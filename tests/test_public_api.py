"""The public names, finished runs opened from Python, one training everywhere."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from commands import ROBUST, run
from odd_networks import Line
from sklearn.datasets import load_digits
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


def test_an_unfinished_run_is_named(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("seed: 0")
    with pytest.raises(ValueError, match="not finished: mwnet resume"):
        mwnet.load(tmp_path)
