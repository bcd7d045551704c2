"""The run folder: made when everything is checked, removed again if nothing good came into it."""

import contextlib
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path

from mwnet import checkpoint
from mwnet.config import Config
from mwnet.errors import Interrupted, UserError, reason
from mwnet.recipe import dump

CONFIG = "config.yaml"
KEPT = (checkpoint.LAST, "evaluations.jsonl")
"""What makes a folder worth keeping when a run fails: something to go on from."""


@contextlib.contextmanager
def run_folder(config: Config, resume: Path | None) -> Iterator[Path]:
    """The folder of a run, with its ``config.yaml``.

    A new folder in which the block fails before the first checkpoint is removed again.

    Raises:
        UserError: ``--out`` is a folder that holds something already, or cannot be written to.
        Interrupted: on Ctrl-C once there is a checkpoint to go on from.
    """
    folder = resume or config.out or _default_folder(config)
    fresh = resume is None
    if fresh and folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        hint = f"--resume {folder} continues it, or " if (folder / CONFIG).exists() else ""
        raise UserError(f"{folder} exists already: {hint}choose another --out")
    existed = folder.exists()
    try:
        if fresh:
            folder.mkdir(parents=True, exist_ok=True)
            checkpoint.write_text(folder / CONFIG, dump(config))
        yield folder
    except BaseException as error:
        kept = any((folder / name).exists() for name in KEPT)
        if fresh and not kept:
            _remove(folder, keep=existed)
        if isinstance(error, KeyboardInterrupt) and kept:
            message = f"stopped; continue with: python train.py --resume {folder}"
            raise Interrupted(message, signal.SIGINT) from None
        if not isinstance(error, OSError) or isinstance(error, BrokenPipeError):
            raise
        advice = (
            f"then continue with: python train.py --resume {folder}"
            if kept
            else "or choose another --out"
        )
        raise UserError(
            f"cannot write to {folder}: {reason(error)}; make room or mend permissions, {advice}"
        ) from error


def describe(config: Config) -> str:
    """The method with what tells its variants apart, for instance ``mwnet-mae-noisy``."""
    if config.mode == "loss-search":
        return "loss-search"
    if config.method != "mwnet":
        return config.method
    labels = "noisy" if config.meta_noisy else "clean"
    if config.meta_source == "confident":
        labels = "confident"
    return f"mwnet-{config.meta_loss}-{labels}"


def _default_folder(config: Config) -> Path:
    rate = f"{config.noise_rate:g}" if config.noise_rate else ""
    name = (
        f"{config.dataset}-{describe(config)}-{config.noise}{rate}-seed{config.seed}-"
        f"{time.strftime('%Y%m%d-%H%M%S')}"
    )
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
