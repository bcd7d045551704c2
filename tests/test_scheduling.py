"""Where jobs run: what is refused, how tasks of Ray are cut, and what comes back. Without Ray."""

import os
import signal
import sys
from dataclasses import replace
from pathlib import Path

import jobs
import pytest
import tables
from searches import refused

from mwnet.core.cluster import RayWorkers, _Queue
from mwnet.core.cluster_task import Told, Work, run_task, versions
from mwnet.core.errors import UserError
from mwnet.core.scheduling import Place, with_address
from mwnet.core.signals import StopSignal
from mwnet.reproduce.tables.cells import Cell, plan
from mwnet.reproduce.tables.elsewhere import Mark, Sent, arrived, marked, run_there
from mwnet.reproduce.tables.outcome import Outcome
from mwnet.reproduce.tables.runner import attempt
from mwnet.reproduce.tables.table import load_table

Capture = pytest.CaptureFixture[str]
Patch = pytest.MonkeyPatch

UNSEEN = Mark(Path("nowhere") / "mark", "secret")
SAME = ("config.yaml", "metrics.jsonl", "label_quality.csv", "pred_probs.npy", "model.safetensors")
"""Files of a run that hold no time."""


def work(run: object, **changes: object) -> Work:
    return replace(Work(run, None, Path.cwd(), versions(), "token"), **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (["--ray"], ["--ray=local"]),
        (["--ray", "small.yaml"], ["--ray=local", "small.yaml"]),
        (["--ray", "none"], ["--ray=none"]),
        (["--ray", "auto", "a"], ["--ray=auto", "a"]),
        (["a", "--ray", "head:6379"], ["a", "--ray=head:6379"]),
        (["--ray=head:6379", "--jobs", "1"], ["--ray=head:6379", "--jobs", "1"]),
    ],
)
def test_an_address_may_follow_the_flag(argv: list[str], expected: list[str]) -> None:
    assert with_address(argv) == expected


@pytest.mark.parametrize(
    ("argv", "parts"),
    [
        (["--ray", "--task-cpus", "0"], ["--task-cpus", "above 0"]),
        (["--ray", "--task-gpus", "1.5"], ["--task-gpus", "1.5"]),
        (["--ray", "--task-gpus", "-1"], ["--task-gpus", "-1"]),
        (["--ray", "--task-gpus", "nan"], ["--task-gpus", "nan"]),
        (["--ray=ray://head:10001"], ["cannot join Ray at ray://head:10001", "HOST:PORT"]),
        (["--ray=head:port"], ["cannot join Ray at head:port"]),
    ],
)
def test_what_cannot_be_is_refused(
    tmp_path: Path, capsys: Capture, argv: list[str], parts: list[str]
) -> None:
    if "=" in argv[0]:
        pytest.importorskip("ray")
    assert tables.benchmark(tables.write(tmp_path), *argv) == 2
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert all(part in message for part in parts)
    assert [path.name for path in tmp_path.iterdir()] == ["small.yaml"]


