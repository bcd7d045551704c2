"""Read one picture; what it is is told by its content, not by its name."""

import warnings
from pathlib import Path

import numpy as np
from PIL import Image

from mwnet.core.errors import UserError, first_line

REFUSED = {"EPS", "WMF", "MPEG", "BUFR", "GRIB", "HDF5"}
"""What Pillow opens with the help of other programs, or cannot decode by itself."""

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}  # by EXIF orientation
_ORIENTATION = 0x0112


def open_rgb(file: Path, side: int | None = None) -> Image.Image:
    """Read a picture as people see it: upright, in colour, 8 bits a channel, on white.

    Its EXIF orientation is applied. Whole grey values are divided by 255, 4,095 or 65,535, the
    first that none of them exceeds; floats within 0 and 1 are taken as they are; other numbers are
    stretched from their least to their greatest. What is transparent shows white. Of several
    frames the first is read.

    Args:
        file: of any format that Pillow decodes by itself, whatever its name.
        side: in pixels, of what it will be scaled to: a JPEG with more than four times as many is
            decoded at a fraction of its size, though no less than twice ``side``. None: in full.

    Returns:
        A picture of mode RGB.

    Raises:
        UserError: the file cannot be read, is no picture, is cut off, or claims too many pixels.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of large pictures, odd EXIF data, odd palettes
            Image.init()
            kinds = [name for name in Image.ID if name not in REFUSED]
            with Image.open(file, formats=kinds) as image:
                if side is not None:
                    image.draft(None, (2 * side, 2 * side))
                image.load()
                turn = _turn(image)
                colour = _colour(image)
    except Exception as error:  # decoders raise whatever a damaged file leads them to
        raise UserError(f"{file} is no readable image ({_why(error)})") from None
    return colour if turn is None else colour.transpose(turn)


def _why(error: Exception) -> str:
    if isinstance(error, Image.UnidentifiedImageError):
        return "its content is of no known format"
    return getattr(error, "strerror", None) or first_line(error)


def _turn(image: Image.Image) -> Image.Transpose | None:
    try:
        return _TURNS.get(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # damaged EXIF data; the picture itself is fine
        return None


def _colour(image: Image.Image) -> Image.Image:
    """The picture in mode RGB."""
    if image.mode == "F" or image.mode.startswith("I"):
        return Image.fromarray(_to_bytes(np.asarray(image))).convert("RGB")
    if image.has_transparency_data:
        clear = image.convert("RGBA")
        white = Image.new("RGBA", clear.size, "white")
        return Image.alpha_composite(white, clear).convert("RGB")
    return image.convert("RGB")


def _to_bytes(values: np.ndarray) -> np.ndarray:
    """``(h, w)`` grey values of any range as uint8."""
    finite = np.isfinite(values)
    known = values[finite]
    low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 0.0)
    tops = [255, 4095, 65535] if values.dtype.kind in "iu" else [1]
    if low >= 0 and high <= tops[-1]:
        low, high = 0.0, float(next(top for top in tops if high <= top))
    scaled = (np.where(finite, values, low).astype(np.float64) - low) / ((high - low) or 1.0)
    return (255 * scaled).round().astype(np.uint8)
