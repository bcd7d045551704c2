"""The cells of a table: which run each of them is, which are asked for, which are there already."""

import fnmatch
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from mwnet import models, noise
from mwnet.builders.labels import SAMPLE_NOISES
from mwnet.config.flags import parse_training
from mwnet.config.schema import Config
from mwnet.core.errors import UserError, lookup, nearest
from mwnet.losses import LOSSES
from mwnet.methods import METHODS
from mwnet.reproduce.own_data.cells import METHOD, TRUE_LABELS
from mwnet.reproduce.own_data.prepare import file_of
from mwnet.reproduce.own_data.rivals import RIVALS
from mwnet.reproduce.tables.table import OWN_DATA, Table, Values
from mwnet.runs.folder import RunFolder

State = Literal["new", "interrupted", "finished"]

PLAIN: Values = {"method": "erm", "meta_size": 0}
COMMANDS: dict[str, Values] = {"train": {}, "clean-learning": PLAIN}
"""What can make a cell, with the options that it begins from."""
OWN_COMMANDS: dict[str, Values] = {METHOD: {}, **dict.fromkeys((TRUE_LABELS, *RIVALS), PLAIN)}
"""What can make a cell of a table of own data."""

INDIFFERENT = {"out", "seed"} | Config.resumable() - {"max_steps", "unfreeze"}
"""Options that may differ between runs of one row and column."""


@dataclass(frozen=True)
class Cell:
    """One run of a table.

    Attributes:
        row, column: labels.
        command: what makes it: train, or clean-learning.
        flags: of train.py, without seed and run folder.
        config: resolved, with seed and run folder.
        folder: the run folder.
    """

    row: str
    column: str
    command: str
    flags: tuple[str, ...]
    config: Config
    folder: Path

    @property
    def seed(self) -> int:
        """Seed of the run."""
        return self.config.seed

    @property
    def method(self) -> str:
        """What the summary calls the method."""
        return self.config.method if self.command in ("train", METHOD) else self.command

    def __str__(self) -> str:
        return f"{self.row} | {self.column} | seed {self.seed}"

    def facts(self) -> dict[str, str]:
        """What ``only`` can ask for."""
        own = {name: getattr(self, name) for name in ("row", "column", "seed", "method")}
        facts = {**self.config.model_dump(mode="json"), **own}
        return {name: str(value).lower() for name, value in facts.items()}

    def state(self) -> State:
        """Whether the run is there already.

        Raises:
            UserError: a run with other options is in the folder of this row and column.
        """
        for folder in sorted(self.folder.parent.glob("seed-*")):
            self._compare(folder)
        run = RunFolder(self.folder)
        if run.finished():
            method = run.summary()["method"]
            if method != self.method:
                raise UserError(
                    f"{self.folder} is a run of {method}, not of {self.method}: choose another "
                    "`out`, or remove that folder"
                )
            return "finished"
        return "interrupted" if run.has_config() else "new"

    def _compare(self, folder: Path) -> None:
        run = RunFolder(folder)
        if not run.has_config():
            return
        before = run.training_config()
        for name in sorted(Config.model_fields.keys() - INDIFFERENT):
            then, now = getattr(before, name), getattr(self.config, name)
            if then != now:
                raise UserError(
                    f"{folder} was run with {name} = {then}, now it is {now}: choose another "
                    "`out`, or remove that folder"
                )


def plan(table: Table, out: Path, flags: Sequence[str] = (), only: str | None = None) -> list[Cell]:
    """The cells of a table, all of the first seed first.

    Args:
        table: the grid.
        out: folder of all runs.
        flags: of train.py, for all cells; they win over the table.
        only: conditions as in ``method=mwnet*,noise=uniform``, all of which must hold.

    Raises:
        UserError: options that do not fit, unknown names, conditions that no cell meets.
    """
    for flag in flags:
        name = flag.split("=")[0].removeprefix("--")
        if flag.startswith("--") and name in ("seed", "resume"):
            raise UserError(f"`{name}` is not for tables: there is `seeds`, and runs resume anyway")
    cells = [
        _cell(table, out, row, column, flags) for row in table.rows for column in table.columns
    ]
    everywhere = [_with_seed(cell, seed, out) for seed in table.seeds for cell in cells]
    return everywhere if only is None else _selected(everywhere, only)


