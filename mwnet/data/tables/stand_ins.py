"""Notice numbers that may stand for a missing cell, such as -999."""

from collections.abc import Sequence

import numpy as np

STAND_INS = [
    sign * int(digit * count) for sign in (-1, 1) for digit in "98" for count in range(2, 7)
]
OFTEN = 3
"""Cells at least that have such a number."""


def stand_ins(columns: Sequence[tuple[str, np.ndarray]]) -> list[str]:
    """Say which columns repeat a number such as -999 far from all their other numbers.

    Far is farther from the nearest other number than the others are from each other. The numbers
    stay what they are: only whoever filled the table knows what they mean.

    Args:
        columns: name and ``(n,)`` float64 values, NaN where one is missing, of numeric columns.
    """
    sentences = []
    for name, values in columns:
        for number in _far(values):
            count = int((values == number).sum())
            sentences.append(
                f"'{name}' has {number:g} in {count} cells, far from its other numbers: it is read "
                "as a number; empty those cells if it stands for a missing one"
            )
    return sentences


def _far(values: np.ndarray) -> list[float]:
    ends = {float(end) for end in (np.nanmin(values), np.nanmax(values))} & {*map(float, STAND_INS)}
    if not ends:
        return []
    others = values[~np.isnan(values) & ~np.isin(values, list(ends))]
    if not len(others):
        return []
    low, high = others.min(), others.max()
    return [
        number
        for number in sorted(ends)
        if max(low - number, number - high) > high - low and (values == number).sum() >= OFTEN
    ]
