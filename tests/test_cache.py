"""The cache of features: by content, bounded, shared by processes, never the end of a run."""

import logging
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from commands import ROOT

from mwnet.__main__ import main
from mwnet.core.errors import UserError
from mwnet.data import cache
from mwnet.data.cache import FILE, FeatureCache, keys


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MWNET_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def rows(start: int, count: int, d: int = 5) -> list[tuple[bytes, np.ndarray]]:
    return [(b"%020d" % i, np.full(d, i, np.float32)) for i in range(start, start + count)]


def test_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MWNET_CACHE", "/one")
    monkeypatch.setenv("XDG_CACHE_HOME", "/two")
    monkeypatch.setenv("HOME", "/home/someone")
    assert cache.place() == Path("/one")
    monkeypatch.delenv("MWNET_CACHE")
    assert cache.place() == Path("/two/mwnet")
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert cache.place() == Path("/home/someone/.cache/mwnet")


def test_no_home_is_a_warning(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def lost() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("MWNET_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", lost)
    with caplog.at_level(logging.WARNING, "mwnet"), FeatureCache() as one:
        assert one.entries() == 0
    assert "set MWNET_CACHE" in caplog.text
    with pytest.raises(UserError, match="set MWNET_CACHE"):
        cache.size()


def test_keys_are_of_content_and_maker(tmp_path: Path) -> None:
    for name, content in (("a", b"1"), ("b", b"1"), ("c", b"2")):
        (tmp_path / name).write_bytes(content)
    files = [tmp_path / name for name in "abc"]
    a, b, c = keys(files, "x 1")
    assert a == b != c
    assert a not in keys(files, "x 2")
    assert keys([tmp_path / "absent"], "x 1") == [None]


def test_what_is_put_comes_back(folder: Path) -> None:
    put = rows(0, 1200)
    with FeatureCache() as one:
        one.put(put)
    with FeatureCache() as other:
        got = dict(other.get([key for key, _ in put] + [b"unknown"]))
        assert other.entries() == 1200
    assert got.keys() == {key for key, _ in put}
    assert all(np.array_equal(got[key], row) and got[key].dtype == np.float32 for key, row in put)
    assert (folder / FILE).is_file()


def test_the_longest_unused_go_first(tmp_path: Path) -> None:
    with FeatureCache(tmp_path, limit=400_000) as bounded:
        first = rows(0, 10, 500)
        bounded.put(first)
        for start in range(10, 1000, 10):
            bounded.put(rows(start, 10, 500))
            assert len(list(bounded.get([key for key, _ in first]))) == 10
        assert bounded.size() <= 400_000
        assert 100 < bounded.entries() < 200
        assert not list(bounded.get([rows(10, 1)[0][0]]))
    assert (tmp_path / FILE).stat().st_size < 500_000


def test_changed_bytes_are_no_features(folder: Path) -> None:
    with FeatureCache() as one:
        one.put(rows(0, 2))
    with sqlite3.connect(folder / FILE) as connection:
        connection.execute("UPDATE features SET vector = x'00' WHERE key = ?", (b"%020d" % 0,))
    with FeatureCache() as one:
        assert [key for key, _ in one.get([b"%020d" % i for i in range(2)])] == [b"%020d" % 1]


@pytest.mark.parametrize("damage", ["head", "middle", "folder"])
def test_a_damaged_cache_is_a_warning(
    folder: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    with FeatureCache() as one:
        one.put(rows(0, 2000))
    if damage == "folder":
        (folder / FILE).unlink()
        (folder / FILE).mkdir()
    else:
        content = bytearray((folder / FILE).read_bytes())
        start = 0 if damage == "head" else 4096
        content[start : start + 60_000] = b"x" * 60_000
        (folder / FILE).write_bytes(content)
    with caplog.at_level(logging.WARNING, "mwnet"), FeatureCache() as one:
        found = dict(one.get([key for key, _ in rows(0, 2000)]))
        one.put(rows(5000, 3))
    assert all((row == int(key)).all() for key, row in found.items())
    (record,) = caplog.records
    assert FILE in record.getMessage()
    assert "goes on without them" in record.getMessage()
    assert "\n" not in record.getMessage()
    assert ("remove that file" in record.getMessage()) == (damage != "folder")


def test_a_folder_that_cannot_be_made_is_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_bytes(b"")
    with caplog.at_level(logging.WARNING, "mwnet"), FeatureCache(tmp_path / "file" / "x") as one:
        one.put(rows(0, 1))
        assert not list(one.get([rows(0, 1)[0][0]]))
        assert one.entries() == one.size() == 0
    assert len(caplog.records) == 1


def test_a_cache_that_cannot_be_written_can_be_read(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with FeatureCache() as one:
        one.put(rows(0, 3))
    with caplog.at_level(logging.WARNING, "mwnet"), FeatureCache() as one:
        assert one.connection is not None
        one.connection.execute("PRAGMA query_only = ON")
        assert len(list(one.get([key for key, _ in rows(0, 3)]))) == 3
        assert not caplog.records
        one.put(rows(3, 1))
    assert len(caplog.records) == 1


def test_two_processes_at_once(folder: Path) -> None:
    code = (
        "import sys, numpy as np\n"
        "from mwnet.data.cache import FeatureCache\n"
        "with FeatureCache() as one:\n"
        "    for i in range(int(sys.argv[1]), 80, 2):\n"
        "        one.put([(b'%020d' % i, np.full(5, i, np.float32))])\n"
        "        list(one.get([b'%020d' % j for j in range(80)]))\n"
    )
    command = [sys.executable, "-W", "error", "-c", code]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    running = [
        subprocess.Popen([*command, str(n)], env=environment, stderr=subprocess.PIPE, text=True)
        for n in (0, 1)
    ]
    assert [process.communicate()[1] for process in running] == ["", ""]
    with FeatureCache() as one:
        assert one.entries() == 80


def test_the_command(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cache"]) == 0
    assert capsys.readouterr().out == f"{folder}: features of 0 photos, 0.0 MiB\n"
    assert not folder.exists()
    with FeatureCache() as one:
        one.put(rows(0, 1000, 1280))
    assert cache.size()[0] == 1000
    assert main(["cache"]) == 0
    said = capsys.readouterr().out
    assert said.startswith(f"{folder}: features of 1,000 photos, ")
    assert main(["cache", "--clear"]) == 0
    assert "removed the features of 1,000 photos" in capsys.readouterr().out
    assert cache.size() == (0, 0)
    assert main(["cache", "--clean"]) == 2
    assert "unrecognized arguments: --clean" in capsys.readouterr().err


def test_a_damaged_cache_can_be_cleared(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder.mkdir()
    (folder / FILE).write_bytes(b"x" * 9000)
    assert main(["cache", "--clear"]) == 0
    assert not (folder / FILE).exists()
    assert "warning: features are not kept" in capsys.readouterr().out
