"""Dates as people write them: which of 1/2/2024 is the day."""

import re
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from mwnet.core.errors import UserError

DATE = re.compile(r"(\d{1,4})([-/.])(\d{1,2})[-/.](\d{1,4})([ T].*)?")


def looks_like_dates(cells: Sequence[str]) -> bool:
    """Return whether every cell looks like a date; False without cells."""
    return bool(cells) and all(DATE.fullmatch(cell) for cell in cells)


def day_first(cells: Sequence[str]) -> list[bool]:
    """Return the orders that the cells allow: day first, month first, both, or none of them.

    A date that begins with its year has no such order.

    Args:
        cells: that look like dates.

    Examples:
        >>> day_first(["13/02/2024", "01/02/2024"])
        [True]
        >>> day_first(["01/02/2024"])
        [True, False]
        >>> day_first(["2024-01-02"])
        []
    """
    found = [match for cell in cells if (match := DATE.fullmatch(cell))]
    pairs = {(int(m[1]), int(m[3])) for m in found if len(m[1]) <= 2}
    orders = []
    if pairs and all(day <= 31 and month <= 12 for day, month in pairs):
        orders.append(True)
    if pairs and all(month <= 12 and day <= 31 for month, day in pairs):
        orders.append(False)
    if len(orders) == 2 and all(m[2] == "." for m in found if len(m[1]) <= 2):
        return [True]  # nobody writes month.day.year
    return orders


def differ(cells: Sequence[str]) -> str | None:
    """Return the first cell whose date depends on the order; None if there is none."""
    found = [match for cell in cells if (match := DATE.fullmatch(cell))]
    return next((m[0] for m in found if len(m[1]) <= 2 and int(m[1]) != int(m[3])), None)


def mixed_days(cells: Sequence[str | None]) -> np.ndarray | None:
    """Days since 1970 of dates, each written in its own way; None if one is no date.

    Where the order is open, the month comes first.
    """
    import pandas as pd

    text = pd.Series(cells, dtype=object)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        read = pd.to_datetime(text, errors="coerce", format="mixed", utc=True)
    return days(read) if (read.notna() | text.isna()).all() else None


def undecided(name: str, cell: str) -> UserError:
    """The refusal of dates that may be read in two ways."""
    return UserError(
        f"column '{name}' holds {cell!r}, which may be the day first or the month first, and no "
        "cell decides it: write dates as 2024-12-31, or leave the column out with `drop`"
    )


def days(series: Any) -> np.ndarray:
    """Moments as days since 1970, NaN where there is none."""
    import pandas as pd

    moments = pd.DatetimeIndex(pd.to_datetime(series, utc=True))
    since = (moments - pd.Timestamp(0, tz="UTC")) / pd.Timedelta(days=1)
    return np.asarray(since, dtype=np.float64)


def days_of(cells: Sequence[str | None], *, first: bool) -> np.ndarray | None:
    """Days since 1970 of dates in one way of writing; None if they are in none.

    Args:
        cells: dates, None for a missing one.
        first: whether the day comes first, in dates that do not begin with the year.
    """
    import pandas as pd

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return days(pd.to_datetime(pd.Series(cells, dtype=object), dayfirst=first))
    except (ValueError, TypeError, OverflowError):
        return None
