"""Samples that are rows of a table: the cells in which a row differs most from its class."""

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mwnet.data.tables.cells import empty
from mwnet.data.tables.columns import Column, Table
from mwnet.reviewing.reviewed import Samples, Sheets, Shown

CELLS = 6
"""Cells of a row that are shown."""
COUNTED = 20_000
"""Rows at most from which it is learnt what is usual in a class."""
FARTHEST = 99.0
LONGEST = 120
"""Characters of a cell."""


@dataclass(frozen=True)
class Rows:
    """Samples that are rows of a table.

    Attributes:
        table: whose cells may lie in a file; only those that are shown or counted are read.
        most: rows of the page.
        chosen: ``(n,)`` row of each sample; None: all in their order.
    """

    table: Table
    most: int = 5_000
    chosen: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.table) if self.chosen is None else len(self.chosen)

    def rows(self, rows: np.ndarray) -> "Rows":
        """Return some of them."""
        return replace(self, chosen=rows if self.chosen is None else self.chosen[rows])

    def cells_of(self, column: Column, samples: np.ndarray) -> np.ndarray:
        """Read the cells of a column in the rows of some samples."""
        values = column.values[samples if self.chosen is None else self.chosen[samples]]
        return values if values.dtype.kind in "fO" else values.astype(np.float64)

    def packed(self, samples: Samples, shown: Shown) -> tuple[dict[str, Any], Sheets]:
        """Find the cells of each row that differ most from its given class."""
        columns = self.table.columns
        reviewed = shown.reviewed
        counted = np.random.default_rng(0).permutation(len(samples))[:COUNTED]
        given, classes = samples.given[counted], len(samples.classes)
        usual = [
            Usual.of(column, self.cells_of(column, counted), given, classes) for column in columns
        ]
        distance = np.stack(
            [
                one.distance(self.cells_of(column, reviewed), samples.given[reviewed])
                for one, column in zip(usual, columns, strict=True)
            ],
            axis=1,
        )
        few = min(CELLS, len(columns))
        order = np.argsort(-np.abs(distance), axis=1, kind="stable")[:, :few]
        used, place = np.unique(order, return_inverse=True)
        place = place.reshape(order.shape)
        lines: Any = place.tolist()
        beside: list[list[int]] = shown.near.reshape(shown.count, -1).tolist()
        written = [self.cells_of(columns[i], shown.members).tolist() for i in used]
        cells = [
            [_cell(columns[i], value) for value in values]
            for i, values in zip(used, written, strict=True)
        ]
        return {
            "kind": "rows",
            "features": [columns[i].name for i in used],
            "usual": [usual[i].words for i in used],
            "which": lines,
            "distance": np.take_along_axis(distance, order, 1).round(1).tolist(),
            "cells": [
                [[cells[i][sample] for i in line] for sample in (row, *others) if sample >= 0]
                for row, (line, others) in enumerate(zip(lines, beside, strict=True))
            ],
        }, []


@dataclass(frozen=True)
class Usual:
    """What is usual in a column, by class.

    Attributes:
        words: ``(K,)`` the median or the most frequent cell, as text.
        middle: ``(K,)`` medians; None for a column of words.
        scale: ``(K,)`` robust standard deviations.
        shares: of each cell by class; a missing cell is None.
    """

    words: list[str]
    middle: np.ndarray | None
    scale: np.ndarray | None
    shares: list[dict[Any, float]]

    @staticmethod
    def of(column: Column, values: np.ndarray, given: np.ndarray, classes: int) -> "Usual":
        """Learn it from cells of a column and the labels as given."""
        missing = empty(values)
        words, middle, scale, shares = [], [], [], []
        numbers = column.kind in ("numeric", "date")
        known = values[~missing].astype(np.float64) if numbers else np.zeros(0)
        overall = float(known.std()) if len(known) else 0.0
        for label in range(classes):
            own = given == label
            present = values[own & ~missing]
            if numbers:
                median = float(np.median(present)) if len(present) else np.nan
                spread = 1.4826 * np.median(np.abs(present - median)) if len(present) else 0.0
                middle.append(median)
                # Where half of a class share a value, the smallest step would be infinitely far.
                scale.append(max(float(spread), 0.1 * overall) or 1.0)
                words.append(_cell(column, median))
                holes = _share(int((own & missing).sum()), int(own.sum()))
                shares.append({None: holes, "there": 1 - holes})
                continue
            different, counts = np.unique(present.astype(str), return_counts=True)
            total = int(own.sum())
            share: dict[Any, float] = {
                str(c): _share(int(k), total) for c, k in zip(different, counts, strict=True)
            }
            share[None] = _share(int((own & missing).sum()), total)
            shares.append(share)
            often = present[present.astype(str) == different[counts.argmax()]][0] if total else None
            words.append(_cell(column, often) if len(present) else "")
        if numbers:
            return Usual(words, np.array(middle), np.array(scale), shares)
        return Usual(words, None, None, shares)

    def distance(self, values: np.ndarray, given: np.ndarray) -> np.ndarray:
        """Return how far cells are from what is usual, in standard deviations.

        A number counts from the median of its class by the median absolute deviation. A word that a
        share p of the class has is as far as the number that a share p exceeds on either side, less
        the same for the most frequent word. So a column of names, all of them rare, tells nothing.

        Args:
            values: ``(m,)`` cells.
            given: ``(m,)`` their classes.
        """
        missing = empty(values)
        out = np.zeros(len(values))
        if self.middle is not None and self.scale is not None:
            known = values[~missing].astype(np.float64)
            of = given[~missing]
            with np.errstate(invalid="ignore"):
                out[~missing] = np.nan_to_num((known - self.middle[of]) / self.scale[of])
            rest = np.flatnonzero(missing)
        else:
            rest = np.arange(len(values))
        from scipy.special import ndtri  # pictures and texts need no scipy

        known_far: dict[tuple[int, str | None], float] = {}
        for row in rest:
            told = (int(given[row]), None if missing[row] else str(values[row]))
            if told not in known_far:
                share = self.shares[told[0]]
                own, most = share.get(told[1], min(share.values())), max(share.values())
                known_far[told] = float(ndtri(most / 2) - ndtri(own / 2))
            out[row] = known_far[told]
        return np.clip(out, -FARTHEST, FARTHEST)


def _share(count: int, total: int) -> float:
    """A share that is never 0."""
    return (count + 0.5) / (total + 1)


def _cell(column: Column, value: Any) -> str:
    """A cell as people write it; empty for a missing one."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if column.kind == "date":
        return str(np.datetime64(round(float(value)), "D"))
    if column.kind == "boolean":
        return "true" if value else "false"
    if column.kind == "numeric":
        whole = float(value).is_integer() and abs(value) < 1e9
        return str(int(value)) if whole else f"{value:.4g}"
    text = str(value)
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
