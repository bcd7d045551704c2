"""The command ``train.py --mode loss-search``: what it leaves, and what it finds."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from commands import run
from searches import LOG, QUICK, SMALL, lines, logged, scored, search

import train
from mwnet.losses.loss_file import TaylorLoss, read_loss, write_loss
from mwnet.losses.taylor import CROSS_ENTROPY

Capture = pytest.CaptureFixture[str]
Patch = pytest.MonkeyPatch


def test_a_search_leaves_what_it_says(tmp_path: Path, capsys: Capture) -> None:
    out = tmp_path / "run"
    argv = [flag for flag in QUICK if flag != "--no-figures"]
    assert train.main([*argv, *SMALL, "--noise-rate", "0.6", "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    files = {str(path.relative_to(out)) for path in out.rglob("*") if path.is_file()}
    figures = {"figures/losses.png", "figures/fitness.png"}
    assert files == {"config.yaml", "taylor.yaml", "summary.json", LOG, *figures}

    summary = json.loads((out / "summary.json").read_text())
    found = read_loss(out / "taylor.yaml")
    assert summary.keys() == {
        "mode", "tasks", "noise", "theta", "eta", "kept", "validation_accuracy", "comparison",
        "generations", "evaluations", "failed", "restarts", "seed", "ways", "seconds", "device",
        "versions", "cross_entropy",
    }  # fmt: skip
    assert summary["mode"] == "loss-search"
    assert summary["tasks"] == ["digits/mlp2"]
    assert summary["noise"] == {"name": "symmetric", "rate": 0.6}
    assert (tuple(summary["theta"]), summary["eta"]) == (found.theta, found.eta)
    assert found.eta == 1.0
    assert summary["ways"] == {"digits/mlp2": "perceptron"}
    assert summary["device"] == "cpu"
    assert summary["versions"]["torch"] == torch.__version__
    assert "cmaes" in summary["versions"]
    assert [entry["number"] for entry in summary["generations"]] == [0, 1, 2]

    evaluations = lines(out)
    of_search = [line for line in evaluations if line["stage"].startswith("generation")]
    assert len(of_search) == 3 * 4
    assert summary["evaluations"] == len(logged(out)) == len(evaluations) + 1
    for number, entry in enumerate(summary["generations"]):
        stage = f"generation {number}, round 0"
        own = [line["accuracy"]["validation"] for line in of_search if line["stage"] == stage]
        assert entry["best"] == max(own)[0]
        assert entry["median"] == pytest.approx(np.median(own))
        assert (entry["failed"], entry["restarts"]) == (0, 0)
    assert len({line["seed"] for line in of_search}) == 3

    assert len({str(line["theta"]) for line in evaluations[12:] if "theta" in line}) == 3

    # The kept candidate is the best on fresh seeds, and the table has what the log has of them.
    fresh = {str(line.get("loss") or line["theta"]): line for line in evaluations[12:]}
    accuracies = {name: entry["mean"] for name, entry in summary["validation_accuracy"].items()}
    assert accuracies.keys() == {"mean", "latest", "best"}
    assert accuracies[summary["kept"]] == max(accuracies.values())
    table = summary["comparison"]
    assert table[0]["loss"] == "found"
    assert {row["loss"] for row in table[1:]} == {"ce", "mae"}
    others = [row["validation_accuracy"]["mean"] for row in table[1:]]
    assert others == sorted(others, reverse=True)
    for row in table:
        line = fresh[str(summary["theta"]) if row["loss"] == "found" else row["loss"]]
        for part in ("validation", "test"):
            entry = row[f"{part}_accuracy"]
            assert entry["mean"] == pytest.approx(line["accuracy"][part][0])
            assert entry["by_task"]["digits/mlp2"]["mean"] == entry["mean"]
            assert (entry["sd"], entry["n"]) == (None, 1)
    assert not {line["seed"] for line in of_search} & {line["seed"] for line in evaluations[12:]}

    provenance = yaml.safe_load((out / "taylor.yaml").read_text())
    assert provenance.keys() == {"theta", "eta", "found", "versions"}
    assert provenance["versions"] == summary["versions"]
    assert provenance["found"] == {
        "kept": summary["kept"],
        "validation_accuracy": summary["validation_accuracy"][summary["kept"]],
        "generations": 3,
        "training_samples": {"digits/mlp2": 200},
        # What differs from the defaults, but for where it ran: no folder, device, threads, workers.
        "options": {
            "mode": "loss-search", "epochs": 2, "noise": "symmetric", "noise_rate": 0.6,
            "validation_size": 300, "weight_decay": 0.0, "model_options": {"width": 8},
            "search_samples": 200, "search_population": 4, "search_generations": 3,
            "search_compare": "ce,mae", "search_final_seeds": 1,
        },
    }  # fmt: skip
    for part in ("generation 1/3", "generation 3/3", "found  ", "ce  ", "mae  ", str(out)):
        assert part in printed


def test_a_loss_that_is_best_and_latest_is_trained_once(tmp_path: Path) -> None:
    """Of one generation the best loss is that of the last one, too."""
    summary = search(tmp_path / "run", "--search-generations", "1")
    assert set(summary["validation_accuracy"]) == {"mean", "latest"}
    fresh = [line for line in lines(tmp_path / "run") if line["stage"].startswith("found")]
    assert [line["candidate"] for line in fresh] == [0, 1]
    first = [line for line in lines(tmp_path / "run") if line["stage"].startswith("generation")]
    best = max(first, key=lambda line: (line["accuracy"]["validation"], line["candidate"]))
    assert fresh[1]["theta"] == best["theta"]


def test_fresh_seeds_are_averaged(tmp_path: Path) -> None:
    summary = search(tmp_path / "run", "--search-final-seeds", "3", "--search-compare", "ce")
    of_ce = [line for line in lines(tmp_path / "run") if line.get("loss") == "ce"]
    assert len({line["seed"] for line in of_ce}) == 3
    values = [line["accuracy"]["test"][0] for line in of_ce]
    entry = summary["comparison"][-1]["test_accuracy"]
    assert entry["n"] == 3
    assert entry["mean"] == pytest.approx(np.mean(values))
    assert entry["sd"] == pytest.approx(np.std(values, ddof=1))


def test_a_found_loss_is_trained_with(tmp_path: Path) -> None:
    """The file's theta and eta, unless eta is given on its own."""
    path = tmp_path / "taylor.yaml"
    write_loss(path, TaylorLoss(tuple(range(1, 13)), 4.0), {})
    erm = ["--method", "erm", "--model.width", "8", "--loss", "taylor"]
    text = ",".join(map(str, range(1, 13)))
    losses = {
        "file": ["--loss.theta", str(path)],
        "same": ["--loss.theta", text, "--loss.eta", "4.0"],
        "own eta": ["--loss.theta", str(path), "--loss.eta", "2.0"],
        "eta first": ["--loss.eta", "2.0", "--loss.theta", str(path)],
        "same too": ["--loss.theta", text, "--loss.eta", "2.0"],
    }
    got = {}
    for name, argv in losses.items():
        run(tmp_path / name, *erm, *argv)
        got[name] = (tmp_path / name / "metrics.jsonl").read_text()
    assert got["file"] == got["same"]
    assert got["own eta"] == got["eta first"] == got["same too"]
    assert got["file"] != got["own eta"]


def test_the_start_is_the_mean_of_the_first_generation(tmp_path: Path, monkeypatch: Patch) -> None:
    seen = scored(monkeypatch, lambda *arguments: 0.5)
    narrow = ["--search-sigma", "1e-6", "--search-generations", "1"]
    search(tmp_path / "ce", "--search-start", "ce", *narrow, "--search-eta", "3")
    for loss in seen[0].losses:
        assert isinstance(loss, TaylorLoss)
        np.testing.assert_allclose(loss.theta, CROSS_ENTROPY, atol=1e-3)
        assert loss.eta == 3.0
    del seen[:]
    path = tmp_path / "ce" / "taylor.yaml"
    search(tmp_path / "file", "--search-start", str(path), *narrow)
    for loss in seen[0].losses:
        assert isinstance(loss, TaylorLoss)
        np.testing.assert_allclose(loss.theta, CROSS_ENTROPY, atol=1e-3)
        assert loss.eta == 1.0
