"""Open the folder of a run for writing, and leave none behind in which nothing was done."""

import contextlib
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path

from mwnet.config.command import Command
from mwnet.core import files
from mwnet.core.errors import Interrupted, UserError, reason
from mwnet.core.world import LostProcess, world
from mwnet.runs.folder import EVALUATIONS, ReadFolder, RunFolder
from mwnet.training import checkpoint

KEPT = (checkpoint.LAST, EVALUATIONS, f"seed-*/{checkpoint.LAST}")
"""What makes a folder worth keeping when a run fails: something to go on from."""


@contextlib.contextmanager
def run_folder(config: Command, resume: Path | None, *, name: str) -> Iterator[RunFolder]:
    """Open the folder of a run, with its ``config.yaml``.

    A new folder in which the block fails before the first checkpoint is removed again. Of several
    processes the first one writes.

    Args:
        config: of the run.
        resume: folder of an earlier part of the run, or None.
        name: what a folder that nobody has named is called, before date and time.

    Raises:
        UserError: ``out`` is a folder that holds something already, or cannot be written to;
            another process has ended.
        Interrupted: on Ctrl-C once there is a checkpoint to go on from.
    """
    if not world().leads:
        yield ReadFolder(resume or config.out or Path("runs"))
        return
    path = resume or config.out or _default_folder(name)
    folder = RunFolder(path)
    fresh = resume is None
    if fresh and path.exists() and (not path.is_dir() or any(path.iterdir())):
        hint = f"mwnet resume {path} continues it, or " if folder.has_config() else ""
        raise UserError(f"{path} exists already: {hint}choose another `out`")
    existed = path.exists()
    try:
        path.mkdir(parents=True, exist_ok=True)
        with files.held(path):
            if fresh:
                folder.write_config(config)
            else:
                files.sweep(path)
            yield folder
    except files.HeldError:
        raise UserError(f"another process works in {path}: wait until it has ended") from None
    except BaseException as error:
        kept = any(found for name in KEPT for found in path.glob(name))
        if fresh and not kept:
            _remove(path, keep=existed)
        if isinstance(error, KeyboardInterrupt) and kept:
            message = f"stopped; {folder.how_to_continue()}"
            raise Interrupted(message, signal.SIGINT) from None
        if isinstance(error, LostProcess) and kept:
            raise UserError(f"{error}; {folder.how_to_continue()}") from error
        if not isinstance(error, OSError) or isinstance(error, BrokenPipeError):
            raise
        advice = f"then {folder.how_to_continue()}" if kept else "or choose another `out`"
        raise UserError(
            f"cannot write to {path}: {reason(error)}; make room or mend permissions, {advice}"
        ) from error


def _default_folder(name: str) -> Path:
    name = f"{name}-{time.strftime('%Y%m%d-%H%M%S')}"
    folder = Path("runs") / name
    number = 2
    while folder.exists():
        folder = Path("runs") / f"{name}-{number}"
        number += 1
    return folder


def _remove(folder: Path, *, keep: bool) -> None:
    """Empty a folder that this run has filled, and remove it unless it was there before."""
    if not keep:
        shutil.rmtree(folder, ignore_errors=True)
    elif folder.is_dir():
        for path in folder.iterdir():
            shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink()
