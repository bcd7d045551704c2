"""cleanlab's CleanLearning as a row of a table: its summary, its training, its labels."""

import csv
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from tables import benchmark, summaries, write

from mwnet.reproduce.tables.cells import plan
from mwnet.reproduce.tables.table import load_table

Capture = pytest.CaptureFixture[str]


CLEANING = {"CleanLearning": {"command": "clean-learning"}}


def test_clean_learning_has_the_summary_of_a_run(tmp_path: Path) -> None:
    pytest.importorskip("cleanlab")
    rows = {**CLEANING, "erm": {"method": "erm", "meta_size": 0}}
    assert benchmark(write(tmp_path, rows=rows, seeds=[0]), "--epochs", "6") == 0
    of = summaries(tmp_path / "out")
    cleaned, plain = of["CleanLearning/uniform-40/seed-0"], of["erm/uniform-40/seed-0"]
    assert cleaned.keys() == plain.keys()
    assert cleaned["method"] == "clean-learning"
    assert cleaned["samples"] == plain["samples"]
    assert cleaned["samples"]["meta"] == 0
    assert cleaned["noise"] == plain["noise"]
    assert cleaned["test_accuracy"]["best"] is None
    assert cleaned["versions"].keys() - plain["versions"].keys() == {"cleanlab"}
    assert cleaned["steps"] > 5 * 6 * (1437 * 4 // 5 // 100)  # five folds, and what was kept
    assert cleaned["detection_auc"]["own"]["last"] > 0.6
    assert 0 < cleaned["weights"]["mean"] < 1  # the share that was kept


def test_a_training_of_clean_learning_is_plain_training(tmp_path: Path) -> None:
    """On all training samples it ends in the very predictions of ``--method erm``."""
    from mwnet.builders.experiment import build
    from mwnet.reproduce.clean_learning import plainly_trained

    table = write(tmp_path, rows={"erm": {"method": "erm", "meta_size": 0}}, seeds=[0])
    assert benchmark(table) == 0
    cell = plan(load_table(table), tmp_path / "out")[0]
    experiment = build(cell.config)
    trained, _ = plainly_trained(experiment, experiment.data.parts.train)
    predicted = trained.score(experiment.data.parts.train).probabilities
    np.testing.assert_array_equal(predicted, np.load(cell.folder / "pred_probs.npy"))


def test_its_labels_are_judged_as_by_the_class_of_cleanlab(tmp_path: Path) -> None:
    classification = pytest.importorskip("cleanlab.classification")
    from sklearn.base import BaseEstimator

    from mwnet.builders.experiment import build
    from mwnet.core import seeding
    from mwnet.reproduce.clean_learning import NAME, plainly_trained

    table = write(tmp_path, rows=CLEANING, seeds=[0])
    assert benchmark(table, "--epochs", "2") == 0
    cell = plan(load_table(table), tmp_path / "out")[0]
    experiment = build(cell.config.model_copy(update={"epochs": 2}))

    class Wrapped(BaseEstimator):
        def fit(self, ids: np.ndarray, y: np.ndarray) -> None:
            self.trained_ = plainly_trained(experiment, torch.from_numpy(ids[:, 0]))[0]

        def predict_proba(self, ids: np.ndarray) -> np.ndarray:
            return self.trained_.score(torch.from_numpy(ids[:, 0])).probabilities

        def predict(self, ids: np.ndarray) -> np.ndarray:
            return self.predict_proba(ids).argmax(1)

    train = experiment.data.parts.train
    theirs = classification.CleanLearning(
        Wrapped(), seed=seeding.derive(0, NAME) % 2**32, find_label_issues_kwargs={"n_jobs": 1}
    ).find_label_issues(train[:, None].numpy(), experiment.data.labels[train].numpy())
    lines = csv.DictReader((cell.folder / "label_quality.csv").read_text().splitlines())
    ours = {int(line["sample_id"]): line for line in lines}
    for sample, quality, issue in zip(
        train.tolist(), theirs["label_quality"], theirs["is_label_issue"], strict=True
    ):
        assert ours[sample]["label_quality"] == f"{quality:.9g}"
        assert float(ours[sample]["weight"]) == 1 - issue


def test_without_cleanlab_one_sentence_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setitem(sys.modules, "cleanlab.classification", None)
    assert benchmark(write(tmp_path, rows=CLEANING, seeds=[0])) == 1
    assert "pip install -e '.[bench]'" in capsys.readouterr().err
