"""What a process of Ray does: get ready once, then run the jobs of a task one after another."""

import contextlib
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from socket import gethostname
from typing import Any, Literal

from mwnet.core.errors import Interrupted, UserError
from mwnet.core.signals import StopSignal

PACKAGES = ("mwnet", "torch", "numpy", "scipy", "scikit-learn")
"""Whose versions must be the same on all nodes: results depend on them."""


@dataclass(frozen=True)
class Work:
    """What all tasks share.

    Attributes:
        run, start: as in ``Workers``.
        folder: the working directory of the command.
        versions: of packages, by name.
        token: names this work in a process that is ready for it.
    """

    run: Callable[[Any], Any]
    start: Callable[[], None] | None
    folder: Path
    versions: dict[str, str]
    token: str


@dataclass
class Told:
    """What came of a task.

    Attributes:
        results: of its first jobs; all of them if it has come to its end.
        seconds: what each took.
        end: how it ended. An interrupted one has heard a signal during its last result.
    """

    results: list[Any] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    end: Literal["whole", "interrupted", "cancelled", "died", "lost"] = "whole"


_ready = ""


def run_task(work: Work, jobs: Sequence[Any]) -> Told:
    """Run jobs; Ctrl-C, which Ray passes on, interrupts the running one and begins no other.

    Raises:
        UserError: this node has other packages than the command.
        Exception: whatever a job raises.
    """
    told = Told()
    heard = StopSignal.heard
    try:
        with StopSignal(at_once=True):
            _get_ready(work)
            for job in jobs:
                began = time.perf_counter()
                result = work.run(job)
                told.results.append(result)
                told.seconds.append(time.perf_counter() - began)
                if StopSignal.heard > heard:
                    break
    except (KeyboardInterrupt, Interrupted):
        pass
    if StopSignal.heard > heard:
        told.end = "interrupted"
    return told


def versions() -> dict[str, str]:
    """Return the versions that results depend on, "" where a package is not installed."""
    found: dict[str, str] = dict.fromkeys(PACKAGES, "")
    for name in PACKAGES:
        with contextlib.suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def _get_ready(work: Work) -> None:
    """Prepare the process for the first task of a work that it runs."""
    global _ready  # noqa: PLW0603  (there is no other way to a process of Ray)
    if _ready == work.token:
        return
    for name, here in versions().items():
        if here != work.versions[name]:
            raise UserError(
                f"{gethostname()} has {name} {here or 'not at all'}, the command "
                f"{work.versions[name] or 'has none'}: install the same on every node"
            )
    # Relative paths mean the same here, where this node sees the folder.
    seen = os.access(work.folder, os.X_OK) and work.folder.is_dir()
    os.chdir(work.folder if seen else tempfile.gettempdir())
    if work.start is not None:
        work.start()
    _ready = work.token
