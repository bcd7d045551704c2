"""Read the cells of a column: numbers, truth values, dates, words, texts."""

import re
import warnings
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from mwnet.core.errors import UserError
from mwnet.data.tables.reading import MISSING
from mwnet.data.tables.spelling import plain_numbers

if TYPE_CHECKING:
    import pandas as pd

Kind = Literal["numeric", "boolean", "category", "date", "text", "identifier", "constant"]
NUMBER_MISSING = frozenset({*MISSING, "-", "--", "."})
"""In a column of numbers these stand for a missing one too."""
FEW_ROWS = 20
"""Below this many rows, different values do not make an identifier."""
DATE = re.compile(r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}([ T].*)?")
WITHOUT_SPACES = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\u0e00-\u0e7f]")
"""Scripts that put no space between words: Japanese, Chinese, Thai."""


def empty(values: np.ndarray) -> np.ndarray:
    """Return ``(n,)`` which cells of a column are missing."""
    if values.dtype != object:
        return np.isnan(values)
    import pandas as pd

    return np.asarray(pd.isna(values))


def read_cells(name: str, series: "pd.Series") -> tuple[Kind, np.ndarray]:
    """Find out what the cells of a column are.

    Returns:
        The kind, and ``(n,)`` values: float64 with NaN for numeric, boolean and date (days since
        1970), else objects, ``str`` or None.

    Raises:
        UserError: cells that are neither numbers nor words, or of which few are no numbers.
    """
    import pandas as pd

    dtype = series.dtype
    if pd.api.types.is_complex_dtype(dtype):
        raise UserError(f"column '{name}' holds complex numbers; `drop` leaves it out")
    if pd.api.types.is_bool_dtype(dtype):
        numbers = series.to_numpy(dtype=np.float64, na_value=np.nan)
        return "boolean", numbers
    if dtype == np.float64:
        return "numeric", series.to_numpy()  # not copied
    if pd.api.types.is_numeric_dtype(dtype) and not isinstance(dtype, pd.CategoricalDtype):
        numbers = series.to_numpy(dtype=np.float64, na_value=np.nan)
        return "numeric", numbers
    if pd.api.types.is_datetime64_any_dtype(dtype):
        return "date", _days(series)
    if pd.api.types.is_timedelta64_dtype(dtype):
        seconds = series.dt.total_seconds().to_numpy(dtype=np.float64)
        return "numeric", seconds
    return _words(name, series, category=isinstance(dtype, pd.CategoricalDtype))


def _days(series: Any) -> np.ndarray:
    """Moments as days since 1970, NaN where there is none."""
    import pandas as pd

    moments = pd.DatetimeIndex(pd.to_datetime(series, utc=True))
    days = (moments - pd.Timestamp(0, tz="UTC")) / pd.Timedelta(days=1)
    return np.asarray(days, dtype=np.float64)


def _words(name: str, series: "pd.Series", *, category: bool) -> tuple[Kind, np.ndarray]:
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
            return "boolean", spread(np.array([flags.get(c.lower(), np.nan) for c in cells]))
        numbers = _numbers(name, cells, codes)
        if numbers is not None:
            return "numeric", spread(numbers)
        if known and all(DATE.fullmatch(cell) for cell in known):
            days = _dates([cell if cell not in MISSING else None for cell in cells])
            if days is not None:
                return "date", spread(days)
    words = np.array([None if cell in MISSING else cell for cell in cells], dtype=object)
    values = spread(words)
    return ("category" if category else _kind_of_words(known, int((~empty(values)).sum()))), values


def _kind_of_words(known: list[str], rows: int) -> Kind:
    """Category, text or identifier, from the different cells of a column and its rows."""
    if len(known) <= max(2, rows // 2) or rows < FEW_ROWS:
        return "text" if known and np.mean([len(c.split()) for c in known]) >= 6 else "category"
    some = known[:: max(1, len(known) // 1000)]
    spaceless = np.mean([bool(WITHOUT_SPACES.search(cell)) and len(cell) >= 6 for cell in some])
    if np.mean([len(cell.split()) for cell in some]) >= 3 or spaceless > 0.5:
        return "text"
    return "identifier" if len(known) > 0.9 * rows else "category"


def _numbers(name: str, cells: list[str], codes: np.ndarray) -> np.ndarray | None:
    """The numbers that cells stand for, NaN where one is missing; None if they are no numbers.

    Raises:
        UserError: nearly all are numbers, or commas that may mean two things.
    """
    import pandas as pd

    present = [cell for cell in cells if cell not in NUMBER_MISSING]
    if not present:
        return None
    of_cell = dict(zip(present, plain_numbers(name, present), strict=True))
    text = pd.Series([of_cell.get(cell) for cell in cells], dtype=object)
    read: Any = pd.to_numeric(text, errors="coerce")
    numbers = read.to_numpy(dtype=np.float64, na_value=np.nan)
    wrong = np.flatnonzero(np.isnan(numbers) & text.notna().to_numpy())
    if not len(wrong):
        return numbers
    share = np.isin(codes, wrong).mean()
    if share < 0.05 and len(present) - len(wrong) >= FEW_ROWS:
        row = int(np.flatnonzero(np.isin(codes, wrong))[0])
        raise UserError(
            f"column '{name}' holds numbers, but {cells[codes[row]]!r} in row {row + 1}: mend such "
            "cells or leave them empty, or leave the column out with `drop`"
        )
    return None


def _dates(cells: list[str | None]) -> np.ndarray | None:
    """Days since 1970 of dates in one way of writing; None if they are in none."""
    import pandas as pd

    for day_first in (False, True):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return _days(pd.to_datetime(pd.Series(cells, dtype=object), dayfirst=day_first))
        except (ValueError, TypeError, OverflowError):
            continue
    return None
