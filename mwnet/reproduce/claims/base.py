"""The parts of an analysis: a claim, the runs that it needs, and what was found in them."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from torch import Tensor

from mwnet.builders.experiment import Experiment
from mwnet.core.errors import UserError
from mwnet.reproduce.tables.cells import Cell, plan
from mwnet.reproduce.tables.table import Table, Values
from mwnet.runs.describe import describe
from mwnet.runs.folder import RunFolder
from mwnet.runs.run import Watch, finished

METHODS: dict[str, Values] = {
    "MW-Net*": {"method": "mwnet"},
    "MNW-Net": {"method": "mwnet", "meta_noisy": True},
    "RMNW-Net": {"method": "mwnet", "meta_loss": "mae", "meta_noisy": True},
}
"""Rows of many grids: with clean meta samples (*), with noisy ones, with noisy ones and MAE."""
NOISES: dict[str, Values] = {
    "uniform 0.4": {"noise": "uniform", "noise_rate": 0.4},
    "flip2 0.4": {"noise": "flip2", "noise_rate": 0.4},
}
"""Columns of many grids."""

GHOSH = "Ghosh and Lan (WACV 2021)"
GAO = "Gao, Gouk and Hospedales (2021)"
LI = 'Li, "Robust Losses"'


@dataclass(frozen=True)
class Run:
    """A finished run in an analysis.

    Attributes:
        row: label of what was trained.
        column: label of the noise.
        seed: of the run.
        folder: the run folder.
    """

    row: str
    column: str
    seed: int
    folder: Path

    @cached_property
    def summary(self) -> dict[str, Any]:
        """The contents of ``summary.json``."""
        return RunFolder(self.folder).summary()

    @cached_property
    def history(self) -> list[dict[str, Any]]:
        """One line of metrics for each measured epoch."""
        return RunFolder(self.folder).history()

    @property
    def epochs(self) -> list[int]:
        """The measured epochs, from 1."""
        return [line["epoch"] for line in self.history]

    @property
    def classes(self) -> list[str]:
        """Names of the classes."""
        return self.summary["classes"]

    @property
    def auc(self) -> float | None:
        """The detection AUC of the own score after the last epoch; None without the truth."""
        measured = self.summary["detection_auc"] or {"own": {"last": None}}
        return measured["own"]["last"]

    @property
    def accuracy(self) -> float:
        """Test accuracy after the last epoch, in [0, 1]."""
        return self.summary["test_accuracy"]["last"]

    def experiment(self) -> Experiment:
        """Rebuild data, networks and labels as they were after the last epoch."""
        return finished(self.folder)


Runs = list[Run]


@dataclass(frozen=True)
class Finding:
    """The result of an analysis.

    Attributes:
        measured: one sentence, with n and seeds.
        body: tables and details as Markdown.
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
        examine: ``(runs, path)`` -> finding; draws the figure to ``path``.
        grid: the runs that it needs, or None; flags of ``train.py`` change them.
        watch: what those runs measure beside the metrics of every run.
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
    """Build a grid of runs, as in a table file."""
    return Table("", "", base, columns, rows, tuple(seeds))


def of_cells(cells: Iterable[Cell]) -> Runs:
    """List the runs of cells, all of which are finished."""
    return [Run(cell.row, cell.column, cell.seed, cell.folder) for cell in cells]


def check_labels(table: Table, cells: Iterable[Cell]) -> None:
    """Refuse flags that contradict the labels of the runs.

    Raises:
        UserError: an option that a label stands for has another value than in the grid.
    """
    meant = {cell.folder: cell for cell in plan(replace(table, seeds=(0,)), Path())}
    for cell in cells:
        config = meant[table.folder(Path(), cell.row, cell.column) / "seed-0"].config
        for key in {**table.columns[cell.column], **table.rows[cell.row]}:
            wanted, got = getattr(config, key), getattr(cell.config, key)
            if wanted != got:
                raise UserError(
                    f"'{cell.row}', '{cell.column}' stands for runs with {key} = {wanted}, and "
                    f"flags make it {got}: leave that out, or select other runs with `only`"
                )


def of_folders(folders: Sequence[Path]) -> Runs:
    """List any finished runs; runs with equal labels get their folder's name in the label."""
    runs = [_of_folder(folder) for folder in folders]
    alike = Counter((run.row, run.column, run.seed) for run in runs)
    return [
        replace(run, row=f"{run.row} ({run.folder.name})")
        if alike[run.row, run.column, run.seed] > 1
        else run
        for run in runs
    ]


def _of_folder(folder: Path) -> Run:
    run = RunFolder(folder)
    run.summary()  # which says whether it is finished
    config = run.training_config()
    rate = f" {config.noise_rate:g}" if config.noise_rate else ""
    loss = f", {config.loss}" if config.loss != "ce" else ""
    row = f"{describe(config)}{loss}, {config.model}, {config.epochs} epochs"
    return Run(row, f"{config.dataset}, {config.noise}{rate}", config.seed, folder)


def of(runs: Runs, *, row: str | None = None, column: str | None = None) -> Runs:
    """Select the runs with a label."""
    return [run for run in runs if row in (None, run.row) and column in (None, run.column)]


def labels(runs: Runs) -> tuple[list[str], list[str]]:
    """List rows and columns in the order of the grid, without repeats."""
    return (
        list(dict.fromkeys(run.row for run in runs)),
        list(dict.fromkeys(run.column for run in runs)),
    )


def groups(runs: Runs) -> dict[tuple[str, str], Runs]:
    """Group runs that differ only in the seed, by row and column, in the grid's order."""
    rows, columns = labels(runs)
    found = {(row, column): of(runs, row=row, column=column) for column in columns for row in rows}
    return {name: own for name, own in found.items() if own}


def labelled(runs: Runs) -> dict[str, Runs]:
    """Group runs that differ only in the seed, by row, and by column if there is more than one."""
    several = len(labels(runs)[1]) > 1
    return {
        f"{row}, {column}" if several else row: own for (row, column), own in groups(runs).items()
    }


def verdict(checks: Sequence[bool]) -> str:
    """Say in words whether a claim of several parts holds."""
    if all(checks):
        return "holds"
    return "holds in part" if any(checks) else "does not hold"


def accuracies(runs: Runs, row: str, column: str) -> list[float]:
    """List test accuracies after the last epoch, in [0, 1], one for each seed."""
    return [run.accuracy for run in of(runs, row=row, column=column)]


def true_labels(run: Run, experiment: Experiment) -> Tensor:
    """Return ``(n,)`` true labels by sample id.

    Raises:
        UserError: the data has none.
    """
    if experiment.data.truth is None:
        raise UserError(
            f"{run.folder}: its data has no true labels (y_true), which are needed here"
        )
    return experiment.data.truth


def seeds_of(runs: Runs) -> str:
    """Say how many seeds each row and column has, and which."""
    sizes = sorted({len(own) for own in groups(runs).values()})
    n = f"n = {sizes[0]}" + (f" to {sizes[-1]}" if len(sizes) > 1 else "")
    seeds = sorted({run.seed for run in runs})
    if len(seeds) == 1:
        return f"{n}, seed {seeds[0]}"
    consecutive = seeds == list(range(seeds[0], seeds[-1] + 1))
    listed = f"{seeds[0]} to {seeds[-1]}" if consecutive else ", ".join(map(str, seeds))
    return f"{n}, seeds {listed}"
