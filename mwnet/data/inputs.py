"""Find out what somebody hands over from Python: a table, texts, photos, or arrays of numbers."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mwnet.core.errors import UserError
from mwnet.data.images import SUFFIXES
from mwnet.data.photo_networks import DEFAULT

if TYPE_CHECKING:
    import pandas as pd

TEXT = "text"
"""Name of the column that a list of texts becomes."""


def as_table(x: Any) -> "pd.DataFrame | None":
    """Return samples as a table: a DataFrame, or texts in a list, an array or a Series.

    Returns:
        The table; None where the samples are something else.
    """
    import pandas as pd

    if isinstance(x, pd.DataFrame):
        return x
    one_dimensional = isinstance(x, (list, tuple, pd.Series)) or getattr(x, "ndim", 0) == 1
    if not one_dimensional or not len(x):
        return None
    first = x.iloc[0] if isinstance(x, pd.Series) else x[0]
    if not isinstance(first, str):
        return None
    odd = next((row for row, value in enumerate(x) if not isinstance(value, str)), None)
    if odd is not None:
        raise UserError(f"`X` is a list of texts, but sample {odd} is no text")
    if Path(first).suffix.lower() in SUFFIXES and len(first) < 1000 and Path(first).is_file():
        raise UserError("`X` is a list of texts that name photos: give each as a pathlib.Path")
    return pd.DataFrame({TEXT: list(x)}, index=x.index if isinstance(x, pd.Series) else None)


def as_photos(x: Any) -> np.ndarray | None:
    """Return features of photos, where samples are paths; see ``photo_features``.

    Returns:
        ``(n, d)`` float32; None where the samples are something else.
    """
    if not isinstance(x, (list, tuple)) or not x or not isinstance(x[0], os.PathLike):
        return None
    from mwnet.data.photo_features import photo_features

    return photo_features([Path(file) for file in x], DEFAULT)


def are_files(x: Any) -> bool:
    """Return whether samples are paths of image files, as text or as ``Path``."""
    some = x[:1] if isinstance(x, (list, tuple)) else []
    return len(some) == 1 and isinstance(some[0], (str, Path))
