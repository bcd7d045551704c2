"""Read the cells of a column: numbers, truth values, dates, words, texts."""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from mwnet.core.errors import UserError
from mwnet.data.tables.dates import (
    day_first,
    days,
    days_of,
    differ,
    looks_like_dates,
    mixed_days,
    undecided,
)
from mwnet.data.tables.reading import MISSING
from mwnet.data.tables.spelling import (
    AS_IT_IS,
    Mark,
    Spelling,
    mixed_units,
    plain_numbers,
    plain_numbers_like,
)

if TYPE_CHECKING:
    import pandas as pd

Kind = Literal["numeric", "boolean", "category", "date", "text", "identifier", "constant"]
NUMBER_MISSING = frozenset({*MISSING, "-", "--", "."})
"""In a column of numbers these stand for a missing one too."""
MOST_DIGITS = 2**53
"""Beyond this, different whole numbers are one as float64: they are names."""
FEW_WORDS = 3
"""Different words, at most, that stand for something missing in a column of numbers."""
FEW_ROWS = 20
"""Below this many rows, different values do not make an identifier."""
WITHOUT_SPACES = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\u0e00-\u0e7f]")
"""Scripts that put no space between words: Japanese, Chinese, Thai."""


def empty(values: np.ndarray) -> np.ndarray:
    """Return ``(n,)`` which cells of a column are missing."""
    if values.dtype != object:
        return np.isnan(values)
    import pandas as pd

    return np.asarray(pd.isna(values))


Read = tuple[Kind, np.ndarray, Spelling]


def read_cells(
    name: str,
    series: "pd.Series",
    *,
    decimal: Mark | None = None,
    kept: Spelling | None = None,
    strict: bool = False,
) -> Read:
    """Find out what the cells of a column are.

    Args:
        name: of the column, for messages.
        series: its cells.
        decimal: the mark before decimals in the text that the table was read from; None where
            numbers came as numbers.
        kept: how the training rows were written, of new rows; None for training rows.
        strict: whether dates that may be read in two ways are refused; else the month comes first.

    Returns:
        The kind; ``(n,)`` values: float64 with NaN for numeric, boolean and date (days since
        1970), else objects, ``str`` or None; and how the cells are written.

    Raises:
        UserError: cells that are neither numbers nor words, or of which few are no numbers; new
            cells that are written in another way than those of the training rows.
    """
    import pandas as pd

    dtype = series.dtype
    if pd.api.types.is_complex_dtype(dtype):
        raise UserError(f"column '{name}' holds complex numbers; `drop` leaves it out")
    if pd.api.types.is_bool_dtype(dtype):
        numbers = series.to_numpy(dtype=np.float64, na_value=np.nan)
        return "boolean", numbers, AS_IT_IS
    if pd.api.types.is_numeric_dtype(dtype) and not isinstance(dtype, pd.CategoricalDtype):
        return _numeric(series, decimal)
    if pd.api.types.is_datetime64_any_dtype(dtype):
        return "date", days(series), AS_IT_IS
    if pd.api.types.is_timedelta64_dtype(dtype):
        seconds = series.dt.total_seconds().to_numpy(dtype=np.float64)
        return "numeric", seconds, AS_IT_IS
    category = isinstance(dtype, pd.CategoricalDtype)
    return _words(name, series, category=category, decimal=decimal, kept=kept, strict=strict)


def _numeric(series: "pd.Series", decimal: Mark | None) -> Read:
    """Read numbers; whole ones that are equal as float64 are names."""
    import pandas as pd

    if series.dtype == np.float64:
        numbers = series.to_numpy()  # not copied
        fractions = decimal is not None and bool((numbers[np.isfinite(numbers)] % 1).any())
        return "numeric", numbers, Spelling(decimal if fractions else None)
    numbers = series.to_numpy(dtype=np.float64, na_value=np.nan)
    if pd.api.types.is_integer_dtype(series.dtype) and (np.abs(numbers) > MOST_DIGITS).any():
        words = np.array([None if pd.isna(n) else str(n) for n in series], dtype=object)
        known = [str(word) for word in set(words) - {None}]
        return _kind_of_words(known, int((~empty(words)).sum())), words, AS_IT_IS
    return "numeric", numbers, AS_IT_IS


