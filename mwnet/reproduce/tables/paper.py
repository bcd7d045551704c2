"""What a paper printed for the cells of a table, and how it trained them."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from mwnet.core.errors import UserError, nearest

Values = dict[str, Any]
Cells = dict[tuple[str, str], tuple[float, ...]]

KEYS = ("source", "n", "n_assumed", "accuracy", "auc", "protocol")
PROTOCOLS = ("common", "paper")


@dataclass(frozen=True)
class Protocol:
    """What the paper did to some rows only.

    Attributes:
        note: one sentence for the report.
        rows: options by row label.
    """

    note: str
    rows: dict[str, Values]


@dataclass(frozen=True)
class Paper:
    """Printed numbers.

    Attributes:
        source: paper and number of its table.
        n: runs behind each mean.
        n_assumed: the paper does not print n.
        accuracy: mean in %, with its standard deviation if that is printed, by row and column.
        auc: detection AUC, by row and column; a single value.
        protocol: how the paper trained some rows, if not as the table does.
        values: all of this as the table file has it.
    """

    source: str
    n: int
    n_assumed: bool
    accuracy: Cells
    auc: Cells
    protocol: Protocol | None
    values: Values


def read_paper(values: Any, rows: Collection[str], columns: Collection[str]) -> Paper | None:
    """Check the entry ``paper:`` of a table.

    Args:
        values: of that entry, or None.
        rows: labels that there are.
        columns: likewise.

    Raises:
        UserError: whatever is wrong with it.
    """
    if values is None:
        return None
    if not isinstance(values, dict):
        raise UserError("paper must hold 'key: value' pairs")
    for key in values:
        if key not in KEYS:
            raise UserError(f"paper: unknown key '{key}' ({nearest(str(key), KEYS)})")
    n = values.get("n")
    if not values.get("source") or not isinstance(n, int) or n < 2:
        raise UserError("paper needs source: and n:, the number of runs behind a mean")
    return Paper(
        source=str(values["source"]),
        n=n,
        n_assumed=bool(values.get("n_assumed", False)),
        accuracy=_cells(values.get("accuracy"), (1, 2), rows, columns),
        auc=_cells(values.get("auc"), (1,), rows, columns),
        protocol=_protocol(values.get("protocol"), rows),
        values=values,
    )


def _cells(
    entries: Any, lengths: Collection[int], rows: Collection[str], columns: Collection[str]
) -> Cells:
    found: Cells = {}
    for row, line in _labelled(entries, rows, "row").items():
        for column, value in _labelled(line, columns, "column").items():
            numbers = tuple(value) if isinstance(value, list) else (value,)
            known = all(isinstance(x, int | float) and not isinstance(x, bool) for x in numbers)
            if len(numbers) not in lengths or not known:
                expected = "one number" + " or [mean, standard deviation]" * (2 in lengths)
                raise UserError(f"paper: '{row}', '{column}' must be {expected}, got {value}")
            found[row, column] = tuple(map(float, numbers))
    return found


def _protocol(values: Any, rows: Collection[str]) -> Protocol | None:
    if values is None:
        return None
    if not isinstance(values, dict) or values.keys() != {"note", "rows"}:
        raise UserError("paper: protocol must hold note: and rows:")
    return Protocol(str(values["note"]), _labelled(values["rows"], rows, "row"))


def _labelled(entries: Any, known: Collection[str], kind: str) -> Values:
    if entries is None:
        return {}
    if not isinstance(entries, dict):
        raise UserError(f"paper: expected values by {kind}, got {entries!r}")
    for label in entries:
        if label not in known:
            raise UserError(f"paper: no {kind} '{label}' ({nearest(str(label), known)})")
    return entries
