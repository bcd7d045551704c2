"""Table files: read, check, write. Their format is described in the package."""

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from mwnet.config.schema import Config
from mwnet.core import files
from mwnet.core.errors import UserError, nearest
from mwnet.core.shipped import find_shipped
from mwnet.core.yaml_file import read_yaml
from mwnet.reproduce.own_data.prepare import columns as own_columns
from mwnet.reproduce.own_data.prepare import half_of, set_of
from mwnet.reproduce.tables.paper import PROTOCOLS, Paper, Values, read_paper

TABLE = "table.yaml"
KEYS = ("title", "kind", "base", "columns", "rows", "seeds", "protocol", "paper")
RUNS, OWN_DATA = "runs", "own-data"
SETS = ("sets", "noises")
"""What a table of own data may have in the place of columns."""


@dataclass(frozen=True)
class Table:
    """A grid of runs.

    Attributes:
        command: the command line that runs it.
        title: what it shows.
        base: options that all cells share.
        columns, rows: options by label.
        seeds: each cell is run with each of them.
        paper: what a paper printed for them.
        protocol: ``common``, or ``paper`` where rows have the options that the paper gave them.
        kind: ``runs``, or ``own-data`` (``mwnet.reproduce.own_data``).
    """

    command: str
    title: str
    base: Values
    columns: dict[str, Values]
    rows: dict[str, Values]
    seeds: tuple[int, ...]
    paper: Paper | None = None
    protocol: str = "common"
    kind: str = RUNS

    def folder(self, out: Path, row: str, column: str) -> Path:
        """Where the runs of a row and a column are, one folder for each seed."""
        return out / slug(row) / slug(column)


def find_table(path: Path) -> Path:
    """Find a table file, or the one of this name that ships.

    Raises:
        UserError: there is none; with the nearest of those that ship.
    """
    return find_shipped(path, "tables", "table")


def load_table(path: Path) -> Table:
    """Read a table file.

    Raises:
        UserError: whatever is wrong with it, in one sentence.
    """
    values = read_yaml(path, "table")
    text = path.read_text(encoding="utf-8")
    if not isinstance(values, dict):
        raise UserError(f"{path} is no table: it needs columns:, rows: and seeds:")
    kind = values.get("kind", RUNS)
    if kind not in (RUNS, OWN_DATA):
        raise UserError(f"{path}: kind must be {RUNS} or {OWN_DATA}, got {kind}")
    known = (*KEYS, *SETS) if kind == OWN_DATA else KEYS
    for key in values:
        if key not in known:
            raise UserError(f"{path}: unknown key '{key}' ({nearest(str(key), known)})")
    if values.get("sets"):
        values["columns"] = own_columns(*(list(map(str, values.get(key) or [])) for key in SETS))
    for key in ("columns", "rows", "seeds"):
        if not values.get(key):
            raise UserError(f"{path} has no {key}:")
    protocol = values.get("protocol", "common")
    if protocol not in PROTOCOLS:
        raise UserError(f"{path}: protocol must be common or paper, got {protocol}")
    command = text.splitlines()[0] if text.startswith("#") else ""
    try:
        columns, rows = _labelled(values["columns"], "column"), _labelled(values["rows"], "row")
        table = Table(
            command=command.lstrip("# ").strip() or f"mwnet table {path}",
            title=str(values.get("title", path.stem)),
            base=_options(values.get("base"), "base"),
            columns=columns,
            rows=rows,
            seeds=parse_seeds(values["seeds"]),
            paper=read_paper(values.get("paper"), rows, columns),
            kind=kind,
        )
        if protocol == "paper":
            return as_the_paper(table)
        if table.paper is not None and table.paper.protocol is not None:
            as_the_paper(table)  # to find what is wrong with it before somebody asks for it
        return table
    except UserError as error:
        raise UserError(f"{path}: {error}") from None


def as_the_paper(table: Table) -> Table:
    """The table with the options that the paper gave to some of its rows.

    Raises:
        UserError: the table knows of none.
    """
    protocol = None if table.paper is None else table.paper.protocol
    if protocol is None:
        raise UserError("this table has no protocol of a paper: leave `protocol` out")
    rows = {
        label: {**options, **_options(protocol.rows.get(label), f"row '{label}'")}
        for label, options in table.rows.items()
    }
    return replace(table, rows=rows, protocol="paper")


def half_table(table: Table, half: str) -> Table:
    """The table with the sets at even or odd positions of its list alone.

    Raises:
        UserError: it is no table of own data, or no set is left.
    """
    if table.kind != OWN_DATA:
        raise UserError(f"`half` is for tables of kind {OWN_DATA}, and this one is of kind {RUNS}")
    kept = half_of([set_of(column) for column in table.columns], half)
    columns = {label: of for label, of in table.columns.items() if set_of(label) in kept}
    if not columns:
        raise UserError(f"`half={half!r}` leaves no set")
    return replace(table, columns=columns, title=f"{table.title}: sets at {half} positions")


def save_table(table: Table, out: Path) -> None:
    """Leave the table beside its runs, so that a report needs nothing else."""
    values = {key: getattr(table, key) for key in KEYS}
    values["seeds"] = list(table.seeds)
    values["paper"] = None if table.paper is None else table.paper.values
    text = yaml.safe_dump(values, sort_keys=False, allow_unicode=True)
    out.mkdir(parents=True, exist_ok=True)
    files.write_text(out / TABLE, f"# {table.command}\n{text}")


def parse_seeds(value: Any) -> tuple[int, ...]:
    """A list of seeds as such or as text, or the number of seeds from 0 on."""
    parts = value if isinstance(value, list) else [p for p in str(value).split(",") if p.strip()]
    try:
        seeds = [int(str(part)) for part in parts]
    except ValueError:
        seeds = []
    if seeds and not isinstance(value, list) and "," not in str(value):
        seeds = list(range(seeds[0]))
    if not seeds or min(seeds) < 0 or len(set(seeds)) < len(seeds):
        raise UserError(
            "seeds must be different numbers with commas (7, is seed 7 alone) or how many, "
            f"got {value}"
        )
    return tuple(seeds)


def slug(label: str) -> str:
    """A label as a file name."""
    return re.sub(r"[^\w.+-]+", "-", label).strip("-.")


def _labelled(entries: Any, kind: str) -> dict[str, Values]:
    """Columns or rows, whose labels must stay apart as file names."""
    if not isinstance(entries, dict):
        raise UserError(f"{kind}s must be 'label: {{key: value}}' lines, got {entries!r}")
    taken: dict[str, str] = {}
    for label in map(str, entries):
        name = slug(label).lower()
        if not name or name in taken:
            clash = f"is too much like '{taken[name]}'" if name else "has no letter or digit"
            raise UserError(f"the {kind} label '{label}' {clash}: choose another one")
        taken[name] = label
    return {str(label): _options(of, f"{kind} '{label}'") for label, of in entries.items()}


def _options(values: Any, where: str) -> Values:
    """Options of a run by name; what they hold is checked with the cells."""
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise UserError(f"{where} must hold 'key: value' pairs, got {values!r}")
    known = {*Config.model_fields, "config"} - {"seed", "out"}
    if where.startswith("row"):
        known.add("command")
    for key, value in values.items():
        if key in ("seed", "out"):
            raise UserError(f"{where}: '{key}' is not for a cell; there are seeds: and `out`")
        if key not in known:
            raise UserError(f"{where}: unknown key '{key}' ({nearest(str(key), known)})")
        if value is None:
            raise UserError(f"{where}: {key} has no value")
    return values
