"""Small searches for the tests of the search for a loss, and what two equal ones have in common."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import train
from mwnet.search.strategy import Strategy
from mwnet.search.tasks import Job, Score, Task

THETA = tuple(float(value) for value in np.random.default_rng(0).normal(size=12))
ZERO = (0.0,) * 12

# A polynomial in p alone of first order is constant, since predictions sum to one.
CONSTANT = [ZERO, (0.3, -2.0, *[0.0] * 10), (0.3, 0.0, 5.0, *[0.0] * 9)]
HUGE = [tuple(1e308 * value for value in THETA), (1e200, *THETA[1:]), (0.0, 1e150, *THETA[2:])]

QUICK = ["--epochs", "3", "--no-figures", "--device", "cpu", "--threads", "1"]

SMALL = [
    "--mode", "loss-search", "--model.width", "8", "--epochs", "2", "--search-samples", "200",
    "--search-population", "4", "--search-generations", "3", "--search-compare", "ce,mae",
    "--search-final-seeds", "1", "--workers", "1", "--amp", "off",
]  # fmt: skip
TWO_TASKS = ["--search-tasks", "digits/mlp2,digits/mlp3"]
LOG = "evaluations.jsonl"

Patch = pytest.MonkeyPatch


def search(out: Path, *argv: str) -> dict:
    assert train.main([*QUICK, *SMALL, "--out", str(out), *argv]) == 0
    return json.loads((out / "summary.json").read_text())


def refused(capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    """Exit code 2 and one line on stderr, which is returned."""
    capsys.readouterr()
    assert train.main([*QUICK, *SMALL, *argv]) == 2
    message = capsys.readouterr().err
    assert message.startswith("train.py: ")
    assert message.count("\n") == 1
    assert "Traceback" not in message
    return message


def logged(out: Path) -> list[dict[str, Any]]:
    """Evaluations in their order, without the header."""
    return [json.loads(line) for line in (out / LOG).read_text().splitlines()[1:]]


def lines(out: Path) -> list[dict[str, Any]]:
    """The same without those of cross entropy, which come before the search."""
    return [line for line in logged(out) if line["stage"] != "cross entropy"]


def result(out: Path) -> tuple:
    """What must not depend on interruptions or workers."""
    summary = json.loads((out / "summary.json").read_text())
    for generation in summary["generations"]:
        del generation["seconds"]
    del summary["seconds"]
    return summary, (out / "taylor.yaml").read_bytes(), sorted((out / LOG).read_text().splitlines())


def is_cross_entropy(job: Job) -> bool:
    """Whether a job is of the training of cross entropy that every search begins with."""
    return job.losses == ("ce",) and job.parts == ("validation",)


def scored(monkeypatch: Patch, score: Callable[[Task, Job, Any], float | None]) -> list[Job]:
    """Replace all training by a function of task, job and loss.

    Args:
        monkeypatch: of the test.
        score: accuracy in every epoch that is measured; None is a failure.

    Returns:
        The jobs that are run, as they come, without those of cross entropy before the search,
        which is 0.5 throughout.
    """
    seen: list[Job] = []

    def known(self: Task, job: Job) -> list[Score]:
        if is_cross_entropy(job):
            return [Score({"validation": [0.5] * len(job.at)})]
        seen.append(job)
        scores = []
        for value in (score(self, job, loss) for loss in job.losses):
            if value is None:
                scores.append(Score({}, "diverged"))
            else:
                scores.append(Score({part: [value] * len(job.at) for part in job.parts}))
        return scores

    monkeypatch.setattr(Task, "run", known)
    return seen


def told(monkeypatch: Patch) -> list[list[float]]:
    """What the strategy is told, generation by generation."""
    seen: list[list[float]] = []
    original = Strategy.tell

    def tell(self: Strategy, points: Any, values: Any) -> None:
        seen.append(list(values))
        original(self, points, values)

    monkeypatch.setattr(Strategy, "tell", tell)
    return seen


def cut(monkeypatch: Patch, at: int, *argv: str) -> None:
    """Run a search that is stopped by Ctrl-C when its ``at``-th job begins."""
    original, jobs = Task.run, []

    def stops(self: Task, job: Job) -> list[Score]:
        jobs.append(job)
        if len(jobs) == at:
            raise KeyboardInterrupt
        return original(self, job)

    with monkeypatch.context() as patch:
        patch.setattr(Task, "run", stops)
        assert train.main([*QUICK, *SMALL, *argv]) == 130
