"""Photos as a pretrained network sees them, decoded once and held."""

import math
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mwnet.core.errors import UserError, reason
from mwnet.data.decoding import decoded
from mwnet.data.images import ADVICE
from mwnet.data.photo_networks import find_extractor

IN_MEMORY = 2**30
"""Bytes above which the pixels lie in a temporary file that is mapped: about 7,000 photos."""


def photo_pixels(
    files: Sequence[Path], read: Callable[[Path], np.ndarray], *, workers: int | None = None
) -> Tensor:
    """Decode photos.

    At 224 pixels a photo takes 147 KiB as uint8, and four times that where a network wants floats.

    Args:
        files: at least one picture.
        read: makes what the network sees of a file.
        workers: processes that decode; None: by the number of CPUs and files.

    Returns:
        ``(n, channels, height, width)``, of the type that ``read`` gives.

    Raises:
        UserError: the first file that cannot be read; no room for the temporary file.
    """
    x, at = np.empty(0), 0
    for batch in decoded(files, read, workers=workers, advice=ADVICE):
        if at == 0:
            x = _room((len(files), *batch.shape[1:]), batch.dtype)
        x[at : at + len(batch)] = batch
        at += len(batch)
    return torch.from_numpy(x)


def photo_batches(files: Sequence[Path], extractor: str) -> Iterator[np.ndarray]:
    """Decode photos for a pretrained network by its name, a few at a time; see ``photo_pixels``."""
    return decoded(files, find_extractor(extractor).load(False).read, advice=ADVICE)


def _room(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """An array in memory, or in a file without a name, which lasts as long as the array does."""
    size = math.prod(shape) * dtype.itemsize
    if size <= IN_MEMORY:
        return np.empty(shape, dtype)
    try:
        with tempfile.TemporaryFile() as file:
            os.posix_fallocate(file.fileno(), 0, size)  # a full disk is to be known now
            return np.memmap(file, dtype, "r+", shape=shape)
    except OSError as error:
        raise UserError(
            f"no room for {size / 2**30:.1f} GiB of pixels in {tempfile.gettempdir()}: "
            f"{reason(error)}; set TMPDIR to a folder with room"
        ) from None
