"""Tell the columns of a table apart: numeric, boolean, category, date, text; what is no feature."""

import hashlib
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from mwnet.core.errors import UserError, nearest
from mwnet.data.tables.cells import FEW_ROWS, Kind, empty, read_cells
from mwnet.data.tables.reading import unique_names
from mwnet.data.tables.spelling import AS_IT_IS, Mark, Spelling
from mwnet.data.tables.stand_ins import stand_ins

if TYPE_CHECKING:
    import pandas as pd

FEATURE_KINDS: tuple[Kind, ...] = ("numeric", "boolean", "category", "date", "text")
PLURALS = {"boolean": "boolean", "category": "categorical", "text": "text"}

NAMED_LIKE_A_NUMBER = re.compile(
    r"|unnamed: ?\d+|__index_level_\d+__|index|id|idx|uuid|guid|rownames?|row|row_?(number|nr|id)"
    r"|.*[_. ]id|.*[_. ]index",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Column:
    """A column whose kind is known.

    Attributes:
        name: of the column.
        kind: what it holds.
        values: ``(n,)`` float64 with NaN for numeric, boolean and date (days since 1970); objects,
            ``str`` or None, for the others.
        why: reason for leaving it out, empty for a feature.
        spelling: how its cells were written.
    """

    name: str
    kind: Kind
    values: np.ndarray
    why: str = ""
    spelling: Spelling = AS_IT_IS


@dataclass(frozen=True)
class Table:
    """The features of a table.

    Attributes:
        columns: that are used, in the order of the table.
        notes: sentences about what was left out and why.
    """

    columns: tuple[Column, ...]
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.columns[0].values)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns."""
        return tuple(column.name for column in self.columns)

    def fingerprint(self) -> str:
        """Return a digest of all cells and names."""
        from pandas.core.util.hashing import hash_array

        digest = hashlib.blake2b(digest_size=8)
        for column in self.columns:
            digest.update(f"{column.name}\0{column.kind}\0".encode())
            values = column.values
            if values.dtype == object:
                values = np.asarray(hash_array(values))
            digest.update(np.ascontiguousarray(values).data)
        return digest.hexdigest()

    def counted(self) -> str:
        """Return for instance ``5 features (4 numeric, 1 categorical)``."""
        counts = Counter(column.kind for column in self.columns)
        kinds = ", ".join(
            f"{counts[kind]} {PLURALS.get(kind, kind)}" for kind in FEATURE_KINDS if counts[kind]
        )
        return f"{len(self.columns)} feature{'s' * (len(self.columns) != 1)} ({kinds})"


def features_of(
    frame: "pd.DataFrame",
    *,
    columns: Sequence[str] = (),
    drop: Sequence[str] = (),
    decimal: Mark | None = None,
) -> Table:
    """Find the features of a table, and leave out what is none.

    Left out are a running number and other identifiers, constant columns, and dates; ``columns``
    and ``drop`` decide otherwise.

    Args:
        frame: the table without its labels.
        columns: names of the columns to use, whatever they hold; empty for those found by looking.
        drop: names of columns to leave out.
        decimal: the mark before decimals in the text that the table was read from, if it was.

    Raises:
        UserError: an unknown name, a column that cannot be read, no feature.
    """
    names = unique_names([str(name).strip() for name in frame.columns])
    for option, asked in (("columns", columns), ("drop", drop)):
        for name in asked:
            if name not in names:
                raise UserError(f"`{option}`: there is no column '{name}' ({nearest(name, names)})")
    wanted = [name for name in names if name not in drop and (not columns or name in columns)]
    found = []
    for name in wanted:
        cells = frame.iloc[:, names.index(name)]
        found.append(read_column(name, cells, asked=name in columns, decimal=decimal))
    used = [column for column in found if not column.why]
    if not used:
        used = _last_resort(found)
    if not used:
        raise UserError(
            "the table has no feature beside its labels"
            + "".join(f"; {_called(column.name)} is {column.why}" for column in found[:5])
        )
    kept = {column.name for column in used}
    notes = [
        f"left out {_called(column.name)}: {column.why}"
        for column in found
        if column.name not in kept
    ]
    return Table(tuple(used), (*notes, *_missing(used), *_stand_ins(used)))


def of_numbers(x: np.ndarray, names: Sequence[str] | None = None) -> Table:
    """Return the table that an array of numbers is; every column is a feature.

    Args:
        x: ``(n, d)`` numbers; NaN for a missing one.
        names: ``(d,)`` names of the columns; None for 0, 1, 2.

    Raises:
        UserError: an infinite number.
    """
    wrong = np.isinf(x) if x.dtype.kind == "f" else np.zeros(0, dtype=bool)
    if wrong.any():
        row, column = np.argwhere(wrong)[0]
        raise UserError(f"sample {row}, feature {column} is {x[row, column]}: mend or drop it")
    values = x if x.dtype.kind == "f" else x.astype(np.float64)
    named = map(str, range(x.shape[1])) if names is None else names
    columns = [Column(name, "numeric", values[:, place]) for place, name in enumerate(named)]
    return Table(tuple(columns), (*_missing(columns), *_stand_ins(columns)))


def copies(table: Table, labels: np.ndarray) -> list[str]:
    """Say which columns tell the label of every row, as a copy of the labels does.

    Args:
        table: the features, perhaps with more rows at the end.
        labels: ``(n,)`` class ids.
    """
    import pandas as pd

    classes = len(np.unique(labels))

    def tells(values: np.ndarray) -> bool:
        codes, known = pd.factorize(values)
        pairs = pd.factorize(codes * classes + labels[: len(codes)])[1]
        return len(pairs) == classes == len(known) and codes.min() >= 0

    return [
        f"{_called(column.name)} tells the label of every row: if it is a copy of the labels, no "
        "wrong one can be found; leave it out with `drop`"
        for column in table.columns
        if len(pd.factorize(column.values[:1000])[1]) <= classes
        and tells(column.values[: len(labels)])
    ]


def _called(name: str) -> str:
    return f"'{name}'" if name else "the column without a name"


def _last_resort(found: list[Column]) -> list[Column]:
    """The only column of words, however short they are, is a text."""
    words = [column for column in found if column.values.dtype == object]
    if len(words) == 1 and any(words[0].values):
        return [Column(words[0].name, "text", words[0].values)]
    return []


def _missing(columns: Sequence[Column]) -> list[str]:
    """Say how many cells are missing, and where."""
    counts = {column.name: int(empty(column.values).sum()) for column in columns}
    holes = {name: count for name, count in counts.items() if count}
    if not holes:
        return []
    names = ", ".join(f"'{name}'" for name in list(holes)[:5]) + (", ..." if len(holes) > 5 else "")
    total = sum(holes.values())
    return [
        f"{total} missing cell{'s' * (total > 1)} in {names}: filled with the median or as a "
        "category of their own, and marked"
    ]


def _stand_ins(columns: Sequence[Column]) -> list[str]:
    numeric = [(each.name, each.values) for each in columns if each.kind == "numeric"]
    return stand_ins([(name, values) for name, values in numeric if not np.isnan(values).all()])


def read_column(
    name: str,
    series: "pd.Series",
    *,
    asked: bool = False,
    decimal: Mark | None = None,
) -> Column:
    """Find out what a column holds.

    Args:
        name: of the column.
        series: its cells.
        asked: the user wants it as a feature, even if it looks like none.
        decimal: see ``read_cells``.

    Raises:
        UserError: infinite numbers, cells that are neither numbers nor words.
    """
    kind, values, spelling = read_cells(name, series, decimal=decimal, strict=asked)
    return replace(_judged(name, kind, values, asked), spelling=spelling)


def _judged(name: str, kind: Kind, values: np.ndarray, asked: bool) -> Column:
    """The column with the reason for leaving it out, if there is one."""
    check_finite(name, values)
    missing = empty(values)
    present: Any = values[~missing]
    if not len(present):
        return Column(name, "constant", values, "empty")
    if (present == present[0]).all() and not missing.any():
        value = present[0] if values.dtype == object else f"{present[0]:g}"
        return Column(name, "constant", values, f"constant ({value})")
    if asked:
        return Column(name, "category" if kind == "identifier" else kind, values)
    return Column(name, kind, values, _why_none(name, kind, values))


def check_finite(name: str, values: np.ndarray) -> None:
    """Refuse infinite numbers in a column.

    Raises:
        UserError: one is there; the message names its row.
    """
    if values.dtype != object and np.isinf(values).any():
        row = int(np.flatnonzero(np.isinf(values))[0])
        raise UserError(
            f"column '{name}' holds {values[row]} in row {row + 1}: infinite values cannot be "
            "trained on; mend or drop them"
        )


def _why_none(name: str, kind: Kind, values: np.ndarray) -> str:
    """Why a column is no feature, empty if it is one."""
    many = len(values) >= FEW_ROWS
    named = NAMED_LIKE_A_NUMBER.fullmatch(name) is not None
    if kind == "date":
        return "a date"
    if kind == "category" and named and many and len(set(values)) > len(values) / 2:
        kind = "identifier"
    if kind == "identifier":
        return "an identifier (nearly every row has another value)"
    if kind == "numeric" and many and (values == np.round(values)).all():
        steps = np.unique(np.diff(np.sort(values)))
        if len(steps) == 1:
            return "a running number (index or identifier)"
        if named and steps[0] > 0:
            return "an identifier, by its name and its different whole numbers"
    return ""
