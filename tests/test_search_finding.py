"""A search finds what was planted, in spite of noise and failures, and restarts."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from searches import lines, scored, search

from mwnet.losses.loss_file import TaylorLoss
from mwnet.search.space import Space
from mwnet.search.strategy import Strategy
from mwnet.search.tasks import Job, Task

Capture = pytest.CaptureFixture[str]
Patch = pytest.MonkeyPatch

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
    in_generations = sum(entry["failed"] for entry in summary["generations"])
    on_fresh = sum(e["mean"] is None for e in summary["validation_accuracy"].values())
    assert in_generations + on_fresh == summary["failed"]["diverged"]
    assert summary["failed"]["diverged"] > 80 * 8 / 20


def sizes(out: Path) -> list[int]:
    """How many losses each generation had."""
    of: dict[str, int] = {}
    for line in lines(out):
        if line["stage"].startswith("generation"):
            of[line["stage"]] = of.get(line["stage"], 0) + 1
    return list(of.values())


def test_restarts_double_the_population(tmp_path: Path, monkeypatch: Patch) -> None:
    scored(monkeypatch, near_target)
    argv = [*ORDER_2, "--search-population", "6", "--search-generations", "400"]
    once = search(tmp_path / "once", *argv)
    assert once["restarts"] == 0
    converged = len(once["generations"])
    assert converged < 400
    argv += ["--search-patience", "400"]
    twice = search(tmp_path / "twice", *argv, "--search-restarts", "1")
    assert twice["restarts"] == 1
    of_generations = sizes(tmp_path / "twice")
    assert of_generations[:converged] == [6] * converged
    assert set(of_generations[converged:]) == {12}
    np.testing.assert_allclose(Space(2).point(twice["theta"]), TARGET, atol=0.02)


def noisy(task: Task, job: Job, loss: TaylorLoss) -> float:
    """As accuracies are: of few validation samples, and another number with another seed."""
    luck = np.random.default_rng([job.seed % 2**32, abs(hash(loss.theta)) % 2**32])
    return (
        round(float(np.clip(near_target(task, job, loss) + luck.normal(0, 0.05), 0, 1)) * 50) / 50
    )


def test_noisy_scores_make_it_restart(tmp_path: Path, monkeypatch: Patch, capsys: Capture) -> None:
    """Convergence alone would not: the median has stopped improving long before."""
    scored(monkeypatch, noisy)
    argv = [*ORDER_2, "--search-generations", "80", "--search-restarts", "2"]
    never = search(tmp_path / "never", *argv, "--search-patience", "80")
    assert never["restarts"] == 0
    capsys.readouterr()
    summary = search(tmp_path / "run", *argv, "--search-patience", "6")
    printed = capsys.readouterr().out
    assert summary["restarts"] == 2
    runs = [entry["restarts"] for entry in summary["generations"]]
    assert runs == sorted(runs)
    begins = [runs.index(1) + 1, runs.index(2) + 1]  # the generation after that which ended a run
    wanted = [8] * begins[0] + [16] * (begins[1] - begins[0]) + [32] * (80 - begins[1])
    assert sizes(tmp_path / "run") == wanted
    # Each run ended because six generations had no better median than one before.
    medians = [entry["median"] for entry in summary["generations"]]
    for first, end in ((0, begins[0]), (begins[0], begins[1])):
        own = medians[first:end]
        assert max(own[-6:]) <= max(own[:-6])
        assert own[-7] == max(own) > max(own[:-7], default=0)
    assert "  restart 1" in printed
    candidates = summary["validation_accuracy"]
    assert list(candidates)[:3] == ["mean", "mean of run 1", "mean of run 2"]
    assert candidates[summary["kept"]]["mean"] > 0.8


def test_what_an_earlier_run_converged_to_may_be_the_result(
    tmp_path: Path, monkeypatch: Patch
) -> None:
    """Although the last run has only just begun."""
    seen = scored(monkeypatch, near_target)
    argv = [*ORDER_2, "--search-population", "6", "--search-restarts", "1"]
    argv += ["--search-patience", "400"]
    long = search(tmp_path / "long", *argv, "--search-generations", "400")
    converged = [entry["restarts"] for entry in long["generations"]].index(1) + 1

    del seen[:]
    strategies = []
    begin = Strategy._begin

    def spied(self: Strategy) -> Any:
        strategies.append(self)
        return begin(self)

    monkeypatch.setattr(Strategy, "_begin", spied)
    summary = search(tmp_path / "run", *argv, "--search-generations", str(converged + 1))
    assert summary["restarts"] == 1
    (earlier,) = strategies[-1].earlier
    np.testing.assert_allclose(earlier, TARGET, atol=1e-3)
    (final,) = [job for job in seen if "test" in job.parts]
    assert summary["validation_accuracy"].keys() == {"mean", "mean of run 1", "latest", "best"}
    assert isinstance(final.losses[1], TaylorLoss)
    assert final.losses[1].theta == Space(2).theta(earlier)
    assert summary["validation_accuracy"]["mean of run 1"]["mean"] > 0.999
    assert summary["validation_accuracy"]["mean"]["mean"] < 0.9
    assert summary["kept"] in {"mean of run 1", "best"}