def _words(
    name: str,
    series: "pd.Series",
    *,
    category: bool,
    decimal: Mark | None,
    kept: Spelling | None,
    strict: bool,
) -> Read:
    """Read cells that are no numbers for pandas: numbers in words, dates, words, texts."""
    import pandas as pd

    try:
        codes, uniques = pd.factorize(series)
    except TypeError:
        raise UserError(
            f"column '{name}' holds lists or other objects; `drop` leaves it out"
        ) from None
    codes = np.asarray(codes)
    kinds = {type(value).__name__ for value in uniques}
    if kinds & {"bytes", "bytearray", "dict", "ndarray"}:
        raise UserError(f"column '{name}' holds {sorted(kinds)[0]} objects; `drop` leaves it out")
    cells = [str(value).strip() for value in uniques]
    known = [cell for cell in cells if cell not in MISSING]

    def spread(of_unique: np.ndarray) -> np.ndarray:
        fill: Any = np.nan if of_unique.dtype.kind == "f" else None
        return np.concatenate([of_unique, np.array([fill], dtype=of_unique.dtype)])[codes]

    if not category:
        if known and {cell.lower() for cell in known} <= {"true", "false"}:
            flags = {"true": 1.0, "false": 0.0}
            flagged = spread(np.array([flags.get(c.lower(), np.nan) for c in cells]))
            return "boolean", flagged, AS_IT_IS
        numbers, spelling = _numbers(name, cells, codes, decimal, kept)
        if numbers is not None:
            return "numeric", spread(numbers), spelling if "str" in kinds else AS_IT_IS
        if looks_like_dates(known):
            first = _order(name, known, kept, strict=strict)
            dates = [cell if cell not in MISSING else None for cell in cells]
            moments = days_of(dates, first=bool(first))
            if moments is not None:
                return "date", spread(moments), Spelling(day_first=first)
            moments = mixed_days(dates)
            if moments is not None:
                if strict:
                    raise UserError(
                        f"column '{name}' holds dates that are written in different ways: write "
                        "all as 2024-12-31, or leave the column out with `drop`"
                    )
                return "date", spread(moments), AS_IT_IS
    words = np.array([None if cell in MISSING else cell for cell in cells], dtype=object)
    values = spread(words)
    kind = "category" if category else _kind_of_words(known, int((~empty(values)).sum()))
    return kind, values, AS_IT_IS


def _order(name: str, cells: list[str], kept: Spelling | None, *, strict: bool) -> bool | None:
    """Whether the day comes first in dates; None where they have no order, or none is sure.

    Raises:
        UserError: another order than in training; no cell decides, and ``strict``.
    """
    orders = day_first(cells)
    if not orders:
        return None
    if kept is not None and kept.day_first is not None:
        if kept.day_first not in orders:
            was = "day" if kept.day_first else "month"
            raise UserError(
                f"column '{name}' holds dates such as {cells[0]!r}, and in training the {was} came "
                "first: write new ones in the same way"
            )
        return kept.day_first
    if len(orders) == 1:
        return orders[0]
    odd = differ(cells)
    if odd is not None and strict:
        raise undecided(name, odd)
    return None


def _kind_of_words(known: list[str], rows: int) -> Kind:
    """Category, text or identifier, from the different cells of a column and its rows."""
    if len(known) <= max(2, rows // 2) or rows < FEW_ROWS:
        return "text" if known and np.mean([len(c.split()) for c in known]) >= 6 else "category"
    some = known[:: max(1, len(known) // 1000)]
    spaceless = np.mean([bool(WITHOUT_SPACES.search(cell)) and len(cell) >= 6 for cell in some])
    if np.mean([len(cell.split()) for cell in some]) >= 3 or spaceless > 0.5:
        return "text"
    return "identifier" if len(known) > 0.9 * rows else "category"


def _numbers(
    name: str, cells: list[str], codes: np.ndarray, decimal: Mark | None, kept: Spelling | None
) -> tuple[np.ndarray | None, Spelling]:
    """The numbers that cells stand for, NaN where one is missing; None if they are no numbers.

    Raises:
        UserError: nearly all are numbers, or commas that may mean two things, or something else
            than in training.
    """
    import pandas as pd

    present = [cell for cell in cells if cell not in NUMBER_MISSING]
    if not present:
        return None, AS_IT_IS
    plain, spelling = _plain(name, present, decimal, kept)
    of_cell = dict(zip(present, plain, strict=True))
    text = pd.Series([of_cell.get(cell) for cell in cells], dtype=object)
    read: Any = pd.to_numeric(text, errors="coerce")
    numbers = read.to_numpy(dtype=np.float64, na_value=np.nan)
    wrong = np.flatnonzero(np.isnan(numbers) & text.notna().to_numpy())
    if not len(wrong):
        return numbers, spelling
    share = np.isin(codes, wrong).mean()
    few = share < 0.05 or (share < 0.5 and len(wrong) <= FEW_WORDS)
    if few and len(present) - len(wrong) >= FEW_ROWS:
        row = int(np.flatnonzero(np.isin(codes, wrong))[0])
        raise UserError(
            f"column '{name}' holds numbers, but {cells[codes[row]]!r} in row {row + 1}: mend such "
            "cells or leave them empty, or leave the column out with `drop`"
        )
    two = mixed_units(present)
    if two is not None and len(codes) >= FEW_ROWS:
        raise UserError(
            f"column '{name}' holds {two[0]!r} and {two[1]!r}: write all numbers in one unit, or "
            "leave the column out with `drop`"
        )
    return None, AS_IT_IS


def _plain(
    name: str, cells: Sequence[str], decimal: Mark | None, kept: Spelling | None
) -> tuple[list[str], Spelling]:
    if kept is not None:
        return plain_numbers_like(name, cells, kept)
    # A comma is the file's own choice, for whose sake it has semicolons; a point is everybody's.
    return plain_numbers(name, cells, "," if decimal == "," else None)
