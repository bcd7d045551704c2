"""Whole runs and what they leave behind."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from commands import ROBUST, run
from sklearn.datasets import load_digits
from sklearn.metrics import roc_auc_score

import train
from mwnet.data.load import load
from mwnet.detection import SCORES
from mwnet.runs.outputs import device_name
from mwnet.training import checkpoint


def test_a_run_leaves_everything_that_is_promised(tmp_path: Path) -> None:
    out = tmp_path / "run"
    arguments = ["--epochs", "2", "--device", "cpu", "--threads", "1", "--out", str(out), *ROBUST]
    assert train.main(arguments) == 0
    names = {path.name for path in out.iterdir()}
    assert {
        "config.yaml",
        "metrics.jsonl",
        "summary.json",
        "label_quality.csv",
        "label_quality_heldout.csv",
        "noise_matrix.csv",
        "pred_probs.npy",
        "labels.npy",
        "last.pt",
        "best.pt",
        "figures",
    } <= names
    assert any(name.startswith("events.out.tfevents") for name in names)
    assert not any(name.endswith(".tmp") for name in names)
    figures = {path.name for path in (out / "figures").iterdir()}
    assert figures == {
        "weight_curve.png",
        "label_quality.png",
        "detection.png",
        "training.png",
        "labels.png",
    }
    assert all((out / "figures" / name).read_bytes()[:4] == b"\x89PNG" for name in figures)

    summary = json.loads((out / "summary.json").read_text())
    assert summary["mode"] == "train"
    assert (summary["method"], summary["meta_loss"], summary["meta_noisy"]) == (
        "mwnet",
        "mae",
        True,
    )
    assert (summary["dataset"], summary["model"], summary["seed"]) == ("digits", "mlp2", 0)
    assert summary["epochs"] == 2
    assert summary["noise"].keys() == {"name", "rate", "realised_rate", "assumed"}
    assert summary["phases"] == {"training": 2}
    assert summary["test_accuracy"].keys() == {"last", "best", "best_epoch"}
    assert tuple(summary["detection_auc"]) == tuple(summary["average_precision"]) == SCORES
    assert {"last", "best"} <= summary["detection_auc"]["own"].keys()
    assert {"total", "per_step"} <= summary["seconds"].keys()
    assert {"engine", "device", "versions"} <= summary.keys()

    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in lines] == [1, 2]
    assert lines[-1]["test_accuracy"] == summary["test_accuracy"]["last"]
    assert lines[-1]["weights"].keys() == {
        "min", "mean", "max", "effective_share", "slope", "collapse"
    }  # fmt: skip


def test_the_numbers_of_the_readme(tmp_path: Path) -> None:
    """One seed of the main command, in full."""
    summary = run(tmp_path / "run", *ROBUST, "--epochs", "60")
    assert summary["detection_auc"]["own"]["last"] > 0.99
    assert summary["test_accuracy"]["last"] > 0.94
    assert summary["weights"]["collapse"] is None


def test_best_is_kept_whatever_the_rhythm_of_checkpoints(tmp_path: Path) -> None:
    summary = run(tmp_path / "run", *ROBUST, "--epochs", "7", "--checkpoint-every", "5")
    best = checkpoint.load(tmp_path / "run" / "best.pt", torch.device("cpu"))
    assert best["progress"]["history"][-1]["epoch"] == summary["test_accuracy"]["best_epoch"]
    run(tmp_path / "short", *ROBUST, "--max-steps", "1")
    assert (tmp_path / "short" / "best.pt").exists()


def test_names_that_look_like_formulas_or_code_do_no_harm(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    names = np.array(["a$_{$", "b$^$", "=1+1", "<b>"])
    np.savez(tmp_path / "my.npz", x=rng.normal(size=(200, 4)), y=names[np.arange(200) % 4])
    argv = ["--dataset", "arrays", "--data", str(tmp_path / "my.npz"), "--figures"]
    run(tmp_path / "run", *argv, *ROBUST)
    assert (tmp_path / "run" / "figures" / "labels.png").exists()


def test_label_quality_reads_as_cleanlab_wants_it_and_gives_the_reported_auc(
    tmp_path: Path,
) -> None:
    summary = run(tmp_path / "run", *ROBUST)
    with (tmp_path / "run" / "label_quality.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == [
        "sample_id", "given_label", "predicted_label", "label_quality", "weight", "loss",
        "is_label_issue", "margin", "mean_margin", "wrong_share", "forgotten",
    ]  # fmt: skip
    labels = np.load(tmp_path / "run" / "labels.npy")
    probabilities = np.load(tmp_path / "run" / "pred_probs.npy")
    assert len(rows) == len(labels) == len(probabilities) == summary["samples"]["train"]
    np.testing.assert_allclose(probabilities.sum(1), 1, atol=1e-5)
    assert [int(row["given_label"]) for row in rows] == labels.tolist()
    assert [int(row["predicted_label"]) for row in rows] == probabilities.argmax(1).tolist()
    loss = np.array([float(row["loss"]) for row in rows])
    np.testing.assert_allclose(
        loss, -np.log(probabilities[np.arange(len(labels)), labels]), atol=1e-4
    )
    issues = [row["is_label_issue"] == "True" for row in rows]
    assert issues == (probabilities.argmax(1) != labels).tolist()
    truth = load_digits().target[[int(row["sample_id"]) for row in rows]]
    quality = np.array([float(row["label_quality"]) for row in rows])
    auc = roc_auc_score(labels == truth, quality)
    assert auc == pytest.approx(summary["detection_auc"]["label_quality"]["last"], abs=1e-6)
    assert summary["noise"]["realised_rate"] == pytest.approx((labels != truth).mean())


@pytest.mark.parametrize("kind", ["arrays", "table", "folder"])
def test_own_data_without_truth(tmp_path: Path, kind: str) -> None:
    x, y = load_digits(return_X_y=True)
    x, y = x[:400], y[:400]
    path = tmp_path / {"arrays": "my.npz", "table": "my.csv", "folder": "my"}[kind]
    extra = []
    if kind == "arrays":
        np.savez(path, x=x.astype(np.float32), y=np.array([f"number {label}" for label in y]))
    elif kind == "table":
        header = ",".join([*(f"pixel{i}" for i in range(64)), "label"])
        np.savetxt(path, np.column_stack([x, y]), "%d", ",", header=header, comments="")
    else:
        from PIL import Image

        for i, label in enumerate(y):
            (path / f"=digit {label}").mkdir(parents=True, exist_ok=True)
            image = Image.fromarray((x[i].reshape(8, 8) * 15).astype(np.uint8))
            image.save(path / f"=digit {label}" / f"{i}.png")
        extra = ["--features", "none", "--image-size", "8", "--model", "mlp2", "--augment", "crop"]
    summary = run(tmp_path / "run", "--dataset", kind, "--data", str(path), *extra, *ROBUST)
    assert summary["detection_auc"] is None
    assert summary["noise"]["realised_rate"] is None
    assert summary["method"] == ("mwnet" if kind == "folder" else "cross-fit")
    meta = 32 if kind == "folder" else 0  # cross-fitting holds no samples out
    assert summary["samples"] == {"train": 320 - meta, "meta": meta, "validation": 0, "test": 80}
    with (tmp_path / "run" / "label_quality.csv").open() as file:
        row = next(csv.DictReader(file))
    if kind == "folder":  # names that a spreadsheet would take for a formula are disarmed
        assert row["sample_id"].startswith("'=digit")
        assert row["given_label"].startswith("'=digit")
    with (tmp_path / "run" / "label_quality_heldout.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 80 + meta


def test_human_labels_from_a_file(tmp_path: Path) -> None:
    """The labels are those of the non-test samples, in the order of their ids."""
    y = load_digits().target
    training = np.flatnonzero(~np.isin(np.arange(len(y)), load("digits").test_ids))
    human = np.where(np.arange(len(training)) % 3 == 0, (y[training] + 1) % 10, y[training])
    np.savez(tmp_path / "labels.npz", worse=human)
    flags = ["--noise", "file", "--noise-file", f"{tmp_path / 'labels.npz'}:worse"]
    summary = run(tmp_path / "run", *flags, *ROBUST)
    assert summary["noise"]["name"] == "file"
    assert summary["noise"]["realised_rate"] == pytest.approx(1 / 3, abs=0.02)
    with (tmp_path / "run" / "label_quality.csv").open() as file:
        rows = {int(row["sample_id"]): int(row["given_label"]) for row in csv.DictReader(file)}
    given = dict(zip(training.tolist(), human.tolist(), strict=True))
    assert all(given[sample] == label for sample, label in rows.items())


def test_the_summary_names_the_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: f"model of {device}")
    assert device_name(torch.device("cuda:1")) == "cuda:1 (model of cuda:1)"
    assert device_name(torch.device("cpu")) == "cpu"
