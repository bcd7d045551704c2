"""Files that are whole or not there, and checkpoints that cannot run code."""

import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from mwnet.core import files
from mwnet.core.errors import UserError
from mwnet.training import checkpoint

CPU = torch.device("cpu")


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_atomic_write_keeps_the_old_file_when_it_fails(tmp_path: Path) -> None:
    path = tmp_path / "file"
    files.write_text(path, "old")
    with pytest.raises(ZeroDivisionError), files.atomic(path) as file:
        file.write(b"half of the n%d" % (1 // 0))
    assert path.read_text() == "old"
    assert names(tmp_path) == ["file"]


@pytest.mark.parametrize(("owner", "call"), [(os, "fsync"), (Path, "replace")])
def test_full_disk_leaves_the_last_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, owner: Any, call: str
) -> None:
    checkpoint.save(tmp_path, {"value": torch.ones(2)}, best=True)

    def full(*arguments: object, **options: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(owner, call, full)
        with pytest.raises(OSError, match="No space left"):
            checkpoint.save(tmp_path, {"value": torch.zeros(2)}, best=True)
    assert names(tmp_path) == ["best.pt", "last.pt"]
    assert checkpoint.load(tmp_path / "last.pt", CPU)["value"].tolist() == [1, 1]


def test_files_get_the_permissions_of_any_new_file(tmp_path: Path) -> None:
    files.write_text(tmp_path / "atomic", "x")
    (tmp_path / "plain").write_text("x")
    assert (tmp_path / "atomic").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_best_stays_when_last_moves_on(tmp_path: Path) -> None:
    checkpoint.save(tmp_path, {"step": 1}, best=True)
    checkpoint.save(tmp_path, {"step": 2}, best=False)
    assert checkpoint.load(tmp_path / "best.pt", CPU)["step"] == 1
    assert checkpoint.load(tmp_path / "last.pt", CPU)["step"] == 2
    checkpoint.save(tmp_path, {"step": 3}, best=True)
    assert checkpoint.load(tmp_path / "best.pt", CPU)["step"] == 3


class Evil:
    def __reduce__(self) -> tuple:
        return os.mkdir, (os.environ["MARKER"],)


def test_a_crash_between_the_two_files_leaves_both_readable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint.save(tmp_path, {"step": 1}, best=True)
    original = files.atomic

    def crashing(path: Path) -> object:
        if path.name == "last.pt":
            raise KeyboardInterrupt
        return original(path)

    monkeypatch.setattr(files, "atomic", crashing)
    with pytest.raises(KeyboardInterrupt):
        checkpoint.save(tmp_path, {"step": 2}, best=True)
    # The resumed run starts at step 1 and finds the same best epoch again.
    assert checkpoint.load(tmp_path / "last.pt", CPU)["step"] == 1
    assert checkpoint.load(tmp_path / "best.pt", CPU)["step"] == 2


def test_a_hostile_checkpoint_does_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    marker = tmp_path / "marker"
    monkeypatch.setenv("MARKER", str(marker))
    torch.save({"format": 1, "x": Evil()}, tmp_path / "a.pt")
    (tmp_path / "b.pt").write_bytes(pickle.dumps(Evil()))
    for name in ("a.pt", "b.pt"):
        with pytest.raises(UserError, match="no readable checkpoint"):
            checkpoint.load(tmp_path / name, CPU)
    assert not marker.exists()


def test_damaged_and_foreign_checkpoints(tmp_path: Path) -> None:
    checkpoint.save(tmp_path, {"step": 1}, best=False)
    whole = (tmp_path / "last.pt").read_bytes()
    (tmp_path / "cut.pt").write_bytes(whole[: len(whole) // 2])
    torch.save({"format": 99}, tmp_path / "newer.pt")
    for name, message in [("cut.pt", "no readable"), ("newer.pt", "of this version")]:
        with pytest.raises(UserError, match=message):
            checkpoint.load(tmp_path / name, CPU)


def test_a_disk_that_is_really_full(tmp_path: Path) -> None:
    """The system's own limit on file sizes, in a process of its own: an OSError, nothing left."""
    code = """
import resource, sys
from pathlib import Path
from typing import Any
import torch
from mwnet.training import checkpoint
from mwnet.core import files
folder = Path(sys.argv[1])
checkpoint.save(folder, {"x": torch.zeros(10)}, best=False)
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
try:
    checkpoint.save(folder, {"x": torch.zeros(100_000)}, best=True)
except OSError:
    sys.exit(7)
"""
    result = subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
    assert result.returncode == 7
    assert names(tmp_path) == ["last.pt"]
    assert len(checkpoint.load(tmp_path / "last.pt", CPU)["x"]) == 10


def test_sweep_removes_what_a_killed_process_left(tmp_path: Path) -> None:
    (tmp_path / ".last.pt.abc.tmp").write_bytes(b"half")
    (tmp_path / "last.pt").write_bytes(b"whole")
    files.sweep(tmp_path)
    assert names(tmp_path) == ["last.pt"]
