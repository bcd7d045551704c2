"""Read photos as people have them: what is a picture is told by its content, not by its name."""

import os
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from mwnet.core.errors import UserError, first_line
from mwnet.data.decoding import decoded, unreadable

HELD_OUT = ("test", "val", "valid", "validation")
"""Folders beside ``train`` that hold the test part, in the order in which they are looked for."""
SUFFIXES = {
    *(
        ".png",
        ".apng",
        ".jpg",
        ".jpeg",
        ".jpe",
        ".jfif",
        ".jp2",
        ".gif",
        ".webp",
        ".avif",
        ".avifs",
    ),
    *(".tif", ".tiff", ".bmp", ".dib", ".ppm", ".pgm", ".pbm", ".pnm", ".tga", ".ico", ".psd"),
    *(".dds", ".pcx", ".heic", ".heif"),
}
"""A file so named is meant to be a picture: one that cannot be read is an error."""
UNMISTAKABLE = ("JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP", "PPM", "AVIF", "JPEG2000", "PSD")
"""Formats that are told by their first bytes, which a file of any name may have."""
REFUSED = {"EPS", "WMF", "MPEG", "BUFR", "GRIB", "HDF5"}
"""What Pillow opens with the help of other programs, or cannot decode by itself."""
ADVICE = "mend or remove it, or leave out such images with `skip_bad=True`"

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

    Its EXIF orientation is applied. Grey values of more than 8 bits are divided by the largest
    that their bits can hold (65,535 for 16), floats within 0 and 1 are taken as they are, other
    numbers are stretched from their least to their greatest. What is transparent shows white. Of
    several frames the first is read.

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
    whole = values.dtype.kind in "iu"
    if low >= 0 and (high < 2**16 if whole else high <= 1):
        low, high = 0.0, float(2 ** max(8, int(high).bit_length()) - 1) if whole else 1.0
    scaled = (np.where(finite, values, low).astype(np.float64) - low) / ((high - low) or 1.0)
    return (255 * scaled).round().astype(np.uint8)


@dataclass(frozen=True)
class ImageTree:
    """Pictures in class folders.

    Attributes:
        files: training part first, sorted within each part.
        labels: of each file, the name of its class folder.
        names: of each file, its path below the root.
        parts: roots of the parts: one, or those of training and test part.
        test_start: position of the first file of the test part; None: the tree has none.
        skipped: unreadable pictures that were left out.
        notes: sentences about what was passed over.
    """

    files: tuple[Path, ...]
    labels: tuple[str, ...]
    names: tuple[str, ...]
    parts: tuple[Path, ...]
    test_start: int | None
    skipped: int
    notes: tuple[str, ...]


def class_folders(root: Path, *, skip_bad: bool = False) -> ImageTree:
    """Find the pictures of a tree ``root/CLASS/...``, or ``root/train/CLASS/...`` with ``test``.

    The test part may also be called ``val``, ``valid`` or ``validation``. Hidden files and folders
    and ``__MACOSX`` are passed over. Files whose name has no suffix of pictures are looked into.
    Linked folders are followed.

    Args:
        root: folder of the class folders or of the parts.
        skip_bad: decode every picture, and leave out those that cannot be read. Without it they
            are found out by whoever decodes them.

    Raises:
        UserError: no such folder, no pictures in class folders, a name that is no UTF-8.
    """
    if not root.is_dir():
        raise UserError(f"there is no folder {root}")
    held_out = [root / name for name in HELD_OUT if (root / name).is_dir()]
    split = bool(held_out) and (root / "train").is_dir()
    parts = (root / "train", held_out[0]) if split else (root,)
    files: list[Path] = []
    starts, others, bad, outside, empty = [], [], [], [], []
    for part in parts:
        starts.append(len(files))
        pictures, rest = _pictures(part)
        outside += [file for file in pictures if file.parent == part]
        pictures = [file for file in pictures if file.parent != part]
        others += [file for file in rest if file.parent != part]
        found = {file.relative_to(part).parts[0] for file in pictures}
        empty += [
            one
            for one in sorted(part.iterdir())
            if one.is_dir() and not _hidden(one.name) and one.name not in found
        ]
        if skip_bad:
            wrong = {pictures[place] for place in unreadable(pictures, _try)}
            bad += sorted(wrong)
            pictures = [file for file in pictures if file not in wrong]
        if not pictures:
            raise UserError(
                f"{part} holds no readable images in class folders ({part}/CLASS/image.png)"
            )
        files += pictures
    unused = [one for one in sorted(root.iterdir()) if split and one.is_dir() and one not in parts]
    unused = [one for one in unused if not _hidden(one.name)]
    labels = []
    for part, start, end in zip(parts, starts, [*starts[1:], len(files)], strict=True):
        labels += [file.relative_to(part).parts[0] for file in files[start:end]]
    return ImageTree(
        files=tuple(files),
        labels=tuple(labels),
        names=tuple(str(file.relative_to(root)) for file in files),
        parts=parts,
        test_start=starts[1] if split else None,
        skipped=len(bad),
        notes=(
            *_note("left out {} unreadable image{}", bad, root),
            *_note("left out {} file{} with no image in them", others, root),
            *_note("left out {} image{} outside the class folders", outside, root),
            *_note("passed over {} empty class folder{} with no image in them", empty, root),
            *_note("did not use {} folder{} beside the two parts", unused, root),
        ),
    )