def test_without_ray_one_sentence_says_what_to_install(
    tmp_path: Path, capsys: Capture, monkeypatch: Patch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    assert tables.benchmark(tables.write(tmp_path), "--ray") == 2
    message = capsys.readouterr().err
    assert "pip install 'mwnet[ray]'" in message
    assert message.count("\n") == 1
    assert "pip install 'mwnet[ray]'" in refused(capsys, "--ray", "--out", str(tmp_path / "search"))
    assert not (tmp_path / "search").exists()


def test_tasks_last_a_second_or_more() -> None:
    workers = RayWorkers(jobs.square, Place(ray="local"))
    assert workers._size(500) == 1  # nothing is known yet
    workers.seconds.extend([0.3, 0.1, 0.1])
    assert workers._size(500) == 10
    assert workers._size(4) == 4  # the others would have nothing to do
    assert workers._size(0) == 1
    workers.seconds.extend([5.0] * 100)
    assert workers._size(500) == 1


def test_what_has_no_result_is_run_again() -> None:
    queue = _Queue(6)
    assert queue.take(3) == [0, 1, 2]
    assert queue.ended([0, 1, 2], Told(end="lost")) == []
    assert queue.take(3) == [0, 1, 2]
    # A node that is about to end interrupts a job: what it says of that one is not the end of it.
    told = Told(["a", "half"], [0.1, 0.1], "interrupted")
    assert queue.ended([0, 1, 2], told) == [(0, "a")]
    assert queue.take(9) == [1, 2, 3, 4, 5]
    assert queue.ended([1, 2], Told(["b", "c"], [0.1, 0.1])) == [(1, "b"), (2, "c")]


def test_a_job_that_ends_its_process_twice_is_given_up() -> None:
    queue = _Queue(3)
    assert queue.ended(queue.take(2), Told(end="died")) == []
    assert [queue.take(2) for _ in range(3)] == [[0], [1], [2]]
    assert queue.ended([0], Told(["a"])) == [(0, "a")]
    assert queue.ended([1], Told(end="died")) == [(1, None)]
    assert queue.ended([2], Told(end="died")) == []
    assert queue.take(2) == [2]
    assert queue.ended([2], Told(end="lost")) == []  # no fault of the job
    assert queue.take(2) == [2]


def test_a_signal_interrupts_one_job_and_begins_no_other() -> None:
    def stops(job: str) -> str:
        if job == "outside":
            os.kill(os.getpid(), signal.SIGINT)
        if job == "inside":  # as a training hears it
            with StopSignal() as stop:
                os.kill(os.getpid(), signal.SIGINT)
                assert stop.signum == signal.SIGINT
        return job

    assert run_task(work(stops), ["a", "b"]).end == "whole"
    inside = run_task(work(stops), ["a", "inside", "b"])
    assert (inside.results, inside.end) == (["a", "inside"], "interrupted")
    outside = run_task(work(stops), ["a", "outside", "b"])
    assert (outside.results, outside.end) == (["a"], "interrupted")


def test_a_node_with_other_packages_is_refused() -> None:
    other = {**versions(), "numpy": "1.0"}
    with pytest.raises(UserError, match=r"has numpy \S+, the command 1.0: install the same"):
        run_task(work(jobs.square, versions=other, token="another"), [1])


def cell_of(folder: Path) -> Cell:
    folder.mkdir()
    table = tables.write(folder, rows={"RMNW-Net": tables.TABLE["rows"]["RMNW-Net"]}, seeds=[0])
    return plan(load_table(table), folder / "out")[0]


def test_a_node_that_does_not_see_the_folder_sends_the_files(tmp_path: Path) -> None:
    here, there = cell_of(tmp_path / "here"), cell_of(tmp_path / "there")
    assert attempt(here).state == "done"
    back = run_there(Sent(there, UNSEEN), attempt)
    assert not there.folder.exists()
    outcome = arrived(back)
    assert (outcome.state, outcome.cell) == ("done", there)
    names = {path.name for path in here.folder.iterdir()}
    assert {path.name for path in there.folder.iterdir()} == names
    for name in SAME[1:]:
        assert (there.folder / name).read_bytes() == (here.folder / name).read_bytes(), name
    assert there.state() == "finished"  # so config.yaml has the options of this cell
    assert f"out: {there.folder}" in (there.folder / "config.yaml").read_text()


def test_a_checkpoint_goes_to_such_a_node_and_comes_back(tmp_path: Path) -> None:
    here, there = cell_of(tmp_path / "here"), cell_of(tmp_path / "there")
    attempt(here)
    begun = there.config.model_copy(update={"max_steps": 5})
    assert attempt(replace(there, config=begun)).state == "done"
    (there.folder / "summary.json").unlink()  # as after an interruption
    back = run_there(Sent(there, UNSEEN), attempt)
    assert arrived(back).state == "done"
    for name in SAME[1:]:
        assert (there.folder / name).read_bytes() == (here.folder / name).read_bytes(), name


def test_a_defect_on_such_a_node_leaves_its_log_here(tmp_path: Path, monkeypatch: Patch) -> None:
    there = cell_of(tmp_path / "there")

    def breaks(*arguments: object) -> None:
        raise RuntimeError("a defect")

    monkeypatch.setattr("mwnet.reproduce.tables.runner._start", breaks)
    outcome = arrived(run_there(Sent(there, UNSEEN), attempt))
    log = there.folder.with_suffix(".log")
    assert outcome.text == f"RuntimeError: a defect (see {log})"
    assert "a defect" in log.read_text()


def test_the_mark_shows_who_sees_the_folder(tmp_path: Path) -> None:
    cell = cell_of(tmp_path / "here")
    folders: list[Path] = []

    def notes(given: Cell) -> Outcome:
        folders.append(given.folder)
        return Outcome(given, "done", "")

    with marked(tmp_path / "runs") as mark:
        assert run_there(Sent(cell, mark), notes).files is None
    assert list((tmp_path / "runs").iterdir()) == []
    assert run_there(Sent(cell, mark), notes).files == {}
    assert folders[0] == cell.folder != folders[1]
    mark.path.write_text("of another disk at the same path")
    assert run_there(Sent(cell, mark), notes).files == {}
