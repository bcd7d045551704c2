"""``--eval-every``: measuring less often changes what is known of a run, not the run."""

import json
from pathlib import Path

import pytest
import torch
from commands import ROBUST, frozen, outcome, run

import train
from mwnet.detection import lasting_collapse
from mwnet.training import checkpoint

SMALL = ["--model.width", "16", "--batch-size", "300"]  # four steps an epoch


def lines(out: Path) -> list[dict]:
    return [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]


def test_the_run_is_the_same_and_its_measured_epochs_too(tmp_path: Path) -> None:
    often = run(tmp_path / "often", *ROBUST, *SMALL, "--epochs", "7")
    seldom = run(tmp_path / "seldom", *ROBUST, *SMALL, "--epochs", "7", "--eval-every", "3")
    states = [
        frozen(checkpoint.load(tmp_path / name / "last.pt", torch.device("cpu"))["method"])
        for name in ("often", "seldom")
    ]
    assert states[0] == states[1]
    by_epoch = {line["epoch"]: line for line in lines(tmp_path / "often")}
    measured = lines(tmp_path / "seldom")
    assert [(line["epoch"], line["step"]) for line in measured] == [(1, 4), (4, 16), (7, 28)]
    for line in measured:
        assert line["test_accuracy"] == by_epoch[line["epoch"]]["test_accuracy"]
        auc, often_auc = line["detection_auc"], by_epoch[line["epoch"]]["detection_auc"]
        for name in set(auc) - {"label_quality"}:  # a mean over the measured epochs
            assert auc[name] == often_auc[name]
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
    # The end of the fourth epoch, then the middle of the fifth.
    for stop, epoch in (("16", 4), ("18", 5)):
        more = ["--resume", str(tmp_path / "parts")] if epoch > 4 else []
        if more:
            assert train.main([*more, "--max-steps", stop]) == 0
        else:
            run(tmp_path / "parts", *argv, "--max-steps", stop)
        assert [line["epoch"] for line in lines(tmp_path / "parts")] == [3, epoch]
        summary = json.loads((tmp_path / "parts" / "summary.json").read_text())
        assert summary["test_accuracy"]["last"] == lines(tmp_path / "parts")[-1]["test_accuracy"]
    assert train.main(["--resume", str(tmp_path / "parts"), "--max-steps", "24"]) == 0
    assert outcome(tmp_path / "parts") == outcome(tmp_path / "whole")


@pytest.mark.parametrize(
    ("states", "collapse"),
    [
        ({1: None, 2: "rising", 3: "rising"}, "rising"),  # two of ten epochs are a fifth
        ({1: None, 2: "rising"}, None),
        ({1: "zero", 2: "rising", 3: "rising"}, "rising"),
        ({1: "rising"}, None),
        ({4: None, 7: "rising"}, "rising"),  # since the fifth, for all that is known
        ({5: None, 6: "rising"}, None),
        ({10: "rising"}, "rising"),  # measured once, at the end
        ({8: "rising", 10: None}, None),
        ({}, None),
    ],
)
def test_a_collapse_lasts_for_a_fifth_of_the_epochs(
    states: dict[int, str | None], collapse: str | None
) -> None:
    history = [{"epoch": e, "weights": {"collapse": state}} for e, state in states.items()]
    assert lasting_collapse(history, epochs=10) == collapse


def test_a_collapse_is_said_where_only_the_end_is_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rising = ["--meta-noisy", "--noise-rate", "0.6", "--epochs", "20", "--eval-every", "20"]
    summary = run(tmp_path / "run", *rising)
    assert summary["weights"]["collapse"] == "rising"
    assert "warning: the weights have collapsed" in capsys.readouterr().out


def test_losses_are_reported_at_epochs_without_a_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = [*SMALL, "--epochs", "4", "--eval-every", "2", "--log-every", "4"]
    run(tmp_path / "run", *argv)
    printed = capsys.readouterr().out.splitlines()
    shown = [line.split() for line in printed if line.startswith("epoch") and "/4  " in line]
    assert [line[3] if line[2] == "step" else "line" for line in shown] == [
        "4/16", "line", "12/16", "line",
    ]  # fmt: skip


def test_a_search_does_not_take_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    argv = ["--mode", "loss-search", "--eval-every", "2", "--out", str(tmp_path / "x")]
    capsys.readouterr()
    assert train.main(argv) == 2
    message = capsys.readouterr().err
    assert message == (
        "train.py: a search trains with the losses it tries: leave --eval-every out\n"
    )


def test_with_seeds_each_is_measured_in_a_run_of_its_own(tmp_path: Path) -> None:
    argv = ["--method", "erm", *SMALL, "--epochs", "3", "--eval-every", "2", "--seeds", "2"]
    assert run(tmp_path / "many", *argv)["way"] == "a run of each"
    for seed in "01":
        assert [line["epoch"] for line in lines(tmp_path / "many" / f"seed-{seed}")] == [1, 3]
