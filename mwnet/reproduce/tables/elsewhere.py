"""Run a cell on a node that may not see the folder of the runs; then its files are sent back."""

import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from socket import gethostname

from mwnet.core import files
from mwnet.reproduce.tables.cells import OWN_COMMANDS, Cell
from mwnet.reproduce.tables.outcome import Outcome
from mwnet.runs.folder import RunFolder

Files = dict[str, bytes]
"""Contents by path, relative to the folder that a run folder lies in."""
MARK = ".seen-by-nodes"
"""A name that the next command takes again, should this one be killed."""
PATIENCE = 60.0
"""Seconds that the process of a lost node may take to let go of a run folder."""


@dataclass(frozen=True)
class Mark:
    """A file with a secret, by which a node knows that it sees a folder."""

    path: Path
    secret: str

    def seen(self) -> bool:
        """Whether this node sees the folder."""
        try:
            return self.path.read_text() == self.secret
        except OSError:
            return False


class Sent:
    """A cell on its way to a node, with its checkpoint if it was interrupted.

    Args:
        cell: to be run.
        mark: of the folder of all runs.
    """

    def __init__(self, cell: Cell, mark: Mark) -> None:
        self.cell, self.mark, self.before = cell, mark, pack(cell.folder)


@dataclass(frozen=True)
class Back:
    """What came of it, with the files of a node that does not see the folder."""

    outcome: Outcome
    files: Files | None = None


@contextmanager
def marked(folder: Path) -> Iterator[Mark]:
    """Within the block a folder has a mark."""
    mark = Mark(folder / MARK, uuid.uuid4().hex)
    folder.mkdir(parents=True, exist_ok=True)
    mark.path.write_text(mark.secret)
    try:
        yield mark
    finally:
        mark.path.unlink(missing_ok=True)


def run_there(sent: Sent, attempt: Callable[[Cell], Outcome]) -> Back:
    """Run a cell in its folder if this node sees it, else in one of its own."""
    cell = sent.cell
    if sent.mark.seen():
        _wait_for(cell.folder)
        return Back(attempt(cell))
    if cell.command in OWN_COMMANDS:
        text = f"{gethostname()} does not see {cell.config.data}: give `out` on a disk of all nodes"
        return Back(Outcome(cell, "failed", text))
    with tempfile.TemporaryDirectory(prefix="mwnet-") as name:
        folder = Path(name) / cell.folder.name
        unpack(sent.before, folder)
        config = cell.config.model_copy(update={"out": folder})
        outcome = attempt(replace(cell, config=config, folder=folder))
        run = RunFolder(folder)
        if run.has_config():
            run.write_config(cell.config)
        text = outcome.text.replace(name, str(cell.folder.parent))
        return Back(Outcome(cell, outcome.state, text), pack(folder))


def arrived(back: Back) -> Outcome:
    """Write the files that were sent back, if any; return the outcome."""
    if back.files is not None:
        unpack(back.files, back.outcome.cell.folder)
    return back.outcome


def pack(folder: Path) -> Files:
    """Read all files of a run folder, and the log of its defects beside it."""
    paths = [*folder.rglob("*"), folder.with_suffix(".log")]
    return {
        path.relative_to(folder.parent).as_posix(): path.read_bytes()
        for path in paths
        if path.is_file()
    }


def unpack(found: Files, folder: Path) -> None:
    """Write files where they belong; the summary comes last, since it says that a run is whole."""
    last = {f"{folder.name}/summary.json"}
    for name in sorted(found, key=lambda name: name in last):
        path = folder.parent / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with files.atomic(path) as file:
            file.write(found[name])


def _wait_for(folder: Path) -> None:
    """Wait until no other process works in a folder: that of a lost node may be about to end."""
    limit = time.monotonic() + PATIENCE
    while folder.is_dir() and time.monotonic() < limit:
        try:
            with files.held(folder):
                return
        except files.HeldError:
            time.sleep(0.1)
