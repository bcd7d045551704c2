"""Every method from the command line: interrupted runs, phases, and what a summary says."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from commands import QUICK, outcome, run
from experiments import config, flags, middles

import train
from mwnet.builders import dataset as module
from mwnet.builders.experiment import build
from mwnet.methods import METHODS
from mwnet.training import checkpoint

NEEDING = [name for name, entry in METHODS.items() if entry.needs_noise_rate]


@pytest.fixture(scope="module", params=sorted(METHODS))
def whole(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An uninterrupted run, in a folder with the name of its method."""
    out = tmp_path_factory.mktemp("whole") / request.param
    run(out, *flags(request.param))
    return out


@pytest.fixture(scope="module")
def cut(whole: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same run, stopped in the middle of each phase; in the last one it has stayed so."""
    out = tmp_path_factory.mktemp("cut") / "run"
    first, *others = map(str, middles(build(config(whole.name))))
    run(out, *flags(whole.name), "--max-steps", first)
    for stop in others:
        assert train.main(["--resume", str(out), "--max-steps", stop]) == 0
    return out


def resumed(folder: Path, copy: Path, *argv: str) -> tuple:
    shutil.copytree(folder, copy)
    assert train.main(["--resume", str(copy), *argv]) == 0
    return outcome(copy)


def test_a_run_cut_in_the_middle_of_each_phase_ends_as_an_uninterrupted_one(
    whole: Path, cut: Path, tmp_path: Path
) -> None:
    assert outcome(cut) != outcome(whole)
    assert resumed(cut, tmp_path / "run", "--max-steps", "1000") == outcome(whole)


def test_resuming_what_has_no_steps_left_changes_nothing(
    whole: Path, cut: Path, tmp_path: Path
) -> None:
    assert resumed(cut, tmp_path / "cut") == outcome(cut)
    assert resumed(whole, tmp_path / "whole") == outcome(whole)


def test_metrics_and_summary_name_the_phases(whole: Path) -> None:
    summary = json.loads((whole / "summary.json").read_text())
    phases = {phase.name: phase.epochs for phase in build(config(whole.name)).method.phases}
    assert summary["phases"] == phases
    assert summary["epochs"] == 3
    lines = [json.loads(line) for line in (whole / "metrics.jsonl").open()]
    names = [name for name, epochs in phases.items() for _ in range(epochs)]
    assert [line.get("phase") for line in lines] == (names if len(phases) > 1 else [None] * 3)
    assert [line["epoch"] for line in lines] == list(range(1, len(names) + 1))
    # The best epoch is one of the phase that ends in the result.
    last = lines[-phases[names[-1]] :]
    best = max(last, key=lambda line: line["test_accuracy"])
    assert summary["test_accuracy"]["best"] == best["test_accuracy"]
    assert summary["test_accuracy"]["best_epoch"] == best["epoch"]
    assert summary["test_accuracy"]["last"] == lines[-1]["test_accuracy"]
    kept = checkpoint.load(whole / "best.pt", torch.device("cpu"))
    assert kept["progress"]["history"][-1]["epoch"] == best["epoch"]


# --- what a method takes the noise rate for


@pytest.mark.parametrize("method", NEEDING)
def test_the_noise_rate_is_estimated_given_or_known(method: str, tmp_path: Path) -> None:
    estimated = run(tmp_path / "estimated", *flags(method))
    assert list(estimated["phases"]) == ["noise rate", "training"]
    assert estimated["noise"]["assumed"]["source"] == "estimated"
    assert 0 < estimated["noise"]["assumed"]["rate"] < 1

    given = run(tmp_path / "given", *flags(method), "--noise-rate-estimate", "0.25")
    assert given["noise"]["assumed"] == {"rate": 0.25, "source": "given"}
    assert given["phases"] == {"training": 3}

    known = run(tmp_path / "known", *flags(method), "--noise-rate-known")
    assert known["noise"]["assumed"]["source"] == "known"
    assert known["noise"]["assumed"]["rate"] == pytest.approx(
        known["noise"]["realised_rate"], abs=1e-6
    )
    assert known["phases"] == {"training": 3}


def test_an_estimate_that_is_not_there_yet_is_none(tmp_path: Path) -> None:
    summary = run(tmp_path / "run", *flags("co-teaching"), "--max-steps", "2")
    assert summary["noise"]["assumed"] == {"rate": None, "source": "estimated"}


def test_methods_that_need_no_noise_rate_assume_none(tmp_path: Path) -> None:
    assert run(tmp_path / "run", *flags("erm"))["noise"]["assumed"] is None


def test_a_known_rate_needs_true_labels(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    original = module.given_labels

    def without_truth(*arguments: object) -> tuple:
        given, _, matrix = original(*arguments)
        return given, None, matrix

    monkeypatch.setattr(module, "given_labels", without_truth)
    argv = [*QUICK, *flags("co-teaching"), "--out", str(tmp_path / "run")]
    assert train.main([*argv, "--noise-rate-known"]) == 2
    assert "--noise-rate-known needs true labels" in capsys.readouterr().err
    assert train.main(argv) == 0  # the estimate needs none


def test_epochs_without_a_meta_step_are_drawn_as_gaps(tmp_path: Path) -> None:
    argv = ["--meta-interval", "10", "--batch-size", "300", "--figures"]  # four steps an epoch
    run(tmp_path / "run", *argv)
    lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    assert ["meta_loss" in json.loads(line) for line in lines] == [True, False, True]
    assert (tmp_path / "run" / "figures" / "training.png").stat().st_size > 0


def test_a_confident_meta_set_is_called_by_its_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    summary = run(tmp_path / "run", "--meta-source", "confident")
    said = capsys.readouterr().out
    assert said.startswith("mwnet-ce-confident on digits")
    assert "the 143 training samples trusted most" in said
    assert "meta samples are few" not in said
    assert summary["confident_samples"] == 143
    assert summary["samples"]["meta"] == 0
