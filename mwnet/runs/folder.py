"""The run folder: its only owner, which names, writes and reads every file of it."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mwnet.config.checks import of_mode
from mwnet.config.command import Command
from mwnet.config.recipes import RUN_CONFIG, dump, load_run
from mwnet.config.schema import Config
from mwnet.config.search import SearchConfig
from mwnet.core import files
from mwnet.core.errors import UserError, reason
from mwnet.core.formats import UNREADABLE_ARRAY
from mwnet.training import checkpoint

SUMMARY = "summary.json"
METRICS = "metrics.jsonl"
QUALITY = "label_quality.csv"
QUALITY_HELD_OUT = "label_quality_heldout.csv"
MARGINS = ("margin", "mean_margin", "wrong_share", "forgotten")
"""Columns that a run of an earlier version does not have."""
COLUMNS = (
    "sample_id",
    "given_label",
    "predicted_label",
    "label_quality",
    "weight",
    "loss",
    "is_label_issue",
    *MARGINS,
)
"""Of both."""
VERDICT = "verdict"
"""One more column where there were corrections."""
PROBABILITIES, GIVEN = "pred_probs", "labels"
NOISE_MATRIX = "noise_matrix.csv"
EVALUATIONS = "evaluations.jsonl"
REVIEW = "review.html"


class RunFolder:
    """A folder ``runs/NAME`` and what lies in it; also the ``Store`` of a trainer.

    Args:
        path: of the folder.
    """

    writes = True

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
        return of_mode(load_run(self.path), f"{path}: ")

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
            lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        except (OSError, ValueError, RecursionError) as error:
            raise UserError(f"cannot read {path}: {reason(error)}") from None
        if not all(isinstance(line, dict) for line in lines):
            raise UserError(f"{path} is damaged: a line of it is no object")
        return lines

    def save(self, state: dict[str, Any], *, best: bool) -> None:
        """Replace the last checkpoint, and the best one too if it is that."""
        checkpoint.save(self.path, state, best=best)

    def load(self, device: torch.device) -> dict[str, Any] | None:
        """Read the last checkpoint, None if there is none.

        Raises:
            UserError: it is damaged.
        """
        path = self.path / checkpoint.LAST
        if not path.exists():
            return None
        state = checkpoint.load(path, device)
        lost = [name for name in checkpoint.PARTS if name not in state]
        if lost:
            raise UserError(f"{path} is damaged: it has no {lost[0]}")
        return state

    def steps(self, device: torch.device) -> int:
        """Return the steps at the last checkpoint, 0 if there is none; see ``load``."""
        state = self.load(device)
        return 0 if state is None else state["progress"]["step"]

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
            summary = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            raise UserError(f"cannot read {path}: {reason(error)}") from None
        if not isinstance(summary, dict) or key not in summary:
            raise UserError(f"{path} is no summary of {what}")
        if "seeds" in summary:
            seeds = summary["seeds"]
            one = self.path / f"seed-{seeds[0] if isinstance(seeds, list) and seeds else 0}"
            raise UserError(f"{self} holds a run of several seeds: take one of them, {one}")
        return summary

    def write_summary(self, summary: dict[str, Any]) -> None:
        """Write the numbers; from now on the run is finished."""
        files.write_text(self.path / SUMMARY, json.dumps(summary, indent=2) + "\n")

    def write_text(self, name: str, text: str) -> None:
        """Write a text file of the run."""
        files.write_text(self.path / name, text)

    def write_predictions(self, probabilities: np.ndarray, given: np.ndarray) -> None:
        """Write ``pred_probs.npy`` and ``labels.npy``, which cleanlab reads as they are."""
        for name, array in ((PROBABILITIES, probabilities), (GIVEN, given)):
            with files.atomic(self.path / f"{name}.npy") as file:
                np.save(file, array)

    def label_quality(self, *, held_out: bool = False) -> list[dict[str, str]]:
        """Read the table of label quality: one dictionary a line, with the keys of ``COLUMNS``.

        Those of a run of an earlier version are without ``MARGINS``.

        Args:
            held_out: the table of samples that were not trained on.

        Raises:
            UserError: it cannot be read, or is damaged.
        """
        path = self.path / (QUALITY_HELD_OUT if held_out else QUALITY)
        try:
            with path.open(newline="", encoding="utf-8") as file:
                reader = csv.DictReader(file)
                columns, lines = reader.fieldnames or (), list(reader)
        except (OSError, ValueError, csv.Error) as error:
            raise UserError(f"cannot read {path}: {reason(error)}") from None
        earlier = not any(name in columns for name in MARGINS)
        wanted = COLUMNS[: -len(MARGINS)] if earlier else COLUMNS
        missing = [name for name in wanted if name not in columns]
        if missing:
            raise UserError(f"{path} is damaged: it has no column '{missing[0]}'")
        for number, line in enumerate(lines, start=2):
            if None in line or None in line.values():
                raise UserError(
                    f"{path} is damaged: line {number} has another number of cells than the first"
                )
        return lines

    def predictions(self) -> tuple[np.ndarray, np.ndarray]:
        """Read ``(n, K)`` probabilities and ``(n,)`` given class ids of the training samples.

        Raises:
            UserError: they cannot be read, or do not fit each other.
        """
        found: list[np.ndarray] = []
        for path, axes, kinds in (
            (self.path / f"{PROBABILITIES}.npy", 2, "f"),
            (self.path / f"{GIVEN}.npy", 1, "iu"),
        ):
            try:
                array = np.load(path, allow_pickle=False)
            except UNREADABLE_ARRAY as error:
                raise UserError(f"cannot read {path}: {reason(error)}") from None
            fits = isinstance(array, np.ndarray) and array.ndim == axes
            if not fits or array.dtype.kind not in kinds:
                raise UserError(f"{path} is damaged: it holds no array of such values")
            found.append(array)
        probabilities, given = found
        if len(probabilities) != len(given):
            raise UserError(
                f"{self}: {PROBABILITIES}.npy has {len(probabilities)} samples and {GIVEN}.npy "
                f"{len(given)}: one of them is damaged"
            )
        return probabilities, given

    @property
    def figures(self) -> Path:
        """Folder of the pictures."""
        return self.path / "figures"

    @property
    def evaluations(self) -> Path:
        """The log of a search."""
        return self.path / EVALUATIONS


class ReadFolder(RunFolder):
    """The folder of a run to a process that does not lead: it reads there and writes nothing."""

    writes = False

    def write_config(self, config: Command) -> None:
        """Leave it to the leader."""

    def begin(self, history: list[dict[str, Any]]) -> None:
        """Leave it to the leader."""

    def add(self, line: dict[str, Any]) -> None:
        """Leave it to the leader."""

    def save(self, state: dict[str, Any], *, best: bool) -> None:
        """Leave it to the leader."""
