"""Files that hypothesis makes, nearly right ones: every reader reads them, or says one sentence."""

import importlib.util
import logging
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.faults.commands import inside
from benchmarks.faults.point import Point, Size
from mwnet.core.errors import UserError

SECONDS = {"quick": 60.0, "full": 3600.0}
"""Of the whole point; every kind of file gets an equal share."""
BATCH = 50
"""Examples between two looks at the clock."""
REFUSED = object()
"""What a reader returns whose command has refused a file."""
DIFFERENT = 5
"""Losses of a kind after which the next kind is tried."""


def run(point: Point, size: Size, seed: int) -> None:
    """Make files of each kind until its share of the time is spent."""
    if importlib.util.find_spec("hypothesis") is None:
        point.passed_over.append("hypothesis is not installed.")
        return
    from benchmarks.faults.fuzz_readers import readers

    logging.getLogger("mwnet").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        kinds = readers(folder)
        share = float(os.environ.get("FUZZ_SECONDS", SECONDS[size])) / len(kinds)
        for kind, (files, read) in kinds.items():
            fuzzed(point, kind, files, read, share, seed)
    point.open_ends.append(
        "The files are drawn at random: what no draw has met may still end in a traceback."
    )


def fuzzed(
    point: Point, kind: str, files: Any, read: Callable[[Any], object], share: float, seed: int
) -> None:
    """Draw files of a kind for ``share`` seconds, and look at what their reader does."""
    from hypothesis import HealthCheck, Phase, Verbosity, given, settings
    from hypothesis import seed as seeded

    quiet = (HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much)
    tried = refused = 0

    def one(file: Any) -> None:
        nonlocal tried, refused
        tried += 1
        fault, read_well = verdict(read, file)
        refused += not read_well
        assert not fault, fault

    started, lost, batch = time.perf_counter(), set[str](), 0
    while time.perf_counter() - started < share and len(lost) < DIFFERENT:
        rules = settings(
            max_examples=BATCH,
            deadline=None,
            database=None,
            verbosity=Verbosity.quiet,
            phases=[Phase.generate, Phase.shrink],
            suppress_health_check=quiet,
            report_multiple_bugs=False,
        )
        try:
            seeded(seed * 1_000_003 + batch)(rules(given(files)(one)))()
        except AssertionError as error:
            said = " ".join([*str(error).splitlines()[:1], *getattr(error, "__notes__", [])])
            if said not in lost:
                point.saw(kind, False, said)
            lost.add(said)
        batch += 1
    # What hypothesis tries while it makes a lost file smaller is counted too.
    survived = max(0, tried - len(lost))
    point.tried[kind] = point.tried.get(kind, 0) + survived
    point.failed.setdefault(kind, 0)
    point.notes.append(f"{kind}: {tried - refused} files were read, {refused} were refused.")


def verdict(read: Callable[[Any], object], file: Any) -> tuple[str, bool]:
    """What is wrong with how a file was met, or an empty string; and whether it was read."""
    try:
        return "", read(file) is not REFUSED
    except UserError as error:
        message = str(error)
        if not message or "\n" in message:
            return f"not one sentence: {message!r}", False
        return f"{len(message)} characters: {message}" if len(message) > 1500 else "", False
    except AssertionError as error:  # a wrong result
        return f"wrong: {error}", False
    except Exception as error:
        return f"{type(error).__name__}: {error}", False


def whole_command(folder: Path, *argv: str) -> object:
    """Train for a step on what was made: done, or ``REFUSED`` with nothing left behind.

    Raises:
        AssertionError: a traceback, another exit code, several lines, or a folder left behind.
    """
    before = {path.name for path in folder.iterdir()}
    with tempfile.TemporaryDirectory() as elsewhere:
        out = Path(elsewhere) / "run"
        small = ("--max-steps=1", "--device=cpu", "--threads=1", "--no-figures", "--no-tensorboard")
        said = inside("train", *small, "--out", str(out), *argv)
        message = said.err.strip()
        assert said.code in (0, 2), f"exit code {said.code}: {message[-300:]}"
        assert "Traceback" not in message, message[-300:]
        if said.code == 2:
            lines = [line for line in message.splitlines() if not line.startswith("warning")]
            assert len(lines) == 1, f"not one sentence: {message!r}"
            assert not out.exists(), "a folder was left behind"
    assert {path.name for path in folder.iterdir()} == before, "files were left behind"
    return REFUSED if said.code else said
