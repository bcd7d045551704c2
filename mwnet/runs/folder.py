"""The run folder: its only owner, which names, writes and reads every file of it."""

import contextlib
import csv
import json
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mwnet.config.checks import of_mode
from mwnet.config.recipes import RUN_CONFIG, dump, load_yaml
from mwnet.config.schema import Command, Config
from mwnet.config.search import SearchConfig
from mwnet.core import files
from mwnet.core.errors import Interrupted, UserError, reason
from mwnet.training import checkpoint

SUMMARY = "summary.json"
METRICS = "metrics.jsonl"
QUALITY = "label_quality.csv"
QUALITY_HELD_OUT = "label_quality_heldout.csv"
NOISE_MATRIX = "noise_matrix.csv"
EVALUATIONS = "evaluations.jsonl"
KEPT = (checkpoint.LAST, EVALUATIONS)
"""What makes a folder worth keeping when a run fails: something to go on from."""


class RunFolder:
    """A folder ``runs/NAME`` and what lies in it; also the ``Store`` of a trainer.

    Args:
        path: of the folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def __str__(self) -> str:
        return str(self.path)

    # The configuration.

    def has_config(self) -> bool:
        """Whether a run has been begun here."""
        return (self.path / RUN_CONFIG).is_file()

    def config(self) -> Config | SearchConfig:
        """Read the resolved configuration.

        Raises:
            UserError: it cannot be read, or is none of this version.
        """
        path = self.path / RUN_CONFIG
        return of_mode(load_yaml(path), f"{path}: ")

    def training_config(self) -> Config:
        """Read the configuration of a training run.

        Raises:
            UserError: as ``config``, or the folder is that of a search.
        """
        config = self.config()
        if not isinstance(config, Config):
            raise UserError(f"{self} is the folder of a search, not of a training run")
        return config

    def write_config(self, config: Command) -> None:
        """Write the resolved configuration."""
        files.write_text(self.path / RUN_CONFIG, dump(config))

    # Metrics and checkpoints: the Store of a trainer.

    def begin(self, history: list[dict[str, Any]]) -> None:
        """Replace all lines of metrics."""
        lines = "".join(json.dumps(line) + "\n" for line in history)
        files.write_text(self.path / METRICS, lines)

    def add(self, line: dict[str, Any]) -> None:
        """Append a line of metrics."""
        with (self.path / METRICS).open("a") as file:
            file.write(json.dumps(line) + "\n")

    def history(self) -> list[dict[str, Any]]:
        """Read the metrics: one dictionary for each measured epoch.

        Raises:
            UserError: they cannot be read.
        """
        path = self.path / METRICS
        try:
            return [json.loads(line) for line in path.read_text().splitlines()]
        except (OSError, ValueError) as error:
            raise UserError(f"cannot read {path}: {reason(error)}") from None

    def save(self, state: dict[str, Any], *, best: bool) -> None:
        """Replace the last checkpoint, and the best one too if it is that."""
        checkpoint.save(self.path, state, best=best)

    def load(self, device: torch.device) -> dict[str, Any] | None:
        """Read the last checkpoint, None if there is none; leftovers of a crash are removed.

        Raises:
            UserError: it is damaged.
        """
        files.sweep(self.path)
        path = self.path / checkpoint.LAST
        return checkpoint.load(path, device) if path.exists() else None

    def has_best(self) -> bool:
        """Whether there is a best checkpoint."""
        return (self.path / checkpoint.BEST).exists()

    def last_good(self) -> str:
        """A clause on where the last checkpoint is."""
        path = self.path / checkpoint.LAST
        return f"the last good checkpoint is {path}" if path.exists() else "there is no checkpoint"

    def how_to_continue(self) -> str:
        """A clause on how to go on after an interruption."""
        return f"continue with: mwnet resume {self}"

    # What a finished run adds.

    def finished(self) -> bool:
        """Whether the run has come to its end."""
        return (self.path / SUMMARY).exists()

    def summary(self) -> dict[str, Any]:
        """Read the numbers of a finished run.

        Raises:
            UserError: there are none, or they cannot be read.
        """
        return self._summary("method", "a run")

    def search_summary(self) -> dict[str, Any]:
        """Read the numbers of a finished search; see ``summary``."""
        return self._summary("generations", "a search")

    def _summary(self, key: str, what: str) -> dict[str, Any]:
        path = self.path / SUMMARY
        try:
            summary = json.loads(path.read_text())
        except (OSError, ValueError) as error:
            raise UserError(f"cannot read {path}: {reason(error)}") from None
        if not isinstance(summary, dict) or key not in summary:
            raise UserError(f"{path} is no summary of {what}")
        return summary

    def write_summary(self, summary: dict[str, Any]) -> None:
        """Write the numbers; from now on the run is finished."""
        files.write_text(self.path / SUMMARY, json.dumps(summary, indent=2) + "\n")

    def write_text(self, name: str, text: str) -> None:
        """Write a text file of the run."""
        files.write_text(self.path / name, text)

    def write_predictions(self, probabilities: np.ndarray, given: np.ndarray) -> None:
        """Write ``pred_probs.npy`` and ``labels.npy``, which cleanlab reads as they are."""
        for name, array in (("pred_probs", probabilities), ("labels", given)):
            with files.atomic(self.path / f"{name}.npy") as file:
                np.save(file, array)

    def label_quality(self, *, held_out: bool = False) -> list[dict[str, str]]:
        """Read the table of label quality: one dictionary a line.

        Args:
            held_out: the table of samples that were not trained on.

        Raises:
            UserError: it cannot be read.
        """
        path = self.path / (QUALITY_HELD_OUT if held_out else QUALITY)
        try:
            with path.open(newline="", encoding="utf-8") as file:
                return list(csv.DictReader(file))
        except (OSError, ValueError, csv.Error) as error:
            raise UserError(f"cannot read {path}: {reason(error)}") from None

    def predictions(self) -> tuple[np.ndarray, np.ndarray]:
        """Read ``(n, K)`` probabilities and ``(n,)`` given class ids of the training samples.

        Raises:
            UserError: they cannot be read.
        """
        try:
            probabilities, given = (
                np.load(self.path / f"{name}.npy", allow_pickle=False)
                for name in ("pred_probs", "labels")
            )
        except (OSError, ValueError, EOFError) as error:
            raise UserError(f"cannot read the predictions in {self}: {reason(error)}") from None
        return probabilities, given

    @property
    def figures(self) -> Path:
        """Folder of the pictures."""
        return self.path / "figures"

    @property
    def evaluations(self) -> Path:
        """The log of a search."""
        return self.path / EVALUATIONS


@contextlib.contextmanager
def run_folder(config: Command, resume: Path | None, *, name: str) -> Iterator[RunFolder]:
    """Open the folder of a run, with its ``config.yaml``.

    A new folder in which the block fails before the first checkpoint is removed again.

    Args:
        config: of the run.
        resume: folder of an earlier part of the run, or None.
        name: what a folder that nobody has named is called, before date and time.

    Raises:
        UserError: ``out`` is a folder that holds something already, or cannot be written to.
        Interrupted: on Ctrl-C once there is a checkpoint to go on from.
    """
    path = resume or config.out or _default_folder(name)
    folder = RunFolder(path)
    fresh = resume is None
    if fresh and path.exists() and (not path.is_dir() or any(path.iterdir())):
        hint = f"mwnet resume {path} continues it, or " if folder.has_config() else ""
        raise UserError(f"{path} exists already: {hint}choose another `out`")
    existed = path.exists()
    try:
        if fresh:
            path.mkdir(parents=True, exist_ok=True)
            folder.write_config(config)
        yield folder
    except BaseException as error:
        kept = any((path / name).exists() for name in KEPT)
        if fresh and not kept:
            _remove(path, keep=existed)
        if isinstance(error, KeyboardInterrupt) and kept:
            message = f"stopped; {folder.how_to_continue()}"
            raise Interrupted(message, signal.SIGINT) from None
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
