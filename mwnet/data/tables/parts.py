"""Features of one column: numbers by their quantiles, a feature for each category, texts."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from mwnet.data.tables.text import TextFeatures

QUANTILES = 256
REACH = 3.0
"""Deviations that the smallest and largest numbers lie from the median, before standardising."""
MOST_CATEGORIES = 64
LEAST_ROWS = 5
"""Of a category; rarer ones are one together, "other", as are those that training has not seen."""


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


def described(part: Part) -> dict[str, Any]:
    """Return a part as plain values for JSON, without its arrays."""
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


def restored(column: dict[str, Any], tensors: dict[str, Tensor]) -> Part:
    """Undo ``described``, with the arrays by their names."""
    if "knots" in column:
        knots, scores = tuple(column["knots"]), tuple(column["scores"])
        return Numbers(knots, scores, column["median"], column["mark"])
    if "categories" in column:
        return Categories(tuple(column["categories"]), column["mark"])
    return TextFeatures.restored(column["text"], tensors)
