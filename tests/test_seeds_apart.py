"""``--seeds 3`` of methods that one pass cannot train: each seed is a run of its own."""

import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import time
from pathlib import Path

import pytest
from commands import QUICK, ROBUST, ROOT, fails, outcome, run

import train
from mwnet.core.errors import Interrupted
from mwnet.detection import COLLAPSE
from mwnet.reproduce import seeds

MANY = [*ROBUST, "--seeds", "3", "--seed", "4"]
SEEDS = [4, 5, 6]

Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """A run of each seed."""
    folder = tmp_path_factory.mktemp("alone")
    for seed in SEEDS:
        run(folder / str(seed), *ROBUST, "--seed", str(seed))
    return {seed: folder / str(seed) for seed in SEEDS}


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_every_seed_is_the_run_alone(tmp_path: Path, alone: dict[int, Path], jobs: str) -> None:
    out = tmp_path / "many"
    summary = run(out, *MANY, "--jobs", jobs)
    assert (summary["seeds"], summary["way"]) == (SEEDS, "a run of each")
    for seed in SEEDS:
        assert outcome(out / f"seed-{seed}") == outcome(alone[seed])
    of = [json.loads((path / "summary.json").read_text()) for path in alone.values()]
    values = [one["test_accuracy"]["last"] for one in of]
    entry = summary["test_accuracy"]["last"]
    assert entry["mean"] == pytest.approx(statistics.mean(values))
    assert entry["sd"] == pytest.approx(statistics.stdev(values))
    aucs = [one["detection_auc"]["label_quality"]["last"] for one in of]
    assert summary["detection_auc"]["label_quality"]["mean"] == pytest.approx(statistics.mean(aucs))
    assert {path.name for path in out.iterdir()} == {
        "config.yaml", "summary.json", *(f"seed-{seed}" for seed in SEEDS)
    }  # fmt: skip


def test_finished_seeds_are_not_repeated(tmp_path: Path, alone: dict[int, Path]) -> None:
    out = tmp_path / "many"
    run(out, *MANY)
    (out / "summary.json").unlink()
    shutil.rmtree(out / "seed-5")
    kept = (out / "seed-4" / "summary.json").stat().st_mtime_ns
    assert train.main(["--resume", str(out), "--jobs", "2"]) == 0
    assert outcome(out / "seed-5") == outcome(alone[5])
    assert (out / "seed-4" / "summary.json").stat().st_mtime_ns == kept
    assert json.loads((out / "summary.json").read_text())["seeds"] == SEEDS


def test_an_interrupted_run_goes_on(tmp_path: Path) -> None:
    """Ctrl-C leaves a checkpoint of the seed that was running."""
    out, whole = tmp_path / "many", tmp_path / "whole"
    argv = [*QUICK, *MANY, "--epochs", "40"]
    command = [sys.executable, str(ROOT / "train.py"), *argv, "--out", str(out)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env={**os.environ})
    limit = time.monotonic() + 60
    while not (out / "seed-4" / "last.pt").exists() and time.monotonic() < limit:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    message = process.communicate(timeout=60)[1]
    assert process.returncode == 130
    assert f"continue with: mwnet resume {out}" in message
    assert not (out / "summary.json").exists()
    assert train.main(["--resume", str(out)]) == 0
    assert train.main([*argv, "--out", str(whole)]) == 0
    for seed in SEEDS:
        assert outcome(out / f"seed-{seed}") == outcome(whole / f"seed-{seed}")


def test_what_is_stopped_before_a_checkpoint_leaves_nothing(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object) -> None:
        raise Interrupted("stopped; the same command continues", signal.SIGINT)

    monkeypatch.setattr(seeds, "run_cells", stop)
    assert train.main([*QUICK, *MANY, "--out", str(tmp_path / "run")]) == 130
    assert capsys.readouterr().err == "train.py: stopped\n"
    assert list(tmp_path.iterdir()) == []


def test_plain_training_is_one_pass_unless_jobs_are_asked_for(tmp_path: Path) -> None:
    argv = ["--method", "erm", "--seeds", "2"]
    assert run(tmp_path / "pass", *argv)["way"] == "perceptron"
    assert run(tmp_path / "runs", *argv, "--jobs", "1")["way"] == "a run of each"


def test_a_seed_whose_weights_collapse_is_named(tmp_path: Path, capsys: Capture) -> None:
    """After three epochs the weights of seed 1 still rise with the loss, those of seed 0 do not."""
    run(tmp_path / "many", *ROBUST, "--seeds", "2")
    captured = capsys.readouterr()
    lines = [line for line in captured.out.splitlines() if line.startswith("[")]
    assert [COLLAPSE["rising"] in line for line in lines] == [False, True]


BAD = [
    (["--jobs", "2"], ["--jobs", "--seeds"]),
    (["--ray"], ["--ray", "--seeds"]),
    ([*MANY, "--jobs", "0"], ["--jobs"]),
    ([*MANY, "--lr", "1e30"], ["seed", "--lr"]),
    ([*MANY, "--model", "mlp9"], ["mlp9"]),
    ([*MANY, "--ray", "127.0.0.1:1"], ["Ray"]),
    (["--method", "erm", "--loss", "gce", "--loss.q", "7", *MANY[3:]], ["gce", "7"]),
]


@pytest.mark.parametrize(("argv", "parts"), BAD, ids=lambda value: " ".join(value)[-30:])
def test_bad_input_leaves_nothing(
    tmp_path: Path, capsys: Capture, argv: list[str], parts: list[str]
) -> None:
    message = fails(capsys, "--out", str(tmp_path / "run"), *argv)
    for part in parts:
        assert part in message
    assert list(tmp_path.iterdir()) == []
