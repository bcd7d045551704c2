"""The command ``train.py --mode loss-search``: what it leaves, and what it finds."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from commands import QUICK, run
from searches import LOG, SMALL, TWO_TASKS, lines, scored, search

import train
from mwnet.loss_file import TaylorLoss, read_loss, write_loss
from mwnet.losses.taylor import CROSS_ENTROPY
from mwnet.search.space import Space
from mwnet.search.strategy import Strategy
from mwnet.search.tasks import Job, Task
from mwnet.search.workers import Workers

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
        "versions",
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
    assert summary["evaluations"] == len(evaluations)
    for number, entry in enumerate(summary["generations"]):
        stage = f"generation {number}, round 0"
        own = [line["accuracy"]["validation"] for line in of_search if line["stage"] == stage]
        assert entry["best"] == max(own)[0]
        assert entry["median"] == pytest.approx(np.median(own))
        assert entry["failed"] == 0
    assert len({line["seed"] for line in of_search}) == 3

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
    assert provenance["found"]["kept"] == summary["kept"]
    assert provenance["found"]["noise_rate"] == 0.6
    assert provenance["versions"] == summary["versions"]
    for part in ("generation 1/3", "generation 3/3", "found  ", "ce  ", "mae  ", str(out)):
        assert part in printed


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


ORDER_2 = ["--search-order", "2", "--search-population", "8", "--search-compare", "none"]
TARGET = np.array([0.4, 0.6, -1.0, 0.5, 1.2])


def near_target(task: Task, job: Job, loss: TaylorLoss | str) -> float:
    assert isinstance(loss, TaylorLoss)
    distance = ((Space(2).point(loss.theta) - TARGET) ** 2).sum()
    return float(1 / (1 + distance))


def test_a_search_finds_a_planted_optimum(tmp_path: Path, monkeypatch: Patch) -> None:
    scored(monkeypatch, near_target)
    summary = search(tmp_path / "run", *ORDER_2, "--search-generations", "60")
    np.testing.assert_allclose(Space(2).point(summary["theta"]), TARGET, atol=0.02)
    unused = [k for k in range(12) if k not in Space(2).free]
    assert len(unused) == 7
    assert [summary["theta"][k] for k in unused] == [0.0] * 7
    best = [entry["best"] for entry in summary["generations"]]
    assert best[0] < 0.6
    assert best[-1] > 0.999


def test_failures_do_not_keep_it_from_finding(tmp_path: Path, monkeypatch: Patch) -> None:
    """A tenth fail, and whatever is beyond a wall right beside the optimum."""
    rng = np.random.default_rng(0)

    def often(task: Task, job: Job, loss: TaylorLoss) -> float | None:
        beyond = Space(2).point(loss.theta)[4] > 1.3
        failing = beyond or (rng.random() < 0.1 and "test" not in job.parts)
        return None if failing else near_target(task, job, loss)

    scored(monkeypatch, often)
    summary = search(tmp_path / "run", *ORDER_2, "--search-generations", "80")
    np.testing.assert_allclose(Space(2).point(summary["theta"]), TARGET, atol=0.05)
    assert summary["failed"].keys() == {"diverged"}
    assert sum(entry["failed"] for entry in summary["generations"]) == summary["failed"]["diverged"]
    assert summary["failed"]["diverged"] > 80 * 8 / 20


def test_restarts_double_the_population(tmp_path: Path, monkeypatch: Patch) -> None:
    scored(monkeypatch, near_target)
    argv = [*ORDER_2, "--search-population", "6", "--search-generations", "400"]
    once = search(tmp_path / "once", *argv)
    assert once["restarts"] == 0
    converged = len(once["generations"])
    assert converged < 400
    twice = search(tmp_path / "twice", *argv, "--search-restarts", "1")
    assert twice["restarts"] == 1
    sizes: dict[str, int] = {}
    for line in lines(tmp_path / "twice"):
        sizes[line["stage"]] = sizes.get(line["stage"], 0) + 1
    of_generations = [size for stage, size in sizes.items() if stage.startswith("generation")]
    assert of_generations[:converged] == [6] * converged
    assert set(of_generations[converged:]) == {12}
    np.testing.assert_allclose(Space(2).point(twice["theta"]), TARGET, atol=0.02)


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


def test_fitness_is_the_mean_over_tasks(tmp_path: Path, monkeypatch: Patch) -> None:
    def by_task(task: Task, job: Job, loss: TaylorLoss | str) -> float:
        value = 0.5 if isinstance(loss, str) else 1 / (1 + abs(loss.theta[0]))
        return value if task.config.model == "mlp2" else value**3

    told = []
    original = Strategy.tell

    def tell(self: Strategy, points: list, values: list) -> None:
        told.extend(values)
        original(self, points, values)

    monkeypatch.setattr(Strategy, "tell", tell)
    scored(monkeypatch, by_task)
    summary = search(tmp_path / "run", *TWO_TASKS)
    assert summary["tasks"] == ["digits/mlp2", "digits/mlp3"]
    of_first = [line for line in lines(tmp_path / "run") if line["task"] == "digits/mlp2"]
    accuracies = [line["accuracy"]["validation"][0] for line in of_first[:12]]
    assert told == pytest.approx([-(value + value**3) / 2 for value in accuracies])
    best = [entry["best"] for entry in summary["generations"]]
    assert best == pytest.approx([-min(told[k : k + 4]) for k in (0, 4, 8)])
    entry = summary["comparison"][1]["test_accuracy"]
    assert entry["mean"] == pytest.approx((0.5 + 0.125) / 2)
    assert [entry["by_task"][t]["mean"] for t in summary["tasks"]] == pytest.approx([0.5, 0.125])


def test_a_loss_that_fails_on_one_task_has_failed(tmp_path: Path, monkeypatch: Patch) -> None:
    def on_second(task: Task, job: Job, loss: TaylorLoss | str) -> float | None:
        bad = isinstance(loss, TaylorLoss) and loss.theta[0] > 0 and task.config.model == "mlp3"
        return None if bad else 0.5

    scored(monkeypatch, on_second)
    summary = search(tmp_path / "run", *TWO_TASKS)
    bad = [line for line in lines(tmp_path / "run")[:24] if line["status"] == "diverged"]
    assert 0 < len(bad) < 12
    assert summary["failed"] == {"diverged": len(bad)}


def test_the_score_is_the_mean_over_the_last_epochs(tmp_path: Path) -> None:
    argv = ["--epochs", "4", "--search-score-epochs", "3", "--search-eta", "10"]
    summary = search(tmp_path / "run", *argv)
    first = [line["accuracy"]["validation"] for line in lines(tmp_path / "run")[:4]]
    assert {len(values) for values in first} == {3}
    assert len({tuple(values) for values in first}) > 1
    assert summary["generations"][0]["best"] == pytest.approx(max(map(np.mean, first)))


def test_halving_trains_fewer_in_full_and_ranks_the_dropped_below_them(
    tmp_path: Path, monkeypatch: Patch
) -> None:
    """Even though a short training has the higher accuracy here."""
    told = []
    original = Strategy.tell

    def tell(self: Strategy, points: list, values: list) -> None:
        told.append(values)
        original(self, points, values)

    def short(task: Task, job: Job, loss: TaylorLoss | str) -> float | None:
        value = 0.1 if isinstance(loss, str) else 0.1 / (1 + abs(loss.theta[0]))
        if isinstance(loss, TaylorLoss) and loss.theta[1] > 1.5 and job.epochs < 8:
            return None
        return value if job.epochs == 8 else value + 0.5

    monkeypatch.setattr(Strategy, "tell", tell)
    seen = scored(monkeypatch, short)
    argv = ["--epochs", "8", "--search-population", "8", "--search-halving", "2"]
    summary = search(tmp_path / "run", *argv)
    sizes = [(job.epochs, len(job.losses)) for job in seen]
    assert sizes[:9] == [(1, 8), (2, 4), (8, 2)] * 3
    failed = 0
    for generation, values in enumerate(told):
        rounds = [{loss: k for k, loss in enumerate(seen[3 * generation].losses)}]
        rounds += [dict.fromkeys(seen[3 * generation + k].losses, 0) for k in (1, 2)]
        of = dict(zip(rounds[0], values, strict=True))
        trained = [of[loss] for loss in rounds[2]]
        dropped = [of[loss] for loss in rounds[1] if loss not in rounds[2]]
        first = [of[loss] for loss in rounds[0] if loss not in rounds[1]]
        finite = [value for value in first if math.isfinite(value)]
        assert max(trained) < min(dropped) <= max(dropped) < min(finite)
        assert summary["generations"][generation]["best"] == pytest.approx(-min(trained))
        assert summary["generations"][generation]["failed"] == len(first) - len(finite)
        failed += len(first) - len(finite)
        losses = sorted(rounds[0], key=lambda loss: abs(loss.theta[0]))  # pyright: ignore
        good = [loss for loss in losses if math.isfinite(of[loss])]
        assert set(rounds[2]) == set(good[:2])  # the best of each round go on
    assert failed == summary["failed"].get("diverged", 0) > 0


def died(monkeypatch: Patch, which: Callable[[Job], bool]) -> None:
    """Jobs whose process would die twice have no result."""
    original = Workers.results

    def results(self: Workers, jobs: list[Job]) -> Any:
        for position, found in original(self, jobs):
            yield position, None if which(jobs[position]) else found

    monkeypatch.setattr(Workers, "results", results)


def test_a_job_that_died_is_counted_and_scored_worst(tmp_path: Path, monkeypatch: Patch) -> None:
    told = []
    original = Strategy.tell

    def tell(self: Strategy, points: list, values: list) -> None:
        told.append(values)
        original(self, points, values)

    monkeypatch.setattr(Strategy, "tell", tell)
    search(tmp_path / "whole", "--search-population", "20")
    whole = told.pop(0)
    del told[:]
    # 20 losses are two jobs of 16 and 4: the second is lost in each generation.
    died(monkeypatch, lambda job: len(job.losses) == 4 and "test" not in job.parts)
    summary = search(tmp_path / "run", "--search-population", "20")
    assert summary["failed"] == {"died": 3 * 4}
    assert [entry["failed"] for entry in summary["generations"]] == [4, 4, 4]
    assert told[0][:16] == whole[:16]
    assert told[0][16:] == [float("inf")] * 4
    lost = [line for line in lines(tmp_path / "run") if line["status"] == "died"]
    assert {line["candidate"] for line in lost} == {16, 17, 18, 19}
    assert all(line["accuracy"] == {} for line in lost)


def test_a_hand_made_loss_that_failed_is_in_the_table_as_failed(
    tmp_path: Path, monkeypatch: Patch, capsys: Capture
) -> None:
    scored(monkeypatch, lambda task, job, loss: None if loss == "mae" else 0.5)
    summary = search(tmp_path / "run")
    assert summary["comparison"][-1]["loss"] == "mae"
    assert summary["comparison"][-1]["test_accuracy"]["mean"] is None
    assert "failed" in capsys.readouterr().out