def all_images(root: Path) -> tuple[tuple[Path, ...], tuple[str, ...]]:
    """Find every picture below a folder, however deep.

    Returns:
        The files, sorted, and sentences about what was passed over.

    Raises:
        UserError: no such folder, no pictures in it, a name that is no UTF-8.
    """
    if not root.is_dir():
        raise UserError(f"there is no folder {root}")
    files, others = _pictures(root)
    if not files:
        raise UserError(f"{root} holds no images")
    return tuple(files), _note("left out {} file{} with no image in them", others, root)


def pixels(
    files: Sequence[Path], size: int, *, workers: int | None = None, advice: str = ADVICE
) -> Tensor:
    """Decode pictures, their shorter side scaled to ``size`` pixels and the centre kept.

    Args:
        files: pictures.
        size: side in pixels.
        workers: processes that decode; None: as many as there are CPUs, none for few files.
        advice: ends the message about a file that cannot be read.

    Returns:
        ``(n, 3, size, size)`` uint8, the only memory that grows with n.

    Raises:
        UserError: the first file that cannot be read.
    """
    x = torch.empty(len(files), 3, size, size, dtype=torch.uint8)
    at = 0
    for batch in decoded(files, fitted(size), workers=workers, advice=advice):
        x[at : at + len(batch)] = torch.from_numpy(batch)
        at += len(batch)
    return x


def fitted(size: int) -> Callable[[Path], np.ndarray]:
    """A function that reads a file as ``(3, size, size)`` uint8, see ``pixels``."""

    def read(file: Path) -> np.ndarray:
        image = open_rgb(file, size)
        small = ImageOps.fit(image, (size, size), Image.Resampling.BILINEAR)
        return np.ascontiguousarray(np.asarray(small).transpose(2, 0, 1))

    return read


def _try(file: Path) -> np.ndarray:
    open_rgb(file, 1)
    return np.empty(0)


def _pictures(root: Path) -> tuple[list[Path], list[Path]]:
    """Files below a folder that are meant to be pictures, and those that are none, both sorted."""
    pictures, others = [], []
    for file in sorted(_walk(root)):
        if file.suffix.lower() not in SUFFIXES and not _is_picture(file):
            others.append(file)
            continue
        try:
            str(file).encode()
        except UnicodeEncodeError:
            raise UserError(f"the name of {str(file)!a} is no valid UTF-8: rename it") from None
        pictures.append(file)
    return pictures, others


def _walk(root: Path) -> list[Path]:
    """All files below a folder but hidden ones; a link back to a folder above is not followed."""
    found = []
    for place, folders, names in os.walk(root, followlinks=True):
        here = Path(place)
        above = {here.resolve(), *here.resolve().parents}
        folders[:] = [
            name for name in folders if not _hidden(name) and (here / name).resolve() not in above
        ]
        # What is neither a file nor a link, such as a pipe, would be waited for.
        paths = [here / name for name in names if not _hidden(name)]
        found += [path for path in paths if path.is_file() or path.is_symlink()]
    return found


def _hidden(name: str) -> bool:
    return name.startswith(".") or name == "__MACOSX"


def _is_picture(file: Path) -> bool:
    Image.init()
    try:
        with Image.open(file, formats=[name for name in UNMISTAKABLE if name in Image.OPEN]):
            return True
    except Exception:
        return False


def _note(sentence: str, paths: Sequence[Path], root: Path) -> tuple[str, ...]:
    """The sentence with number, plural s and the first names; none without paths."""
    if not paths:
        return ()
    shown = [os.fsencode(path.relative_to(root)) for path in paths[:5]]
    names = ", ".join(name.decode(errors="backslashreplace") for name in shown)
    begin = sentence.format(len(paths), "s" * (len(paths) > 1))
    return (f"{begin}: {names}{' ...' * (len(paths) > 5)}",)
