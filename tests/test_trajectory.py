"""What is summed up while a network trains, and what follows for scores, files and warnings."""

import csv
import dataclasses
import json
import logging
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from commands import ROBUST, outcome, run
from estimators import small
from experiments import config, drive
from scipy.special import expit
from sklearn.metrics import average_precision_score

import mwnet
import train
from mwnet import detection
from mwnet.builders.experiment import build
from mwnet.core import seeding
from mwnet.detection import Trajectory
from mwnet.detection.metrics import average_precision
from mwnet.detection.words import never_predicted_words
from mwnet.methods import METHODS
from mwnet.methods.base import log_margin
from mwnet.runs.folder import MARGINS
from mwnet.training import checkpoint
from mwnet.training.loop import steps

SMALL = ["--model.width", "16", "--batch-size", "300"]  # four steps an epoch
PHASES = ["--method", "forward-correction", *SMALL, "--noise", "flip2", "--noise-rate", "0.4"]


def test_sums_over_three_looks() -> None:
    """By hand: sample 3 is learnt and forgotten, sample 1 is never right, sample 0 is not seen."""
    ids, trajectory = torch.tensor([3, 1]), Trajectory(4)
    for margins in ([2.0, -1.0], [-4.0, -3.0], [5.0, -5.0]):
        margin = torch.tensor(margins)
        trajectory.look(ids, margin, margin > 0)
    now = torch.tensor([0.25, -7.0, -8.0])
    sums = trajectory.of(torch.tensor([3, 1, 0]), now, now > 0)
    np.testing.assert_array_equal(sums.mean_margin, [1.0, -3.0, -8.0])
    np.testing.assert_allclose(sums.wrong_share, [1 / 3, 1.0, 1.0])
    np.testing.assert_array_equal(sums.forgotten, [1, 0, 0])
    trajectory.clear()
    assert trajectory.of(ids, now[:2], now[:2] > 0).mean_margin.tolist() == [0.25, -7.0]


def test_log_margin_is_that_of_log_probabilities_and_bounded() -> None:
    logits = torch.tensor([[1.0, 3.0, 2.0], [1.0, 3.0, 2.0], [200.0, 0.0, 0.0], [0.0, 200.0, 0.0]])
    labels = torch.tensor([1, 0, 0, 0])
    assert log_margin(logits, labels).tolist() == [1.0, -2.0, 30.0, -30.0]
    torch.testing.assert_close(
        log_margin(logits.log_softmax(-1), labels), log_margin(logits, labels)
    )


def test_average_precision_is_scikit_learns_with_ties() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        wrong, quality = rng.random(40) < 0.3, rng.integers(0, 9, 40) / 8
        ours = average_precision(wrong, quality)
        assert ours == pytest.approx(average_precision_score(wrong, -quality), abs=1e-12)


def test_label_quality_is_the_mean_margin_of_the_looks() -> None:
    experiment = build(config("mwnet"))
    ids, seen = experiment.data.parts.train, []
    for stop in (4, 8, 12):
        drive(experiment, stop - 4, stop)
        seen.append(experiment.score(ids, look=True))
    scored = experiment.score(ids)
    margins = np.stack([one.margin for one in seen]).astype(np.float64)
    right = np.stack([one.predicted == one.given for one in seen])
    np.testing.assert_allclose(scored.mean_margin, margins.mean(0))
    np.testing.assert_allclose(scored.quality, expit(scored.mean_margin), rtol=1e-14)
    np.testing.assert_allclose(scored.wrong_share, 1 - right.mean(0))
    np.testing.assert_array_equal(scored.forgotten, (right[:-1] & ~right[1:]).sum(0))
    assert scored.forgotten.any()
    np.testing.assert_array_equal(scored.own, scored.weight)
    assert experiment.score(ids).mean_margin.tolist() == scored.mean_margin.tolist()  # no look
    held_out = experiment.score(experiment.data.parts.meta)
    np.testing.assert_array_equal(held_out.mean_margin, held_out.margin.astype(np.float64))
    np.testing.assert_array_equal(held_out.wrong_share, held_out.predicted != held_out.given)
    assert not held_out.forgotten.any()


