"""Turn values into what JSON can hold, and back: tuples and dictionaries keep their kind."""

from typing import Any

import numpy as np

from mwnet.core.errors import UserError


def plain(value: Any) -> Any:
    """Turn a value into what JSON can hold; a tuple becomes ``{"tuple": [...]}``.

    Raises:
        UserError: JSON has nothing like it.

    Examples:
        >>> plain(("digit", 3))
        {'tuple': ['digit', 3]}
    """
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, tuple):
        return {"tuple": [plain(part) for part in value]}
    if isinstance(value, list):
        return [plain(part) for part in value]
    if isinstance(value, dict):
        return {"dict": {str(key): plain(part) for key, part in value.items()}}
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if type(value).__name__ == "Timestamp":  # of pandas, which this room does not need
        return {"timestamp": value.isoformat()}
    raise UserError(f"cannot save {value!r}: JSON has no {type(value).__name__}")


def restored(value: Any) -> Any:
    """Undo ``plain``."""
    if isinstance(value, dict):
        if "timestamp" in value:
            import pandas as pd

            return pd.Timestamp(value["timestamp"])
        if "tuple" in value:
            return tuple(restored(part) for part in value["tuple"])
        return {key: restored(part) for key, part in value["dict"].items()}
    if isinstance(value, list):
        return [restored(part) for part in value]
    return value
