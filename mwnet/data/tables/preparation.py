"""Prepare the columns of a table for a network, and repeat that for new rows.

Each is fitted on the training rows alone, and kept as plain lists and arrays: without a pickle.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from mwnet.core.errors import UserError
from mwnet.data.tables.cells import Kind, empty
from mwnet.data.tables.columns import Column, Table, as_kind
from mwnet.data.tables.reading import unique_names
from mwnet.data.tables.text import TextFeatures

if TYPE_CHECKING:
    import pandas as pd

QUANTILES = 256
REACH = 3.0
"""Deviations that the smallest and largest numbers lie from the median, before standardising."""
MOST_CATEGORIES = 64
LEAST_ROWS = 5
"""Of a category; rarer ones are one together, "other", as are those that training has not seen."""
ROWS_AT_ONCE = 2**13
"""Whose features stay in the processor's cache."""


@dataclass(frozen=True)
class Numbers:
    """A numeric column: its quantiles go onto a normal distribution, a missing cell to the median.

    Attributes:
        knots: ``(q,)`` ascending values of the training rows.
        scores: ``(q,)`` what they become; linear in between. Their mean over the training rows is
            0, their deviation 1.
        median: of the training rows.
        mark: whether a second feature says that the cell is missing.
    """

    knots: tuple[float, ...]
    scores: tuple[float, ...]
    median: float
    mark: bool

    @property
    def width(self) -> int:
        """Features that come out."""
        return 1 + self.mark

    @staticmethod
    def fit(values: np.ndarray, *, mark: bool) -> "Numbers":
        """Measure the quantiles of ``(n,)`` values, of which some may be NaN."""
        from scipy.special import ndtri
        from sklearn.preprocessing import QuantileTransformer

        known = values[~np.isnan(values)]
        if not len(known):
            return Numbers((0.0,), (0.0,), 0.0, mark)
        count = int(np.clip(len(known) // 10, 10, QUANTILES))
        scaler: Any = QuantileTransformer(n_quantiles=min(count, len(known)), random_state=0)
        scaler.fit(known[:, None])
        # A value that is many rows' is one knot, in the middle of its ranks.
        knots, place = np.unique(scaler.quantiles_[:, 0], return_inverse=True)
        ranks = np.bincount(place, scaler.references_) / np.bincount(place)
        scores = np.clip(ndtri(ranks), -REACH, REACH)
        spread = np.interp(known, knots, scores)
        scores = (scores - spread.mean()) / (spread.std() or 1.0)
        median = float(np.median(known))
        return Numbers(tuple(knots.tolist()), tuple(scores.tolist()), median, mark)

    def transform(self, values: np.ndarray) -> np.ndarray:
        """``(n,)`` numbers -> ``(n, width)`` features."""
        missing = np.isnan(values)
        out = np.interp(np.where(missing, self.median, values), self.knots, self.scores)[:, None]
        return np.hstack([out, missing[:, None]]) if self.mark else out


@dataclass(frozen=True)
class Categories:
    """A column of categories, one feature each; rare and unseen ones share one, "other".

    Attributes:
        names: of the categories that have a feature of their own.
        mark: whether a last feature says that the cell is missing.
    """

    names: tuple[str, ...]
    mark: bool

    @property
    def width(self) -> int:
        """Features that come out."""
        return len(self.names) + 1 + self.mark

    @staticmethod
    def fit(values: np.ndarray, *, mark: bool) -> "Categories":
        """Count the categories among ``(n,)`` cells, of which some may be None."""
        codes, known = _factorised(values)
        counts = np.bincount(codes[codes >= 0], minlength=len(known))
        order = np.lexsort((np.array(known), -counts))[:MOST_CATEGORIES]
        least = min(LEAST_ROWS, max(1, len(values) // 50))
        return Categories(tuple(sorted(known[i] for i in order if counts[i] >= least)), mark)

    def transform(self, values: np.ndarray) -> np.ndarray:
        """``(n,)`` cells -> ``(n, width)`` features of 0 and 1."""
        return np.eye(self.width, dtype=np.float32)[self.places(values)]

    def places(self, values: np.ndarray) -> np.ndarray:
        """``(n,)`` cells -> ``(n,)`` which of the features is 1."""
        from sklearn.preprocessing import OrdinalEncoder

        codes, known = _factorised(values)
        other = len(self.names)
        own = np.full(len(known) + 1, other)
        own[-1] = other + self.mark  # what codes of -1 point to: missing cells
        if self.names and known:
            options: dict[str, Any] = {"categories": [np.array(self.names)], "dtype": np.int64}
            encoder: Any = OrdinalEncoder(
                handle_unknown="use_encoded_value", unknown_value=other, **options
            )
            encoder.fit(np.array(self.names)[:1, None])
            own[:-1] = encoder.transform(np.array(known)[:, None])[:, 0]
        return own[codes]


def _factorised(values: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """Codes of cells, -1 for a missing one, and the different cells."""
    import pandas as pd

    codes, known = pd.factorize(values)
    return np.asarray(codes), [str(cell) for cell in known]


Part = Numbers | Categories | TextFeatures


@dataclass(frozen=True)
class TablePreparation:
    """How the columns of a table become features; see ``fit``.

    Attributes:
        names: of the columns.
        kinds: what each column holds.
        parts: how each column is prepared.
    """

    names: tuple[str, ...]
    kinds: tuple[Kind, ...]
    parts: tuple[Part, ...]

    @property
    def width(self) -> int:
        """Features that come out."""
        return sum(part.width for part in self.parts)

    @staticmethod
    def fit(table: Table, rows: Tensor, embedding: str = "tfidf") -> "TablePreparation":
        """Fit the preparation of every column on some rows.

        Args:
            table: the features as read.
            rows: ``(m,)`` int64 row numbers of the training samples.
            embedding: of texts: ``tfidf``, or ``sentence-transformers:NAME``.
        """
        alone = len(table.columns) == 1
        parts: list[Part] = []
        for column in table.columns:
            values = column.values[rows.numpy()]
            if column.kind == "text":
                parts.append(TextFeatures.fit(values, embedding, alone=alone))
            elif column.kind == "category":
                parts.append(Categories.fit(values, mark=bool(empty(column.values).any())))
            else:
                parts.append(Numbers.fit(values, mark=bool(empty(column.values).any())))
        kinds: tuple[Kind, ...] = tuple(column.kind for column in table.columns)
        return TablePreparation(table.names, kinds, tuple(parts))

    def transform(self, table: Table) -> Tensor:
        """Prepare a table with the same columns: ``(n, width)`` float32."""
        x = torch.empty((len(table), self.width), dtype=torch.float32)
        out = x.numpy()
        by_rows: list[tuple[slice, Callable[..., np.ndarray], np.ndarray]] = []
        start = 0
        for part, column in zip(self.parts, table.columns, strict=True):
            place = slice(start, start + part.width)
            start += part.width
            if isinstance(part, Numbers):
                by_rows.append((place, part.transform, column.values))
            elif isinstance(part, Categories):
                eye = np.eye(part.width, dtype=np.float32)
                by_rows.append((place, eye.__getitem__, part.places(column.values)))
            else:
                out[:, place] = part.transform(column.values)
        for begin in range(0, len(table), ROWS_AT_ONCE):
            rows = slice(begin, begin + ROWS_AT_ONCE)
            for place, transform, values in by_rows:
                out[rows, place] = transform(values[rows])
        return x

    def read(self, frame: "pd.DataFrame") -> tuple[Table, list[str]]:
        """Read new rows as the training rows were read.

        Args:
            frame: with at least the columns that were trained on, in any order.

        Returns:
            The table, and sentences about columns that are not used.

        Raises:
            UserError: a column is missing, or holds something else than in training.
        """
        names = unique_names([str(name).strip() for name in frame.columns])
        columns = []
        for name, kind in zip(self.names, self.kinds, strict=True):
            if name not in names:
                raise UserError(f"there is no column '{name}', which the run was trained on")
            series = frame.iloc[:, names.index(name)]
            columns.append(Column(name, kind, as_kind(name, kind, series)))
        others = [name for name in names if name not in self.names]
        plural = "s" * (len(others) > 1)
        notes = [f"not used: column{plural} {', '.join(map(repr, others))}"] if others else []
        return Table(tuple(columns)), notes

    def described(self) -> dict[str, Any]:
        """Return the preparation as plain values for JSON; arrays are in ``tensors``."""
        columns = [
            {"name": name, "kind": kind, **_described(part)}
            for name, kind, part in zip(self.names, self.kinds, self.parts, strict=True)
        ]
        return {"columns": columns}

    def tensors(self) -> dict[str, Tensor]:
        """Return the arrays of the preparation by name."""
        return {
            f"{place}.{name}": tensor
            for place, part in enumerate(self.parts)
            if isinstance(part, TextFeatures)
            for name, tensor in part.tensors().items()
        }

    @staticmethod
    def restored(described: dict[str, Any], tensors: dict[str, Tensor]) -> "TablePreparation":
        """Undo ``described`` and ``tensors``."""
        names, kinds, parts = [], [], []
        for place, column in enumerate(described["columns"]):
            names.append(column["name"])
            kinds.append(column["kind"])
            own = {
                name.removeprefix(f"{place}."): value
                for name, value in tensors.items()
                if name.startswith(f"{place}.")
            }
            parts.append(_restored(column, own))
        return TablePreparation(tuple(names), tuple(kinds), tuple(parts))


def _described(part: Part) -> dict[str, Any]:
    if isinstance(part, Numbers):
        return {
            "knots": list(part.knots),
            "scores": list(part.scores),
            "median": part.median,
            "mark": part.mark,
        }
    if isinstance(part, Categories):
        return {"categories": list(part.names), "mark": part.mark}
    return {"text": part.described()}


def _restored(column: dict[str, Any], tensors: dict[str, Tensor]) -> Part:
    if "knots" in column:
        knots, scores = tuple(column["knots"]), tuple(column["scores"])
        return Numbers(knots, scores, column["median"], column["mark"])
    if "categories" in column:
        return Categories(tuple(column["categories"]), column["mark"])
    return TextFeatures.restored(column["text"], tensors)
