"""Read new rows as the training rows were read: their kinds, marks, units and categories."""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mwnet.core.errors import UserError
from mwnet.data.tables.cells import Kind, empty, read_cells
from mwnet.data.tables.columns import Column, check_finite
from mwnet.data.tables.reading import MISSING
from mwnet.data.tables.spelling import Spelling, unit_note

if TYPE_CHECKING:
    import pandas as pd

CODE = re.compile(r"[+-]?0\d+")
"""Digits that are no number, as ``007`` is another category than ``7``."""


def read_like(
    name: str, kind: Kind, spelling: Spelling, series: "pd.Series"
) -> tuple[Column, list[str]]:
    """Read the cells of a new column as the column of that name that was trained on.

    Args:
        name: of the column.
        kind: that it had in training.
        spelling: that it had in training.
        series: its new cells.

    Returns:
        The column, and sentences about what differs.

    Raises:
        UserError: words or dates where numbers were, or another way of writing than in training.
    """
    if kind in ("category", "text"):
        return Column(name, kind, _words(name, series)), []
    series = series.infer_objects()
    if not series.notna().any():
        return Column(name, kind, np.full(len(series), np.nan)), []
    found, values, written = read_cells(name, series, kept=spelling, strict=True)
    check_finite(name, values)
    if values.dtype == object or (kind == "date") != (found == "date"):
        if empty(values).all():
            return Column(name, kind, np.full(len(series), np.nan)), []
        example = str(series.dropna().tolist()[0])
        raise UserError(
            f"column '{name}' holds {example!r}, and the run was trained on a column of "
            f"{'dates' if kind == 'date' else 'numbers'} there"
        )
    notes = [] if kind == "date" else unit_note(name, spelling, written)
    return Column(name, kind, values), notes


def as_known(column: Column, known: Sequence[str]) -> tuple[Column, list[str]]:
    """Write categories that are numbers as training wrote them: ``1.0`` as ``1``.

    Args:
        column: of categories.
        known: those that have a feature of their own.

    Returns:
        The column, and a sentence about cells of other categories, if there are some.
    """
    import pandas as pd

    codes, cells = pd.factorize(column.values)
    codes = np.asarray(codes)
    by_number = {number: name for name in known if (number := _number(name)) is not None}
    same = set(known)
    words: list[Any] = []
    for cell in cells:
        number = None if cell in same else _number(cell)
        words.append(cell if number is None else by_number.get(number, cell))
    strange = np.array([word not in same for word in words] + [False])[codes]
    values = np.array([*words, None], dtype=object)[codes]
    named = Column(column.name, column.kind, values)
    if not strange.any():
        return named, []
    some = sorted(set(values[strange]))
    shown = ", ".join(map(repr, some[:3])) + (", ..." if len(some) > 3 else "")
    return named, [f"'{column.name}' {int(strange.sum())} ({shown})"]


def _number(cell: str) -> float | None:
    try:
        return None if CODE.fullmatch(cell) else float(cell)
    except ValueError:
        return None


def _words(name: str, series: "pd.Series") -> np.ndarray:
    """Cells as stripped text, None for a missing one; each different cell is looked at once."""
    import pandas as pd

    try:
        codes, cells = pd.factorize(series)
    except TypeError:
        raise UserError(f"column '{name}' holds lists or other objects, not words") from None
    words = [str(cell).strip() for cell in cells]
    known = [None if word in MISSING else word for word in words]
    return np.array([*known, None], dtype=object)[np.asarray(codes)]
