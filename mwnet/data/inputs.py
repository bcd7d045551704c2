"""Find out what somebody hands over from Python: a table, texts, photos, or arrays of numbers."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from mwnet.core.errors import UserError
from mwnet.data.images import SUFFIXES
from mwnet.data.photo_networks import DEFAULT

if TYPE_CHECKING:
    import pandas as pd

TEXT = "text"
"""Name of the column that a list of texts becomes."""


def unwrapped(values: Any) -> Any:
    """Return samples or labels in a form that numpy and pandas read rightly.

    A torch tensor becomes an array, also from a GPU or with a gradient. What is masked becomes a
    missing number. A table of polars or arrow becomes a DataFrame. The rest comes back as it is.
    """
    if isinstance(values, torch.Tensor):
        return values.detach().cpu().numpy()
    if isinstance(values, np.ma.MaskedArray):
        if not np.ma.is_masked(values):
            return values.data
        missing = None if values.dtype.kind in "OSU" else np.nan
        kind = np.result_type(values.dtype, np.float32) if missing is not None else object
        plain = np.array(values.data, dtype=kind)
        plain[np.ma.getmaskarray(values)] = missing
        return plain
    if hasattr(values, "to_pandas") and hasattr(values, "columns"):
        return values.to_pandas()
    return values


def check_rows(x: Any, y: Any) -> None:
    """Refuse labels whose index says that they are in another order than the samples.

    Raises:
        UserError: both have an index of the same names, which stand in another order.
    """
    import pandas as pd

    indexed = (pd.DataFrame, pd.Series)
    if not (isinstance(x, indexed) and isinstance(y, indexed)) or len(x) != len(y):
        return
    one, other = x.index, y.index
    if one.equals(other) or not (one.is_unique and other.is_unique):
        return
    if not len(one.difference(other)):
        raise UserError(
            "by its index `y` has the rows of `X` in another order: give y.loc[X.index], or "
            "y.to_numpy() if the order is right"
        )


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
    first = next((value for value in x if value is not None), None)
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
