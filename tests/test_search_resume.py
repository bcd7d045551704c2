"""A search that is stopped, killed or cut goes on as if nothing had happened."""

import json
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from searches import (
    LOG,
    QUICK,
    SMALL,
    TWO_TASKS,
    is_cross_entropy,
    lines,
    logged,
    result,
    search,
)

import train
from mwnet.search.tasks import Job, Score, Task

Capture = pytest.CaptureFixture[str]
Patch = pytest.MonkeyPatch


class Stop:
    """Ctrl-C just before the n-th job; counts the jobs."""

    def __init__(self, monkeypatch: Patch, before: int | None = None) -> None:
        self.jobs = 0
        original = Task.run

        def counted(task: Task, job: Job) -> list[Score]:
            if self.jobs == before:
                raise KeyboardInterrupt
            self.jobs += 1
            return original(task, job)

        monkeypatch.setattr(Task, "run", counted)


def test_a_search_that_is_terminated_says_how_to_go_on(
    tmp_path: Path, monkeypatch: Patch, capsys: Capture
) -> None:
    """SIGTERM is what Ctrl-C is, while a search runs and not afterwards."""
    original, done = Task.run, []

    def terminated(task: Task, job: Job) -> list[Score]:
        assert signal.getsignal(signal.SIGTERM) != before
        if done:
            signal.raise_signal(signal.SIGTERM)
        if not is_cross_entropy(job):
            done.append(job)
        return original(task, job)

    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(Task, "run", terminated)
    assert train.main([*QUICK, *SMALL, "--out", str(tmp_path / "run")]) == 128 + signal.SIGTERM
    assert f"mwnet resume {tmp_path / 'run'}" in capsys.readouterr().err
    assert len(lines(tmp_path / "run")) == 4
    assert signal.getsignal(signal.SIGTERM) == before


# Of cross entropy, three generations, and two kinds of final losses; two tasks each.
JOBS = 2 + 3 * 2 + 2 * 2


@pytest.mark.parametrize("before", [1, 2, 3, 5, 6, 9, 11])
def test_stopped_and_resumed_is_the_uninterrupted_search(
    tmp_path: Path, monkeypatch: Patch, capsys: Capture, whole: Path, before: int
) -> None:
    """In cross entropy, a generation, between two of them, in the final comparison."""
    out = tmp_path / "cut"
    with monkeypatch.context() as patch:
        Stop(patch, before)
        assert train.main([*QUICK, *SMALL, *TWO_TASKS, "--out", str(out)]) == 130
    assert f"mwnet resume {out}" in capsys.readouterr().err
    assert not (out / "summary.json").exists()
    kept = (out / LOG).read_text()
    assert len({(line["stage"], line["task"]) for line in logged(out)}) == before
    with monkeypatch.context() as patch:
        counted = Stop(patch)
        assert train.main(["--resume", str(out), "--workers", "1"]) == 0
        assert counted.jobs == JOBS - before
    assert (out / LOG).read_text().startswith(kept)
    assert (out / LOG).read_bytes() == (whole / LOG).read_bytes()
    assert result(out) == result(whole)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("whole") / "run"
    torch.set_num_threads(1)
    search(out, *TWO_TASKS)
    return out


def copy_without_result(whole: Path, out: Path, log: bytes) -> Path:
    out.mkdir()
    (out / "config.yaml").write_bytes((whole / "config.yaml").read_bytes())
    (out / LOG).write_bytes(log)
    return out


@pytest.mark.parametrize("place", ["in a line", "between lines of a job", "in the header", "empty"])
def test_a_log_that_was_cut_anywhere_is_resumed(
    tmp_path: Path, monkeypatch: Patch, whole: Path, place: str
) -> None:
    log = (whole / LOG).read_bytes()
    ends = [k for k, byte in enumerate(log) if byte == ord("\n")]
    # After the header come two jobs of cross entropy, then jobs of four losses each.
    ends_at = {"in a line": ends[10] + 50, "between lines of a job": ends[12] + 1}
    cut = {**ends_at, "in the header": 40, "empty": 0}[place]
    out = copy_without_result(whole, tmp_path / "cut", log[:cut])
    counted = Stop(monkeypatch)
    assert train.main(["--resume", str(out), "--workers", "1"]) == 0
    assert counted.jobs == {"in a line": JOBS - 4, "between lines of a job": JOBS - 4}.get(
        place, JOBS
    )
    summary, loss, entries = result(out)
    assert (summary, loss) == result(whole)[:2]
    assert set(entries) == set(result(whole)[2])


