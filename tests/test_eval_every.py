"""``--eval-every``: measuring less often changes what is known of a run, not the run."""

import json
from pathlib import Path

import pytest
import torch
from commands import ROBUST, fails, outcome, run

import train
from mwnet import checkpoint
from mwnet.tracking import lasting_collapse

SMALL = ["--model.width", "16", "--batch-size", "300"]  # four steps an epoch


def lines(out: Path) -> list[dict]:
    return [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]


def test_the_run_is_the_same_and_its_measured_epochs_too(tmp_path: Path) -> None:
    often = run(tmp_path / "often", *ROBUST, *SMALL, "--epochs", "7")
    seldom = run(tmp_path / "seldom", *ROBUST, *SMALL, "--epochs", "7", "--eval-every", "3")
    states = [
        checkpoint.load(tmp_path / name / "last.pt", torch.device("cpu"))["method"]
        for name in ("often", "seldom")
    ]
    assert all(torch.equal(states[0][k], v) for k, v in states[1].items() if torch.is_tensor(v))
    by_epoch = {line["epoch"]: line for line in lines(tmp_path / "often")}
    measured = lines(tmp_path / "seldom")
    assert [(line["epoch"], line["step"]) for line in measured] == [(1, 4), (4, 16), (7, 28)]
    for line in measured:
        assert line["test_accuracy"] == by_epoch[line["epoch"]]["test_accuracy"]
        assert line["detection_auc"] == by_epoch[line["epoch"]]["detection_auc"]
    # Losses are those of all steps since the line before.
    since = [by_epoch[epoch]["train_loss"] for epoch in (5, 6, 7)]
    assert measured[-1]["train_loss"] == pytest.approx(sum(since) / 3)
    assert seldom["test_accuracy"]["last"] == often["test_accuracy"]["last"]
    assert seldom["test_accuracy"]["best_epoch"] in (1, 4, 7)


def test_the_last_epoch_of_every_phase_is_measured(tmp_path: Path) -> None:
    argv = ["--method", "forward-correction", *SMALL, "--epochs", "3", "--eval-every", "2"]
    summary = run(tmp_path / "run", *argv)
    assert summary["phases"] == {"baseline": 3, "corrected": 3}
    assert [line["epoch"] for line in lines(tmp_path / "run")] == [1, 3, 4, 6]


def test_an_epoch_that_is_not_measured_can_be_the_end_of_a_part(tmp_path: Path) -> None:
    argv = [*ROBUST, *SMALL, "--epochs", "6", "--eval-every", "3"]
    run(tmp_path / "whole", *argv)
    part = run(tmp_path / "parts", *argv, "--max-steps", "16")  # the end of the fourth epoch
    assert [line["epoch"] for line in lines(tmp_path / "parts")] == [3, 4]
    assert part["test_accuracy"]["last"] == lines(tmp_path / "parts")[-1]["test_accuracy"]
    assert train.main(["--resume", str(tmp_path / "parts"), "--max-steps", "24"]) == 0
    assert outcome(tmp_path / "parts") == outcome(tmp_path / "whole")


def test_a_collapse_is_one_of_the_measurements() -> None:
    """Half a run of rising weights, seen in two of four lines, is a collapse."""
    assert lasting_collapse([None, None, "rising", "rising"], lines=4) == "rising"
    assert lasting_collapse([None, None, "rising", "rising"], lines=40) is None


def test_not_with_seeds_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    argv = ["--seeds", "2", "--method", "erm", "--eval-every", "2", "--out", str(tmp_path / "x")]
    assert "--seeds does not go with --eval-every" in fails(capsys, *argv)
