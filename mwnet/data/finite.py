"""Arrays of a user as tensors: numbers without NaN, and what is mapped stays mapped."""

import warnings
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mwnet.core.errors import UserError


def finite(x: np.ndarray, where: str) -> Tensor:
    """Return samples as uint8, or as the floating-point numbers that they are.

    Mapped bytes and floats stay mapped. Everything else becomes float32.

    Raises:
        UserError: no numbers, or NaN or infinity among them; the first is named by its place.
    """
    if x.dtype == np.uint8:
        return _shared(x if isinstance(x, np.memmap) or x.flags.writeable else x.copy())
    if x.dtype.kind not in "iufb":
        raise UserError(f"{where}: x must hold numbers, got {x.dtype}")
    rows = max(1, 2**24 // max(1, int(np.prod(x.shape[1:]))))
    for start in range(0, len(x), rows):
        with np.errstate(over="ignore"):
            part: Any = np.asarray(x[start : start + rows]).astype(np.float32)
        if not np.isfinite(part).all():
            place = np.argwhere(~np.isfinite(part))[0]
            raise UserError(
                f"{where}: sample {start + place[0]}, position {tuple(place[1:].tolist())} is "
                f"{x[start + place[0]][tuple(place[1:])]}; fill in or drop such samples"
            )
    if not (isinstance(x, np.memmap) and x.dtype in (np.float16, np.float32, np.float64)):
        return torch.from_numpy(np.asarray(x).astype(np.float32))
    return _shared(x)


def _shared(x: np.ndarray) -> Tensor:
    """Return a tensor of the same memory, which may be a mapped file; nobody writes into it."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The given NumPy array is not writable")
        return torch.from_numpy(x)
