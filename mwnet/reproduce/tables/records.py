"""What a table is made from: one record of plain values for each finished cell."""

import csv
import io
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from mwnet.core.errors import UserError, reason
from mwnet.reproduce.tables.table import Table
from mwnet.runs.folder import SUMMARY, RunFolder

Record = dict[str, Any]

CELLS = "cells.csv"
Fields = dict[str, tuple[type, tuple[str, ...]]]
"""Columns of ``cells.csv`` with their type and where a run's summary has them."""

FIELDS: Fields = {
    "seed": (int, ("seed",)),
    "method": (str, ("method",)),
    "accuracy_last": (float, ("test_accuracy", "last")),
    "accuracy_best": (float, ("test_accuracy", "best")),
    "accuracy_best_epoch": (int, ("test_accuracy", "best_epoch")),
    "auc_own_last": (float, ("detection_auc", "own", "last")),
    "auc_own_best": (float, ("detection_auc", "own", "best")),
    "auc_loss_last": (float, ("detection_auc", "loss", "last")),
    "auc_probability_last": (float, ("detection_auc", "probability", "last")),
    "noise_rate_realised": (float, ("noise", "realised_rate")),
    "noise_rate_assumed": (float, ("noise", "assumed", "rate")),
    "noise_rate_source": (str, ("noise", "assumed", "source")),
    "test_labels": (str, ("test_labels",)),
    "steps": (int, ("steps",)),
    "seconds": (float, ("seconds", "total")),
    "peak_memory_mib": (float, ("peak_memory_mib",)),
    "device": (str, ("device",)),
    "threads": (int, ("threads",)),
}
"""Of a table of training runs."""

LABELS = {"row": str, "column": str}
PLACES = {"versions": str, "folder": str}


def records(table: Table, out: Path, fields: Fields = FIELDS) -> list[Record]:
    """The finished cells of a table, by row, column and seed.

    Args:
        table: the grid.
        out: folder of its runs; or one that has only their ``cells.csv``.
        fields: of a record.

    Raises:
        UserError: a file cannot be read, or nothing is finished.
    """
    found = list(_from_runs(table, out, fields))
    if not found and (out / CELLS).exists():
        found = _from_csv(out / CELLS, fields)
    if not found:
        raise UserError(f"{out} holds no finished run yet")
    return found


def of_cell(found: Iterable[Record], row: str, column: str) -> list[Record]:
    """The records of all seeds of a row and a column."""
    return [record for record in found if (record["row"], record["column"]) == (row, column)]


def columns_of(table: Table, found: Iterable[Record]) -> list[str]:
    """The columns of which anything is there, in the table's order."""
    there = {record["column"] for record in found}
    return [column for column in table.columns if column in there]


def known(found: Iterable[Record], field: str) -> list[float]:
    """The values of a field, without those that there are not."""
    return [record[field] for record in found if record[field] is not None]


def as_csv(found: list[Record], fields: Fields = FIELDS) -> str:
    """One line a cell; numbers as they are, so that ``records`` reads them back exactly."""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, [*LABELS, *fields, *PLACES], lineterminator="\n")
    writer.writeheader()
    writer.writerows(found)
    return buffer.getvalue()


def _from_runs(table: Table, out: Path, fields: Fields) -> Iterable[Record]:
    for row in table.rows:
        for column in table.columns:
            paths = table.folder(out, row, column).glob(f"seed-*/{SUMMARY}")
            for path in sorted(paths, key=lambda path: int(path.parent.name[5:])):
                summary = RunFolder(path.parent).summary()
                values = {name: _value(summary, keys, path) for name, (_, keys) in fields.items()}
                versions = _value(summary, ("versions",), path).items()
                yield {
                    "row": row,
                    "column": column,
                    **values,
                    "versions": " ".join(f"{name}={version}" for name, version in versions),
                    "folder": path.parent.relative_to(out).as_posix(),
                }


def _value(summary: dict[str, Any], keys: tuple[str, ...], path: Path) -> Any:
    """A value of the summary; None where something on the way to it is None."""
    value: Any = summary
    for key in keys:
        if value is not None and key not in value:
            raise UserError(f"{path} has no {'.'.join(keys)}: run it again")
        value = None if value is None else value[key]
    return value


def _from_csv(path: Path, fields: Fields) -> list[Record]:
    kinds = {**LABELS, **{name: kind for name, (kind, _) in fields.items()}, **PLACES}
    try:
        lines = list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))
        return [
            {name: kind(line[name]) if line[name] else None for name, kind in kinds.items()}
            for line in lines
        ]
    except OSError as error:
        raise UserError(f"cannot read {path}: {reason(error)}") from None
    except (KeyError, ValueError, TypeError) as error:
        raise UserError(f"{path} is no list of cells: {error}") from None
