"""Penultimate features: how they are taken, and how well they keep classes apart."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from analyses import report
from commands import run
from sklearn.metrics import silhouette_score
from torch import Tensor

from mwnet.core.errors import UserError
from mwnet.models import MODELS
from mwnet.reproduce.claims import features
from mwnet.reproduce.claims.base import Run, of_folders
from mwnet.reproduce.claims.command import main

QUICK = ["--seeds", "1", "--jobs", "1", "--epochs", "2", "--model.width", "8", "--device", "cpu"]
Capture = pytest.CaptureFixture[str]
GEN = torch.Generator().manual_seed(0)
LOGITS = 3 * torch.randn(8, 5, generator=GEN, dtype=torch.float64)
LABELS = torch.tensor([0, 1, 2, 3, 4, 0, 1, 2])
TRUTH = torch.tensor([0, 1, 3, 3, 1, 2, 1, 2])


def test_purity_and_silhouette_by_hand() -> None:
    points = np.array([[0.0], [1.0], [2.1], [10.0]])
    classes = np.array([0, 0, 1, 1])
    # nearest: 0 -> 1 (same), 1 -> 0 (same), 2 -> 1 (other), 3 -> 2 (same)
    assert features.purity(points, classes, k=1) == 0.75
    # two nearest: 1 of 2, 1 of 2, 0 of 2, 1 of 2
    assert features.purity(points, classes, k=2) == 3 / 8
    # all three others, which is also what more neighbours than samples mean
    assert features.purity(points, classes, k=9) == pytest.approx(1 / 3)
    # (b - a) / max(a, b) with the mean distances to the own and to the other class
    hand = [(6.05 - 1) / 6.05, (5.05 - 1) / 5.05, (1.6 - 7.9) / 7.9, (9.5 - 7.9) / 9.5]
    assert features.silhouette(points, classes) == pytest.approx(np.mean(hand))
    assert math.isnan(features.silhouette(points, np.zeros(4)))


@pytest.mark.parametrize("name", sorted(MODELS))
def test_the_head_of_every_network_makes_the_logits_from_what_it_gets(name: str) -> None:
    kind = {"width": 4} if name not in ("jocor-net", "jocor-repo") else {}
    network = MODELS[name](num_classes=3, in_channels=1, image_size=32, **kind).eval()
    seen: list[Tensor] = []
    last = features.head(network, 3)
    last.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    with torch.no_grad():
        logits = network(torch.randn(2, 1, 32, 32))
    assert torch.allclose(last(seen[0]).reshape_as(logits), logits, atol=1e-5)
    with pytest.raises(UserError, match="each of the 4 classes"):
        features.head(network, 4)


def test_some_ids_are_distinct_and_always_the_same() -> None:
    ids = torch.arange(100, 200)
    assert torch.equal(features.some(ids, 100), ids)
    few = features.some(ids, 10)
    assert len(set(few.tolist())) == 10
    assert torch.equal(few, features.some(ids, 10))
    assert set(few.tolist()) <= set(ids.tolist())


def test_the_projection_keeps_clusters_apart() -> None:
    rng = np.random.default_rng(0)
    classes = np.arange(40) % 2
    points = features.project(rng.normal(size=(40, 5)) + 20 * classes[:, None])
    assert points.shape == (40, 2)
    assert features.purity(points, classes) == 1


def test_features_reports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(features, "project", lambda points: points[:, :2])  # t-SNE takes seconds
    text = report(tmp_path / "a", "features", *QUICK, "--only", "column=symmetric 0.4")
    folders = sorted((tmp_path / "a").glob("*/*/seed-0"))
    assert len(folders) == 3
    for folder in folders:
        accuracy = json.loads((folder / "summary.json").read_text())["test_accuracy"]["last"]
        experiment = of_folders([folder])[0].experiment()
        assert experiment.data.truth is not None
        inputs = features.penultimate(experiment, experiment.data.parts.test).numpy()
        classes = experiment.data.truth[experiment.data.parts.test].numpy()
        width, pure = silhouette_score(inputs, classes), features.purity(inputs, classes)
        row = folder.parts[-3]
        assert f"| {row} | {width:.3f} | {100 * pure:.2f} | {100 * accuracy:.2f} |" in text
    assert "The claimed order, CE below FW below Taylor, " in text
    assert "n = 1, seed 0" in report(tmp_path / "b", "features", "--run", str(folders[0]))


@pytest.mark.parametrize(
    ("means", "rising"),
    [
        ({"Taylor": 0.3, "CE": 0.1, "FW": 0.2}, True),
        ({"CE": 0.1, "FW": 0.3, "Taylor": 0.2}, False),
        ({"CE": 0.1, "Taylor": 0.2, "other": 0.0}, True),
        ({"CE": 0.1, "other": 0.0}, None),
    ],
)
def test_the_claimed_order(means: dict[str, float], rising: bool | None) -> None:
    assert features.in_order(means) is rising


def test_features_of_clean_test_labels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As with Clothing1M: no true labels but those of the test part."""
    run(tmp_path / "run", "--epochs", "1", "--model.width", "8", "--method", "erm")
    finished = of_folders([tmp_path / "run"])[0]
    known = finished.experiment()
    assert known.data.truth is not None
    for clean in (True, False):
        source = replace(known.data.source, clean_test=clean)
        hidden = replace(known, data=replace(known.data, truth=None, source=source))
        monkeypatch.setattr(Run, "experiment", lambda _, hidden=hidden: hidden)
        if clean:
            _, classes, _ = features.of_test_samples(finished)
            assert classes.tolist() == known.data.truth[known.data.parts.test].tolist()
        else:
            with pytest.raises(UserError, match="its data has no true labels"):
                features.of_test_samples(finished)


def test_other_data_with_and_without_truth(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setattr(features, "project", lambda points: points[:, :2])
    path, rng = tmp_path / "own.npz", np.random.default_rng(0)
    x, y = rng.normal(size=(60, 4)).astype("float32"), np.arange(60) % 2
    own = ["--dataset", "arrays", "--data", str(path), "--method", "erm", "--batch-size", "20"]
    np.savez(path, x=x, y=y)
    run(tmp_path / "run", *own)
    for name in ("features", "gradient-sign"):
        assert main([name, "--out", str(tmp_path / name), "--run", str(tmp_path / "run")]) == 2
        assert "its data has no true labels" in capsys.readouterr().err
    np.savez(path, x=x, y=np.where(np.arange(60) < 20, 1 - y, y), y_true=y)
    run(tmp_path / "known", *own)
    for name in ("features", "gradient-sign", "gradient-ranking"):
        report(tmp_path / "with" / name, name, "--run", str(tmp_path / "known"))
