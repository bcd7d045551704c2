"""Turn labels of any hashable kind into class ids; they come back as they were given."""

import math
from collections.abc import Hashable
from typing import Any

import numpy as np
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import column_or_1d

from mwnet.core.errors import UserError
from mwnet.data.labels import check_count


def hashable_labels(y: Any, name: str) -> list[Hashable]:
    """Return labels as a list of hashable objects, none of them missing.

    Args:
        y: ``(n,)`` labels of any hashable kind.
        name: of the argument, for the message.

    Raises:
        ValueError: a missing label, numbers that are no classes, another shape.
    """
    array = label_array(list(y), "O") if _is_compound(y) else np.asarray(y)
    if _is_one_hot(array):
        raise UserError(
            f"`{name}` of shape {array.shape} is one-hot: give the column that holds each 1, as in "
            f"np.argmax({name}, axis=1)"
        )
    if array.dtype != object:
        check_classification_targets(array if array.ndim < 2 else column_or_1d(array))
    labels = column_or_1d(array, warn=True).tolist()
    for row, label in enumerate(labels):
        nan = isinstance(label, float) and math.isnan(label)
        if label is None or nan or type(label).__name__ in ("NAType", "NaTType"):
            raise UserError(f"`{name}`: the label of sample {row} is missing (NaN)")
        try:
            hash(label)
        except TypeError:
            raise UserError(
                f"`{name}`: the label of sample {row} is a {type(label).__name__}, which is not "
                "hashable"
            ) from None
    return labels


def _is_one_hot(array: np.ndarray) -> bool:
    """Whether the labels are rows of one 1 and otherwise 0."""
    if array.ndim != 2 or array.shape[1] < 2 or array.dtype.kind not in "iufb":
        return False
    return bool(np.isin(array, (0, 1)).all() and (array.sum(1) == 1).all())


def _is_compound(y: Any) -> bool:
    """Whether numpy would change the labels: tuples become rows of a matrix, 1 beside "a" text."""
    if not isinstance(y, (list, tuple)):
        return False
    kinds = {type(label) for label in y}
    return len(kinds) > 1 or any(issubclass(kind, (tuple, frozenset)) for kind in kinds)


def encode_hashable(y: Any, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return ``(K,)`` classes, sorted where they can be, and ``(n,)`` int64 codes.

    Raises:
        ValueError: as ``hashable_labels``, fewer than two classes, or one for nearly every sample.
    """
    labels = hashable_labels(y, name)
    distinct = dict.fromkeys(labels)
    try:
        known = sorted(distinct)  # pyright: ignore[reportArgumentType]
    except TypeError:  # of kinds that have no order
        known = list(distinct)
    if len(known) < 2:
        raise UserError(f"`{name}` needs labels of at least 2 classes, got {len(known)} class")
    numeric = all(isinstance(label, (int, float)) for label in known)
    check_count(f"`{name}`", known, len(labels), numeric=numeric)
    dtype = getattr(y, "dtype", None)
    named = dtype.str if isinstance(dtype, np.dtype) and dtype.kind != "O" else None
    alike = not _is_compound(y) and len({type(label) for label in known}) == 1
    classes = label_array(known, named or (None if alike else "O"))
    position = {label: code for code, label in enumerate(known)}
    return classes, np.array([position[label] for label in labels], dtype=np.int64)


def known_codes(y: Any, name: str, count: int, known: dict[Hashable, int]) -> np.ndarray:
    """Return ``(n,)`` int64 codes of labels that must all be known.

    Raises:
        ValueError: as ``hashable_labels``, another number of labels, an unknown class.
    """
    labels = hashable_labels(y, name)
    if len(labels) != count:
        raise UserError(f"`X_meta` has {count} samples and `y_meta` {len(labels)}")
    strange = [label for label in labels if label not in known]
    if strange:
        raise UserError(f"`{name}` has the class {strange[0]!r}, which is absent from `y`")
    return np.array([known[label] for label in labels], dtype=np.int64)


def label_array(values: list[Any], dtype: str | None) -> np.ndarray:
    """Make a one-dimensional array, also of tuples."""
    if dtype is None or np.dtype(dtype) != object:
        return np.array(values, dtype=dtype)
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array
