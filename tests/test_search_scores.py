"""How losses are scored: over tasks, epochs and rounds, and what becomes of those that fail."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from searches import LOG, TWO_TASKS, lines, refused, result, scored, search, told

import train
from mwnet.core.processes import Workers
from mwnet.losses.loss_file import TaylorLoss
from mwnet.search.tasks import Job, Task

Capture = pytest.CaptureFixture[str]
Patch = pytest.MonkeyPatch


def test_fitness_is_the_mean_over_tasks(tmp_path: Path, monkeypatch: Patch) -> None:
    def by_task(task: Task, job: Job, loss: TaylorLoss | str) -> float:
        value = 0.5 if isinstance(loss, str) else 1 / (1 + abs(loss.theta[0]))
        return value if task.config.model == "mlp2" else value**3

    values = told(monkeypatch)
    scored(monkeypatch, by_task)
    summary = search(tmp_path / "run", *TWO_TASKS)
    assert summary["tasks"] == ["digits/mlp2", "digits/mlp3"]
    of_first = [line for line in lines(tmp_path / "run") if line["task"] == "digits/mlp2"]
    accuracies = [line["accuracy"]["validation"][0] for line in of_first[:12]]
    want = [-(value + value**3) / 2 for value in accuracies]
    assert [value for generation in values for value in generation] == pytest.approx(want)
    best = [entry["best"] for entry in summary["generations"]]
    assert best == pytest.approx([-min(generation) for generation in values])
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


def dies(monkeypatch: Patch, guilty: list[TaylorLoss | str]) -> list[Job]:
    """Jobs with a guilty loss have no result, as if their process had died twice.

    Returns:
        The jobs that are tried, in their order.
    """
    original, tried = Workers.results, []

    def results(self: Workers, jobs: list[Job]) -> Any:
        tried.extend(jobs)
        for position, found in original(self, jobs):
            lost = set(guilty) & set(jobs[position].losses)
            yield position, None if lost else found

    monkeypatch.setattr(Workers, "results", results)
    return tried


def found_in(out: Path, stage: str, candidate: int) -> TaylorLoss:
    (line,) = [e for e in lines(out) if (e["stage"], e["candidate"]) == (stage, candidate)]
    return TaylorLoss(tuple(line["theta"]), line["eta"])


def test_a_job_that_died_is_tried_loss_by_loss_and_only_the_guilty_one_is_scored_worst(
    tmp_path: Path, monkeypatch: Patch
) -> None:
    ranked = told(monkeypatch)
    search(tmp_path / "whole", "--search-population", "20")
    whole = ranked[0]
    del ranked[:]
    guilty = found_in(tmp_path / "whole", "generation 0, round 0", 17)
    tried = dies(monkeypatch, [guilty])
    summary = search(tmp_path / "run", "--search-population", "20")
    # 20 losses are two jobs of 16 and 4, of which the second is tried again as four.
    assert [len(job.losses) for job in tried[:9]] == [1, 16, 4, 1, 1, 1, 1, 16, 4]
    assert summary["failed"] == {"died": 1}
    assert [entry["failed"] for entry in summary["generations"]] == [1, 0, 0]
    assert ranked[0] == [float("inf") if k == 17 else value for k, value in enumerate(whole)]
    first = [line for line in lines(tmp_path / "run") if line["stage"].startswith("generation 0")]
    assert sorted(line["candidate"] for line in first) == list(range(20))
    (lost,) = [line for line in lines(tmp_path / "run") if line["status"] == "died"]
    assert (lost["candidate"], lost["accuracy"]) == (17, {})

    # A log that was cut among the four is resumed to the same.
    log = (tmp_path / "run" / LOG).read_text().splitlines(keepends=True)
    cut = tmp_path / "cut"
    cut.mkdir()
    (cut / "config.yaml").write_bytes((tmp_path / "run" / "config.yaml").read_bytes())
    (cut / LOG).write_text("".join(log[: 1 + 1 + 16 + 2]))
    assert train.main(["--resume", str(cut), "--workers", "1"]) == 0
    assert result(cut)[:2] == result(tmp_path / "run")[:2]


def test_a_loss_that_dies_on_fresh_seeds_takes_no_other_with_it(
    tmp_path: Path, monkeypatch: Patch
) -> None:
    dies(monkeypatch, ["mae"])
    summary = search(tmp_path / "run")
    means = {row["loss"]: row["test_accuracy"]["mean"] for row in summary["comparison"]}
    assert means["mae"] is None
    assert means["ce"] is not None
    assert summary["failed"] == {"died": 1}


def test_a_hand_made_loss_that_failed_is_in_the_table_as_failed(
    tmp_path: Path, monkeypatch: Patch, capsys: Capture
) -> None:
    scored(monkeypatch, lambda task, job, loss: None if loss == "mae" else 0.5)
    summary = search(tmp_path / "run")
    assert summary["comparison"][-1]["loss"] == "mae"
    assert summary["comparison"][-1]["test_accuracy"]["mean"] is None
    assert summary["failed"] == {"diverged": 1}
    assert "failed" in capsys.readouterr().out


def test_a_candidate_that_fails_on_fresh_seeds_is_counted_and_not_kept(
    tmp_path: Path, monkeypatch: Patch
) -> None:
    """Even if it fails with one seed of two."""
    fresh: list[int] = []

    def mean_fails(task: Task, job: Job, loss: TaylorLoss | str) -> float | None:
        first = isinstance(loss, TaylorLoss) and loss == job.losses[0]
        if "test" in job.parts and first:
            fresh.append(job.seed)
            return 0.9 if len(fresh) == 1 else None
        return 0.5 if isinstance(loss, str) else 0.5 / (1 + abs(loss.theta[0]))

    scored(monkeypatch, mean_fails)
    summary = search(tmp_path / "run", "--search-final-seeds", "2")
    assert len(set(fresh)) == 2
    assert summary["failed"] == {"diverged": 1}
    assert summary["validation_accuracy"]["mean"]["mean"] is None
    assert summary["kept"] != "mean"
    assert sum(entry["failed"] for entry in summary["generations"]) == 0


def test_no_candidate_that_can_be_trained_on_fresh_seeds_is_one_sentence(
    tmp_path: Path, monkeypatch: Patch, capsys: Capture
) -> None:
    def on_fresh(task: Task, job: Job, loss: TaylorLoss | str) -> float | None:
        return None if "test" in job.parts and isinstance(loss, TaylorLoss) else 0.5

    scored(monkeypatch, on_fresh)
    out = tmp_path / "run"
    message = refused(capsys, "--out", str(out))
    assert "no found loss could be trained on the fresh seeds" in message
    assert {path.name for path in out.iterdir()} == {"config.yaml", LOG}
    assert len(lines(out)) == 3 * 4 + 3 + 2
