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
from mwnet.data.tables.columns import Table
from mwnet.data.tables.new_rows import as_known, read_like
from mwnet.data.tables.parts import Categories, Numbers, Part, described, restored
from mwnet.data.tables.reading import unique_names
from mwnet.data.tables.spelling import Spelling
from mwnet.data.tables.text import TextFeatures

if TYPE_CHECKING:
    import pandas as pd

ROWS_AT_ONCE = 2**13
"""Whose features stay in the processor's cache."""


@dataclass(frozen=True)
class TablePreparation:
    """How the columns of a table become features; see ``fit``.

    Attributes:
        names: of the columns.
        kinds: what each column holds.
        parts: how each column is prepared.
        spellings: how the cells of each column were written.
    """

    names: tuple[str, ...]
    kinds: tuple[Kind, ...]
    parts: tuple[Part, ...]
    spellings: tuple[Spelling, ...]

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
        spellings = tuple(column.spelling for column in table.columns)
        return TablePreparation(table.names, kinds, tuple(parts), spellings)

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
            The table, and sentences about columns that are not used and what differs.

        Raises:
            UserError: a column is missing, or holds something else than in training.
        """
        names = unique_names([str(name).strip() for name in frame.columns])
        others = [name for name in names if name not in self.names]
        plural = "s" * (len(others) > 1)
        notes = [f"not used: column{plural} {', '.join(map(repr, others))}"] if others else []
        columns, strange = [], []
        rules = zip(self.names, self.kinds, self.spellings, self.parts, strict=True)
        for name, kind, spelling, part in rules:
            if name not in names:
                raise UserError(f"there is no column '{name}', which the run was trained on")
            column, more = read_like(name, kind, spelling, frame.iloc[:, names.index(name)])
            if isinstance(part, Categories):
                column, unknown = as_known(column, part.names)
                strange += unknown
            columns.append(column)
            notes += more
        if strange:
            notes.append(
                'cells of categories that training has not or hardly seen count as "other": '
                + "; ".join(strange)
            )
        return Table(tuple(columns)), notes

    def as_text(self) -> list[str]:
        """Return names of the columns whose new cells must come as they are written."""
        rules = zip(self.names, self.kinds, self.spellings, strict=True)
        return [n for n, kind, s in rules if kind in ("category", "text") or s.decimal == ","]

    def described(self) -> dict[str, Any]:
        """Return the preparation as plain values for JSON; arrays are in ``tensors``."""
        columns = [
            {"name": name, "kind": kind, "written": spelling.described(), **described(part)}
            for name, kind, part, spelling in zip(
                self.names, self.kinds, self.parts, self.spellings, strict=True
            )
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
        names, kinds, parts, spellings = [], [], [], []
        for place, column in enumerate(described["columns"]):
            names.append(column["name"])
            kinds.append(column["kind"])
            own = {
                name.removeprefix(f"{place}."): value
                for name, value in tensors.items()
                if name.startswith(f"{place}.")
            }
            parts.append(restored(column, own))
            spellings.append(Spelling(**column["written"]))
        return TablePreparation(tuple(names), tuple(kinds), tuple(parts), tuple(spellings))