def test_a_finished_search_that_is_resumed_evaluates_nothing(
    tmp_path: Path, monkeypatch: Patch, whole: Path
) -> None:
    out = copy_without_result(whole, tmp_path / "again", (whole / LOG).read_bytes())
    counted = Stop(monkeypatch, before=0)
    assert train.main(["--resume", str(out), "--workers", "1"]) == 0
    assert counted.jobs == 0
    assert result(out) == result(whole)


def test_a_search_stopped_before_its_first_evaluation_leaves_nothing(
    tmp_path: Path, monkeypatch: Patch, capsys: Capture
) -> None:
    Stop(monkeypatch, before=0)
    assert train.main([*QUICK, *SMALL, "--out", str(tmp_path / "run")]) == 130
    assert "stopped" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_search_terminated_before_its_first_evaluation_leaves_nothing(
    tmp_path: Path, monkeypatch: Patch, capsys: Capture
) -> None:
    def terminated(task: Task, job: Job) -> list[Score]:
        signal.raise_signal(signal.SIGTERM)
        raise AssertionError

    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(Task, "run", terminated)
    assert train.main([*QUICK, *SMALL, "--out", str(tmp_path / "run")]) == 128 + signal.SIGTERM
    assert capsys.readouterr().err == "train.py: stopped\n"
    assert list(tmp_path.iterdir()) == []
    assert signal.getsignal(signal.SIGTERM) == before


def test_several_workers_evaluate_the_same(tmp_path: Path, whole: Path) -> None:
    search(tmp_path / "run", *TWO_TASKS, "--workers", "2")
    assert result(tmp_path / "run") == result(whole)


def test_the_same_seed_searches_the_same_and_another_does_not(tmp_path: Path) -> None:
    for name, seed in (("a", "0"), ("b", "0"), ("c", "1")):
        search(tmp_path / name, "--seed", seed)
    assert result(tmp_path / "a") == result(tmp_path / "b")
    assert result(tmp_path / "a")[0]["theta"] != result(tmp_path / "c")[0]["theta"]


def edited(whole: Path, out: Path, **changes: Any) -> Path:
    """A copy whose log has another header."""
    header, rest = (whole / LOG).read_text().split("\n", 1)
    values = json.loads(header)
    for name, change in changes.items():
        values[name] = {**values[name], **change} if isinstance(change, dict) else change
    return copy_without_result(whole, out, f"{json.dumps(values)}\n{rest}".encode())


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({"versions": {"torch": "1.0"}}, ["torch = 1.0", torch.__version__]),
        ({"versions": {"cmaes": "0.1"}}, ["cmaes = 0.1"]),
        ({"options": {"lr": 7.0}}, ["lr = 7.0", "0.05"]),
        ({"log": 2}, ["no log of this version"]),
    ],
)
def test_a_log_of_another_version_or_configuration_is_not_resumed(
    tmp_path: Path, capsys: Capture, whole: Path, changes: dict, parts: list[str]
) -> None:
    out = edited(whole, tmp_path / "run", **changes)
    before = (out / LOG).read_bytes()
    assert train.main(["--resume", str(out)]) == 2
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert all(part in message for part in [str(out), *parts])
    assert (out / LOG).read_bytes() == before
    assert {path.name for path in out.iterdir()} == {"config.yaml", LOG}


def test_a_log_with_another_loss_is_not_resumed(
    tmp_path: Path, capsys: Capture, whole: Path
) -> None:
    log = (whole / LOG).read_text().splitlines(keepends=True)
    entry = json.loads(log[4])
    entry["theta"][3] += 1e-9
    log[4] = json.dumps(entry) + "\n"
    out = copy_without_result(whole, tmp_path / "run", "".join(log).encode())
    assert train.main(["--resume", str(out), "--workers", "1"]) == 2
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert "generation 0, round 0, candidate 1" in message


def test_a_search_is_not_resumed_with_other_options(
    tmp_path: Path, capsys: Capture, whole: Path
) -> None:
    out = copy_without_result(whole, tmp_path / "run", (whole / LOG).read_bytes())
    assert train.main(["--resume", str(out), "--search-population", "9"]) == 2
    assert "search_population = 4" in capsys.readouterr().err
    assert train.main(["--resume", str(out), "--workers", "1", "--no-figures"]) == 0
