"""Labels as people write them -> class ids 0..K-1."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor


def encode(columns: dict[str, np.ndarray]) -> tuple[tuple[str, ...], list[Tensor]]:
    """Labels, integers or strings, as class ids 0..K-1 over their sorted values.

    Args:
        columns: label arrays by the name that an error message should use; the first decides what
            classes exist, the others may not bring new ones.

    Returns:
        The class names, and the ids of each column as int64.

    Raises:
        ValueError: a label that is missing or no class (2.5, NaN), fewer than two classes, a class
            that only a later column knows.
    """
    cleaned = [_label_values(name, values) for name, values in columns.items()]
    known = sorted(set(cleaned[0]))
    if len(known) < 2:
        raise ValueError(
            f"{next(iter(columns))} needs labels of at least 2 classes, got {len(known)}"
        )
    position = {label: index for index, label in enumerate(known)}
    encoded = []
    for name, values in zip(columns, cleaned, strict=True):
        strange = sorted(set(map(str, values)) - set(map(str, known)))
        if strange or any(type(value) is not type(known[0]) for value in values):
            raise ValueError(
                f"{name} has the class {(strange or ['of another type'])[0]}, which is absent from "
                "training"
            )
        encoded.append(torch.tensor([position[value] for value in values], dtype=torch.int64))
    return tuple(map(str, known)), encoded


def _label_values(name: str, values: np.ndarray) -> Sequence[int] | Sequence[str]:
    """Plain ints or plain strings, or an error that names the first label that is no class."""
    if values.dtype.kind in "iu":
        return values.tolist()
    cleaned: list = []
    for row, value in enumerate(values.tolist()):
        if isinstance(value, bytes):
            value = value.decode(errors="replace")
        if isinstance(value, bool):
            value = int(value)
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        missing = value is None or str(value).strip().lower() in ("", "nan")
        if missing or not isinstance(value, (int, str)):
            what = "is missing" if missing else f"is {value!r}"
            raise ValueError(
                f"{name}: label of sample {row} {what}; labels are classes, integers or strings"
            )
        cleaned.append(value)
    if len({type(value) for value in cleaned}) > 1:
        raise ValueError(f"{name} mixes integers and strings; use one kind of label")
    return cleaned
