"""Samples that are pictures: many on a sheet, so that a page has few large pieces."""

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from mwnet.core.errors import UserError
from mwnet.data.decoding import decoded
from mwnet.data.picture import open_rgb
from mwnet.reviewing.reviewed import Samples, Sheets, Shown

TINY = 48
"""Pixels of a side up to which a picture is kept as it is."""
LARGE, SMALL = 128, 64
"""Pixels of the longer side of a thumbnail, and of one that is shown beside another."""
MEASURED = 2_000
"""Samples at most whose least and greatest numbers are looked for."""
SHEET = 2_048
"""Pixels of a side of a sheet at most."""
JPEG_QUALITY = 82

Read = Callable[[np.ndarray, int], Iterator[np.ndarray]]
"""Yields pictures by position, ``(h, w)`` or ``(h, w, 3)`` uint8, none longer than a side."""


@dataclass(frozen=True)
class Pictures:
    """Samples that are arrays of pixels.

    Attributes:
        x: ``(m, channels, height, width)``, which may lie in a file that is larger than the memory.
            Numbers are stretched from the least, of bytes from 0, to the greatest; of many samples
            some are looked at.
        at: ``(n,)`` which of them are the samples.
    """

    x: Tensor
    at: Tensor
    most: int = 5_000

    def rows(self, rows: np.ndarray) -> "Pictures":
        """Return some of them."""
        return Pictures(self.x, self.at[rows])

    def packed(self, samples: Samples, shown: Shown) -> tuple[dict[str, Any], Sheets]:
        """Put the pictures on sheets, tiny ones as they are."""
        tiny = max(self.x.shape[2:]) <= TINY
        return _packed(self.read, shown, tiny=tiny)

    def read(self, rows: np.ndarray, side: int) -> Iterator[np.ndarray]:
        """Yield the pictures at some rows."""
        some = self.x[self.at[:: max(1, len(self.at) // MEASURED)].to(self.x.device)]
        low = 0.0 if some.dtype == torch.uint8 else float(some.min())
        high = float(some.max())
        for row in self.at[rows]:
            one = self.x[row].cpu().numpy()
            if low != 0 or high != 255:
                scaled = (one.astype(np.float32) - low) / ((high - low) or 1.0)
                one = (255 * scaled).round().clip(0, 255).astype(np.uint8)
            one = one.astype(np.uint8, copy=False)
            picture = one[:3].transpose(1, 2, 0) if len(one) >= 3 else one[0]
            yield np.asarray(_within(Image.fromarray(np.ascontiguousarray(picture)), side))


@dataclass(frozen=True)
class Photos:
    """Samples that are files of pictures.

    Attributes:
        files: ``(n,)``.
    """

    files: tuple[Path, ...]
    most: int = 2_000

    def rows(self, rows: np.ndarray) -> "Photos":
        """Return some of them."""
        return Photos(tuple(self.files[row] for row in rows))

    def packed(self, samples: Samples, shown: Shown) -> tuple[dict[str, Any], Sheets]:
        """Put thumbnails on sheets."""
        return _packed(self.read, shown, tiny=False)

    def read(self, rows: np.ndarray, side: int) -> Iterator[np.ndarray]:
        """Yield thumbnails of the photos at some rows.

        Raises:
            UserError: one that cannot be read.
        """

        def framed(file: Path) -> np.ndarray:
            small = np.asarray(_within(open_rgb(file, side), side))
            whole = np.zeros((side + 1, side, 3), dtype=np.uint8)
            whole[0, 0, :2] = small.shape[:2]
            whole[1 : 1 + small.shape[0], : small.shape[1]] = small
            return whole

        for batch in decoded([self.files[row] for row in rows], framed):
            for one in batch:
                height, width = one[0, 0, :2]
                yield one[1 : 1 + height, :width]


def _within(picture: Image.Image, side: int) -> Image.Image:
    """The picture, made smaller where it is longer than a side."""
    if max(picture.size) > side:
        picture = picture.copy()
        picture.thumbnail((side, side), Image.Resampling.BILINEAR)
    return picture


def _packed(read: Read, shown: Shown, *, tiny: bool) -> tuple[dict[str, Any], Sheets]:
    """Sheets of all members if tiny; else large ones of the reviewed, small ones beside them."""
    everything = np.arange(len(shown.members))
    if tiny:
        spread, sheets = _spread(read, shown.members, TINY, 0, tiny=True)
        spread["places"] = everything.tolist()
        return {"kind": "pictures", "tiny": True, "large": spread, "small": spread}, sheets
    large, sheets = _spread(read, shown.reviewed, LARGE, 0, tiny=False)
    large["places"] = everything[: shown.count].tolist()
    beside = np.unique(shown.near[shown.near >= 0])
    small, more = _spread(read, shown.members[beside], SMALL, len(sheets), tiny=False)
    places = np.full(len(shown.members), -1)
    places[beside] = np.arange(len(beside))
    small["places"] = places.tolist()
    return {"kind": "pictures", "tiny": False, "large": large, "small": small}, [*sheets, *more]


def _spread(
    read: Read, rows: np.ndarray, side: int, first: int, *, tiny: bool
) -> tuple[dict[str, Any], Sheets]:
    """Spread pictures over sheets, row by row.

    Returns:
        ``cell``, the side of a cell in pixels; ``across`` and ``on``, cells in a row and on a
        sheet; ``first``, the number of the first sheet; ``sizes``, width and height of each
        picture; and the sheets.
    """
    sheets: Sheets = []
    sizes: list[list[int]] = []
    held: list[np.ndarray] = []
    cell = side
    for number, picture in enumerate(read(rows, side)):
        if tiny and not number:
            cell = max(picture.shape[:2])
        sizes.append([picture.shape[1], picture.shape[0]])
        held.append(picture)
        if len(held) == (SHEET // cell) ** 2:
            sheets.append(_sheet(held, cell, tiny=tiny))
            held = []
    if held:
        sheets.append(_sheet(held, cell, tiny=tiny))
    if len(sizes) != len(rows):
        raise UserError(f"{len(rows) - len(sizes)} pictures are missing")
    across = SHEET // cell
    alike = sizes[:1] if sizes[:1] * len(sizes) == sizes else sizes
    return {
        "cell": cell, "across": across, "on": across**2, "first": first, "sizes": alike,
        "rows": [-(-min(across**2, len(rows) - at) // across)
                 for at in range(0, len(rows), across**2)],
    }, sheets  # fmt: skip


def _sheet(pictures: list[np.ndarray], cell: int, *, tiny: bool) -> tuple[str, bytes]:
    across = SHEET // cell
    grey = all(picture.ndim == 2 for picture in pictures)
    rows = -(-len(pictures) // across)
    sheet = np.zeros((rows * cell, across * cell, 3), dtype=np.uint8)
    for place, picture in enumerate(pictures):
        top, left = place // across * cell, place % across * cell
        colour = picture if picture.ndim == 3 else picture[:, :, None]
        sheet[top : top + colour.shape[0], left : left + colour.shape[1]] = colour
    image = Image.fromarray(sheet[:, :, 0] if grey else sheet)
    out = io.BytesIO()
    if tiny:
        image.save(out, "PNG")
        return "image/png", out.getvalue()
    image.save(out, "JPEG", quality=JPEG_QUALITY)
    return "image/jpeg", out.getvalue()
