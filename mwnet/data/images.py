"""Find photos in folders as people have them, and decode them."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from mwnet.core.errors import UserError
from mwnet.data.decoding import decoded, unreadable
from mwnet.data.picture import open_rgb

TRAIN = ("train", "training")
HELD_OUT = ("test", "testing", "val", "valid", "validation", "eval")
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
    *(".dds", ".pcx", ".avif", ".avifs", ".heic", ".heif"),
}
"""A file so named is meant to be a picture: one that cannot be read is an error."""
UNMISTAKABLE = ("JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP", "PPM", "AVIF", "JPEG2000", "PSD")
"""Formats that are told by their first bytes, which a file of any name may have."""
ADVICE = "mend or remove it, or leave out such images with `skip_bad=True`"


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
    folders = {one.name.casefold(): one for one in root.iterdir() if one.is_dir()}
    own = [folders[name] for name in TRAIN if name in folders]
    held_out = [folders[name] for name in HELD_OUT if name in folders]
    split = bool(own and held_out)
    parts = (own[0], held_out[0]) if split else (root,)
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
        return square(open_rgb(file, size), size)

    return read


def square(image: Image.Image, side: int) -> np.ndarray:
    """Scale the shorter side of an RGB picture, keep the centre: ``(3, side, side)`` uint8."""
    small = ImageOps.fit(image, (side, side), Image.Resampling.BILINEAR)
    return np.ascontiguousarray(np.asarray(small).transpose(2, 0, 1))


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
