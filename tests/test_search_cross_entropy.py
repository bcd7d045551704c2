"""Before a search: whether cross entropy memorises the labels that the losses are trained on."""

from pathlib import Path

import pytest
from searches import TWO_TASKS, logged, search

from mwnet.search import console
from mwnet.search.tasks import Job, Score, Task

Capture = pytest.CaptureFixture[str]
Patch = pytest.MonkeyPatch


def test_cross_entropy_is_trained_first_on_every_task(tmp_path: Path, capsys: Capture) -> None:
    summary = search(tmp_path / "run", *TWO_TASKS, "--epochs", "4")
    printed = capsys.readouterr().out
    first, second, third, *_ = logged(tmp_path / "run")
    assert third["stage"] == "generation 0, round 0"
    assert [entry["task"] for entry in summary["cross_entropy"]] == ["digits/mlp2", "digits/mlp3"]
    for line, entry in zip((first, second), summary["cross_entropy"], strict=True):
        assert (line["stage"], line["loss"], line["epochs"]) == ("cross entropy", "ce", 4)
        assert line["task"] == entry["task"]
        curve = line["accuracy"]["validation"]
        assert len(curve) == 4
        assert entry.keys() == {"task", "best", "best_epoch", "last"}
        assert (entry["best"], entry["last"]) == (max(curve), curve[-1])
        assert curve[entry["best_epoch"] - 1] == max(curve)
        told = f"{entry['task']}: {entry['best']:.4f} after {entry['best_epoch']} epochs"
        assert f"cross entropy on {told}, {entry['last']:.4f} at the end" in printed
    assert first["seed"] not in {line["seed"] for line in logged(tmp_path / "run")[2:]}


def planted(monkeypatch: Patch, *curves: list[float] | None) -> list[Job]:
    """Each task's curve of cross entropy, None being a failure; whatever else is 0.5.

    Returns:
        The jobs of cross entropy.
    """
    jobs: list[Job] = []

    def known(self: Task, job: Job) -> list[Score]:
        if job.losses == ("ce",) and job.parts == ("validation",):
            jobs.append(job)
            curve = curves[job.task]
            return [Score({}, "diverged") if curve is None else Score({"validation": curve})]
        return [Score({part: [0.5] * len(job.at) for part in job.parts})] * len(job.losses)

    monkeypatch.setattr(Task, "run", known)
    return jobs


@pytest.mark.parametrize(
    ("epochs", "at"),
    [
        (2, (1, 2)),
        (15, (2, 3, 4, 6, 8, 9, 10, 12, 14, 15)),
        (80, (8, 16, 24, 32, 40, 48, 56, 64, 72, 80)),
    ],
)
def test_it_is_measured_after_every_tenth(
    tmp_path: Path, monkeypatch: Patch, epochs: int, at: tuple[int, ...]
) -> None:
    curve = [0.2] * len(at)
    curve[1] = 0.6
    jobs = planted(monkeypatch, curve)
    (entry,) = search(tmp_path / "run", "--epochs", str(epochs))["cross_entropy"]
    assert [(job.epochs, job.at) for job in jobs] == [(epochs, at)]
    assert entry == {"task": "digits/mlp2", "best": 0.6, "best_epoch": at[1], "last": curve[-1]}


WARNING = "cross entropy has hardly memorised"


@pytest.mark.parametrize(
    ("lost", "warned"), [(0.4, False), (0.031, False), (0.029, True), (0.0, True)]
)
def test_cross_entropy_that_does_not_memorise_is_warned_of(
    tmp_path: Path, monkeypatch: Patch, capsys: Capture, lost: float, warned: bool
) -> None:
    assert console.MEMORISED == 0.03
    planted(monkeypatch, [0.7, 0.7 - lost])
    search(tmp_path / "run")
    assert capsys.readouterr().out.count(WARNING) == warned


def test_each_task_is_warned_of_on_its_own(
    tmp_path: Path, monkeypatch: Patch, capsys: Capture
) -> None:
    planted(monkeypatch, [0.7, 0.3], [0.6, 0.6])
    search(tmp_path / "run", *TWO_TASKS)
    printed = capsys.readouterr().out.splitlines()
    (place,) = [k for k, line in enumerate(printed) if WARNING in line]
    assert "cross entropy on digits/mlp3: 0.6000 after 1 epochs" in printed[place - 1]
    assert "digits/mlp2" in printed[place - 2]


def test_where_cross_entropy_fails_the_search_goes_on(tmp_path: Path, monkeypatch: Patch) -> None:
    planted(monkeypatch, None, [0.6, 0.5])
    summary = search(tmp_path / "run", *TWO_TASKS)
    assert [entry["task"] for entry in summary["cross_entropy"]] == ["digits/mlp3"]
    assert summary["failed"] == {}