def _cell(table: Table, out: Path, row: str, column: str, flags: Sequence[str]) -> Cell:
    options = dict(table.rows[row])
    commands = OWN_COMMANDS if table.kind == OWN_DATA else COMMANDS
    command = str(options.pop("command", next(iter(commands))))
    try:
        first = lookup(commands, command, "command")
        values = {**table.base, **table.columns[column], **first, **options}
        argv = [*as_flags(values), *flags]
        config = parse_training([*argv, "--no-figures", "--no-tensorboard"])
        if config.seeds > 1:
            raise UserError("a cell is one training: leave mode and seeds out")
        if config.threads is None:
            config = config.model_copy(update={"threads": 1})
        _check_names(config)
    except ValueError as error:
        raise UserError(f"row '{row}', column '{column}': {error}") from None
    return Cell(row, column, command, tuple(argv), config, table.folder(out, row, column))


def _with_seed(cell: Cell, seed: int, out: Path) -> Cell:
    folder = cell.folder / f"seed-{seed}"
    config = cell.config.model_copy(update={"seed": seed, "out": folder})
    if cell.command in OWN_COMMANDS:
        assert config.data is not None  # each column of such a table has it
        config = config.model_copy(update={"data": file_of(out, config.data, seed)})
    return replace(cell, config=config, folder=folder)


def as_flags(values: Values) -> list[str]:
    """Options as train.py takes them: ``{"meta_noisy": True}`` is ``--meta-noisy``."""
    argv = []
    for key, value in values.items():
        flag = f"--{key.replace('_', '-')}"
        if isinstance(value, dict):
            owner = flag.removesuffix("-options")
            argv += [f"{owner}.{name}={entry}" for name, entry in value.items()]
        elif isinstance(value, bool) and Config.model_fields[key].annotation is bool:
            argv.append(flag if value else f"--no-{flag[2:]}")
        elif isinstance(value, list):
            argv.append(f"{flag}={','.join(map(str, value))}")
        else:
            argv.append(f"{flag}={value}")
    return argv


def _check_names(config: Config) -> None:
    """Refuse now what would make every run of the cell fail later."""
    lookup(METHODS, config.method, "method")
    lookup(LOSSES, config.loss, "loss")
    lookup(LOSSES, config.meta_loss, "meta loss")
    lookup(dict.fromkeys(["none", *noise.NOISES, *SAMPLE_NOISES, "file"]), config.noise, "noise")
    if config.model != "auto":
        models.find(config.model)


def _selected(cells: list[Cell], only: str) -> list[Cell]:
    """The cells for which all conditions hold."""
    facts = [cell.facts() for cell in cells]
    keep = [True] * len(cells)
    # A label may have commas: only one before "word=" divides.
    for condition in re.split(r",(?=\s*\w+\s*=)", only):
        key, equals, pattern = (part.strip() for part in condition.partition("="))
        if not equals or key not in facts[0]:
            raise UserError(
                f"`only` got '{condition}', expected KEY=PATTERN with row, column, seed or an "
                f"option ({nearest(key, facts[0])})"
            )
        wanted = pattern.lower()
        holds = [of[key] == wanted or fnmatch.fnmatchcase(of[key], wanted) for of in facts]
        if not any(holds):
            known = dict.fromkeys(of[key] for of in facts)
            raise UserError(f"`only='{key}={pattern}'` selects no cell ({nearest(wanted, known)})")
        keep = [before and now for before, now in zip(keep, holds, strict=True)]
    if not any(keep):
        raise UserError(f"`only={only!r}` selects no cell: no cell meets all of its conditions")
    return [cell for cell, kept in zip(cells, keep, strict=True) if kept]
