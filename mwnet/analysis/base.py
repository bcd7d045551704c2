"""What an analysis is: a claim, the runs that it needs, and what was found in them."""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from mwnet.benchmark.cells import Cell, read_summary
from mwnet.benchmark.table import Table, Values
from mwnet.experiment import Experiment, Watch, finished
from mwnet.recipe import load_yaml
from mwnet.report.folder import CONFIG, describe
from mwnet.trainer import METRICS
from mwnet.validation import validate

GHOSH = "Ghosh and Lan (WACV 2021)"
GAO = "Gao, Gouk and Hospedales (2021)"
LI = 'Li, "Robust Losses"'


@dataclass(frozen=True)
class Run:
    """A finished run.

    Attributes:
        row, column: labels: what was trained, on which noise.
        seed: of the run.
        folder: where it is.
    """

    row: str
    column: str
    seed: int
    folder: Path

    @cached_property
    def summary(self) -> dict[str, Any]:
        """What is in ``summary.json``."""
        return read_summary(self.folder)

    @cached_property
    def history(self) -> list[dict[str, Any]]:
        """One line of metrics for each epoch."""
        return [json.loads(line) for line in (self.folder / METRICS).read_text().splitlines()]

    @property
    def auc(self) -> float | None:
        """Detection AUC of the method's own score after the last epoch, if the truth is known."""
        measured = self.summary["detection_auc"] or {"own": {"last": None}}
        return measured["own"]["last"]

    @property
    def accuracy(self) -> float:
        """Test accuracy after the last epoch, in [0, 1]."""
        return self.summary["test_accuracy"]["last"]

    def experiment(self) -> Experiment:
        """Data, networks and labels as they were after the last epoch."""
        return finished(self.folder)


Runs = list[Run]


@dataclass(frozen=True)
class Finding:
    """What was found.

    Attributes:
        measured: one sentence, with n and seeds.
        body: more of it as Markdown, tables most of all.
    """

    measured: str
    body: str = ""


@dataclass(frozen=True)
class Analysis:
    """A claim and how it is checked.

    Attributes:
        title: heading of the report.
        source: document and place of the claim.
        claim: what the document says, in one sentence.
        examine: ``(runs, path)`` -> what was found; draws the figure to ``path``.
        grid: the runs that it needs, or None; flags of ``train.py`` change them.
        watch: what those runs measure after each epoch, beside the metrics of every run.
        takes_runs: whether finished runs of any kind can be given instead.
    """

    title: str
    source: str
    claim: str
    examine: Callable[[Runs, Path], Finding]
    grid: Table | None = None
    watch: Watch | None = None
    takes_runs: bool = False


def grid(
    base: Values, columns: dict[str, Values], rows: dict[str, Values], seeds: Iterable[int]
) -> Table:
    """A grid of runs, as in a table file."""
    return Table("", "", base, columns, rows, tuple(seeds))


def of_cells(cells: Iterable[Cell]) -> Runs:
    """The runs of cells, all of which are finished."""
    return [Run(cell.row, cell.column, cell.seed, cell.folder) for cell in cells]


def of_folder(folder: Path) -> Run:
    """Any finished run."""
    read_summary(folder)  # which says whether it is finished
    config = validate(load_yaml(folder / CONFIG), f"{folder / CONFIG}: ")
    rate = f" {config.noise_rate:g}" if config.noise_rate else ""
    loss = f", {config.loss}" if config.loss != "ce" else ""
    column = f"{config.dataset}, {config.noise}{rate}"
    return Run(describe(config) + loss, column, config.seed, folder)


def of(runs: Runs, *, row: str | None = None, column: str | None = None) -> Runs:
    """The runs with a label."""
    return [run for run in runs if row in (None, run.row) and column in (None, run.column)]


def labels(runs: Runs) -> tuple[list[str], list[str]]:
    """Rows and columns in the order of the grid, without repeats."""
    return (
        list(dict.fromkeys(run.row for run in runs)),
        list(dict.fromkeys(run.column for run in runs)),
    )


def seeds_of(runs: Runs) -> str:
    """How many seeds and which, for the sentence on what was measured."""
    seeds = sorted({run.seed for run in runs})
    if len(seeds) == 1:
        return f"n = 1, seed {seeds[0]}"
    consecutive = seeds == list(range(seeds[0], seeds[-1] + 1))
    listed = f"{seeds[0]} to {seeds[-1]}" if consecutive else ", ".join(map(str, seeds))
    return f"n = {len(seeds)}, seeds {listed}"