def test_a_method_that_judges_out_of_fold_keeps_its_own_score(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(METHODS["cross-fit"], "out_of_fold", True)
    experiment = build(config("cross-fit"))
    drive(experiment)
    scored = experiment.score(experiment.data.parts.train, look=True)
    assert not experiment.trajectory.looks.any()
    np.testing.assert_array_equal(scored.quality, scored.own)
    np.testing.assert_array_equal(scored.mean_margin, scored.margin.astype(np.float64))
    for measure in ("detection_auc", "average_precision"):
        found = experiment.metrics(scored)[measure]
        assert tuple(found) == detection.SCORES
        assert found["out_of_fold"] == found["label_quality"] == found["own"] > 0
    plain = build(config("erm"))
    line = plain.metrics(plain.score(plain.data.parts.train))
    assert line["detection_auc"]["out_of_fold"] is line["average_precision"]["out_of_fold"] is None


@pytest.mark.parametrize("argv", [[*ROBUST, *SMALL], PHASES])
@pytest.mark.parametrize("stop", [10, 16, 22])
def test_stopped_and_resumed_has_the_same_columns(
    tmp_path: Path, argv: list[str], stop: int
) -> None:
    argv = [*argv, "--epochs", "6", "--eval-every", "2"]
    whole = run(tmp_path / "whole", *argv)
    run(tmp_path / "parts", *argv, "--max-steps", str(stop))
    assert train.main(["--resume", str(tmp_path / "parts"), "--max-steps", "1000"]) == 0
    assert outcome(tmp_path / "parts") == outcome(tmp_path / "whole")
    states = [
        checkpoint.load(tmp_path / name / "last.pt", torch.device("cpu"))["trajectory"]
        for name in ("whole", "parts")
    ]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    # The epochs measured, of the last phase alone.
    assert states[0]["looks"].unique().tolist() == [0, 3]
    summary = json.loads((tmp_path / "parts" / "summary.json").read_text())
    for measure in ("detection_auc", "average_precision"):
        assert summary[measure] == whole[measure]


def test_the_table_and_the_summary_agree(tmp_path: Path) -> None:
    summary = run(tmp_path / "run", *ROBUST)
    with (tmp_path / "run" / "label_quality.csv").open() as file:
        rows = list(csv.DictReader(file))
    column = {name: np.array([float(row[name]) for row in rows]) for name in MARGINS}
    np.testing.assert_allclose(
        [float(row["label_quality"]) for row in rows], expit(column["mean_margin"]), rtol=1e-6
    )
    assert set(column["forgotten"]) <= {0, 1}  # of three looks
    assert summary["never_predicted"] == []
    issues = mwnet.load(tmp_path / "run").label_issues
    assert tuple(issues.columns[-4:]) == MARGINS
    assert issues["forgotten"].dtype == np.int64
    for name in MARGINS:
        np.testing.assert_array_equal(issues.sort_index()[name], column[name])


def test_a_run_of_an_earlier_version_opens(tmp_path: Path) -> None:
    run(tmp_path / "run", *ROBUST)
    path = tmp_path / "run" / "label_quality.csv"
    table = pd.read_csv(path)
    table.drop(columns=list(MARGINS)).to_csv(path, index=False)
    assert mwnet.load(tmp_path / "run").label_issues.columns[-1] == "loss"
    table.drop(columns="forgotten").to_csv(path, index=False)
    with pytest.raises(ValueError, match="no column 'forgotten'"):
        _ = mwnet.load(tmp_path / "run").label_issues


def test_an_inverted_ranking_of_the_first_epoch_is_said_and_not_used(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    summary = run(tmp_path / "run", *ROBUST, "--epochs", "1")
    printed = capsys.readouterr().out
    assert summary["weights"]["collapse"] == "rising"
    assert summary["detection_auc"]["own"]["last"] < 0.2
    assert summary["detection_auc"]["label_quality"]["last"] > 0.5
    assert printed.count("the weights have collapsed: they rise with the loss") == 1
    assert "do not trust weight and the score own" in printed
    for setting in ("--normalisation", "--weight-net", "--meta-loss"):
        assert setting not in printed.split("AUC of wrong labels")[1]


@pytest.fixture
def rare() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Two classes of 980 and 20 samples, their labels with 10 % flipped, and the true labels."""
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1], [980, 20])
    x = (rng.normal(size=(1000, 10)) + 1.5 * y[:, None]).astype(np.float32)
    return x, np.where(rng.random(1000) < 0.1, 1 - y, y), y


def test_a_short_training_on_a_rare_class(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], rare: tuple
) -> None:
    x, given, y = rare
    names = np.array(["common", "rare"])
    np.savez(tmp_path / "rare.npz", x=x, y=names[given], y_true=names[y])
    argv = ["--dataset", "arrays", "--data", str(tmp_path / "rare.npz"), *ROBUST]
    argv += ["--method", "mwnet"]
    summary = run(tmp_path / "run", *argv, "--epochs", "60", "--max-steps", "200")
    printed = capsys.readouterr().out
    assert summary["weights"]["collapse"] == "rising"
    assert "the weights have collapsed" in printed
    assert summary["detection_auc"]["own"]["last"] < 0.2
    assert summary["detection_auc"]["label_quality"]["last"] > 0.9
    assert summary["never_predicted"] == ["rare"]
    given_rare = (np.load(tmp_path / "run" / "labels.npy") == 1).sum()
    assert (
        f"class 'rare' is never predicted by the network: all its {given_rare} labels are flagged"
    ) in printed


def test_the_classifier_says_so_too(caplog: pytest.LogCaptureFixture, rare: tuple) -> None:
    x, given, y = rare
    with caplog.at_level(logging.WARNING, "mwnet"):
        fitted = mwnet.MWNetClassifier(method="mwnet", epochs=1, optimizer="sgd", lr=0.01).fit(
            x, given
        )
    said = [record.getMessage() for record in caplog.records]
    count = (given == 1).sum()
    assert (
        f"class '1' is never predicted by the network: all its {count} labels are flagged" in said
    )
    assert sum("the weights have collapsed" in sentence for sentence in said) == 1
    auc = mwnet.metrics.roc_auc(given != y, fitted.label_quality_)
    assert auc is not None
    assert auc > 0.5


def test_classes_that_are_never_predicted_are_counted_and_five_are_named() -> None:
    experiment = build(config("erm"))
    template = experiment.score(experiment.data.parts.train)
    classes = experiment.data.source.classes

    def words(*predicted: int) -> str | None:
        chances = np.zeros_like(template.probabilities)
        chances[np.arange(len(chances)), np.resize(predicted, len(chances))] = 1
        return never_predicted_words(dataclasses.replace(template, probabilities=chances), classes)

    assert words(*range(10)) is None
    one, two = (int((template.given == label).sum()) for label in (0, 1))
    assert words(*range(1, 10)) == (
        f"class '0' is never predicted by the network: all its {one} labels are flagged"
    )
    assert words(*range(2, 10)) == (
        f"classes '0', '1' are never predicted by the network: all their {one + two} labels are "
        "flagged"
    )
    assert str(words(9)).startswith("classes '0', '1', '2', '3', '4' and 4 more are never")


def test_the_classifier_looks_at_every_sample_after_each_epoch(noisy: tuple) -> None:
    """Its columns are those of a training that is scored by hand; only the last phase counts."""
    x, given, _ = noisy
    fitted = small(epochs=3).fit(x, given)
    issues = fitted.label_issues_
    assert tuple(issues.columns[-4:]) == MARGINS
    np.testing.assert_allclose(issues["label_quality"], expit(issues["mean_margin"]), rtol=1e-14)
    assert set(np.round(issues["wrong_share"] * 3, 9)) <= {0, 1, 2, 3}

    experiment, _ = small(epochs=3)._prepared(x, given, None, None, None, None, "leave-out")
    method, batches = experiment.method.train(), experiment.train
    margins = []
    with seeding.seeded(experiment.config.seed, "network"):
        for step, _ in steps(method, batches, experiment.meta, stop=3 * len(batches)):
            if step % len(batches) == 0:
                margins.append(experiment.score(torch.arange(600)).margin.astype(np.float64))
    np.testing.assert_allclose(issues["mean_margin"], np.mean(margins, 0))


def test_the_classifier_forgets_the_network_of_an_earlier_phase(noisy: tuple) -> None:
    x, given, _ = noisy
    issues = small(epochs=1, method="forward-correction").fit(x, given).label_issues_
    np.testing.assert_array_equal(issues["mean_margin"], issues["margin"])


def test_a_checkpoint_or_classifier_of_an_earlier_version_is_refused(
    tmp_path: Path, noisy: tuple
) -> None:
    x, given, _ = noisy
    small(epochs=1).fit(x, given).save(tmp_path / "classifier")
    path = tmp_path / "classifier" / "classifier.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": 1}))
    with pytest.raises(ValueError, match="no classifier of this version"):
        mwnet.load(tmp_path / "classifier")
    torch.save({"format": 1}, tmp_path / "last.pt")
    with pytest.raises(ValueError, match="no checkpoint of this version"):
        checkpoint.load(tmp_path / "last.pt", torch.device("cpu"))
