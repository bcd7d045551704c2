"""A finished search that gets more generations, and one whose data has changed."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml
from searches import LOG, cut, lines, logged, result, search

import train
from mwnet.search.tasks import Job, Score, Task

Capture = pytest.CaptureFixture[str]
Patch = pytest.MonkeyPatch


def without_final(out: Path) -> list[str]:
    """Lines of the log but for the found losses on fresh seeds."""
    text = (out / LOG).read_text().splitlines()
    return [
        text[0],
        *(line for line in text[1:] if not json.loads(line)["stage"].startswith("found")),
    ]


@pytest.mark.parametrize("extra", [[], ["--search-restarts", "1", "--search-patience", "1"]])
def test_a_finished_search_is_extended_to_a_longer_one(
    tmp_path: Path, monkeypatch: Patch, extra: list[str]
) -> None:
    out, fresh = tmp_path / "run", tmp_path / "fresh"
    search(out, *extra)
    short, kept = result(out), (out / LOG).read_text()
    search(fresh, *extra, "--search-generations", "5")

    jobs: list[Job] = []
    original = Task.run

    def counted(self: Task, job: Job) -> list[Score]:
        jobs.append(job)
        return original(self, job)

    monkeypatch.setattr(Task, "run", counted)
    more = ["--resume", str(out), "--workers", "1", "--search-generations"]
    assert train.main([*more, "5"]) == 0
    assert len(jobs) == 2 + 1  # two generations and the new candidates; hand-made losses are known
    assert (out / LOG).read_text().startswith(kept)
    assert sorted(without_final(out)) == sorted(without_final(fresh))
    got, want = result(out), result(fresh)
    # The log has the candidates after three generations, too.
    stages = [line["stage"] for line in lines(out)]
    after = stages.count("found after 3 generations, seed 0")
    assert after == len(short[0]["validation_accuracy"])
    assert stages.count("found after 5 generations, seed 0") == len(got[0]["validation_accuracy"])
    assert got[0].pop("evaluations") == want[0].pop("evaluations") + after == len(logged(out))
    assert got[:2] == want[:2]
    assert yaml.safe_load(got[1])["found"]["options"]["search_generations"] == 5

    del jobs[:]
    assert train.main([*more, "3"]) == 0  # and back: all of it is known
    assert jobs == []
    back = result(out)
    del back[0]["evaluations"], short[0]["evaluations"]
    assert back[:2] == short[:2]


def noisy_file(path: Path, shift: int) -> None:
    """Given labels of the 1437 training samples of digits."""
    np.savez(path, y=(np.arange(1437) * 7 + shift) % 10)


def test_labels_of_a_file_are_part_of_what_must_not_change(
    tmp_path: Path, monkeypatch: Patch, capsys: Capture
) -> None:
    file, out, again = tmp_path / "labels.npz", tmp_path / "run", tmp_path / "again"
    noisy_file(file, 0)
    argv = ["--noise", "file", "--noise-file", f"{file}:y", "--noise-rate", "0", "--out", str(out)]
    cut(monkeypatch, 3, *argv)
    shutil.copytree(out, again)
    before = (out / LOG).read_bytes()
    noisy_file(file, 1)
    capsys.readouterr()
    assert train.main(["--resume", str(out), "--workers", "1"]) == 2
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert "contents of the data" in message
    assert (out / LOG).read_bytes() == before
    noisy_file(file, 0)
    assert train.main(["--resume", str(again), "--workers", "1"]) == 0


def test_a_finished_search_that_is_resumed_keeps_its_times(tmp_path: Path) -> None:
    out = tmp_path / "run"
    search(out)
    before = json.loads((out / "summary.json").read_text())
    assert train.main(["--resume", str(out), "--workers", "1"]) == 0
    assert json.loads((out / "summary.json").read_text()) == before
