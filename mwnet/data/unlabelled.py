"""Read new samples, which have no labels, as the samples of a run were read."""

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mwnet.core.errors import UserError, reason
from mwnet.data.user import IMAGE_SUFFIXES, read_image


def new_samples(
    path: Path, *, feature_names: Sequence[str] | None, image_size: int | None
) -> tuple[list[str], np.ndarray, list[str]]:
    """Read samples.

    Args:
        path: a CSV table, an ``.npz`` with an array x, an ``.npy``, or a folder of images.
        feature_names: columns that a table must have, in the order of the network's features.
        image_size: side in pixels that images get; None where the run had no images of a folder.

    Returns:
        Names of the samples (row numbers or file names), the samples, and sentences about what was
        passed over.

    Raises:
        UserError: nothing there, or something else than the run was trained on.
    """
    if path.is_dir():
        return _images(path, image_size)
    if not path.is_file():
        raise UserError(f"there is no file {path}")
    if path.suffix in (".npz", ".npy"):
        x = _array(path)
        if x.ndim < 2:
            raise UserError(f"{path}: samples are the rows of an array, got shape {x.shape}")
        return [str(row) for row in range(len(x))], x, []
    if feature_names is None:
        raise UserError(f"{path} is a table, and the run was not trained on one")
    return _table(path, feature_names)


def _array(path: Path) -> np.ndarray:
    try:
        loaded = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise UserError(f"{path} is no readable file of plain arrays ({error})") from None
    if isinstance(loaded, np.ndarray):
        return loaded
    if "x" not in loaded.files:
        raise UserError(f"{path} has no array x; it has {', '.join(loaded.files) or 'none'}")
    return loaded["x"]


def _table(path: Path, feature_names: Sequence[str]) -> tuple[list[str], np.ndarray, list[str]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            header, *rows = list(csv.reader(file)) or [[]]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path} is no readable CSV file ({reason(error)})") from None
    missing = [name for name in feature_names if name not in header]
    if missing:
        raise UserError(f"{path} has no column '{missing[0]}', which the run was trained on")
    twice = [name for name in feature_names if header.count(name) > 1]
    if twice:
        raise UserError(f"{path} has the column '{twice[0]}' twice")
    place = [header.index(name) for name in feature_names]
    rows = [row for row in rows if row]
    if not rows:
        raise UserError(f"{path} has a header and no row")
    x = np.empty((len(rows), len(place)), dtype=np.float32)
    for number, row in enumerate(rows):
        if len(row) != len(header):
            raise UserError(
                f"{path}: row {number + 2} has {len(row)} cells, the header {len(header)}"
            )
        for at, column in enumerate(place):
            try:
                x[number, at] = float(row[column])
            except ValueError:
                raise UserError(
                    f"{path}: row {number + 2}, column '{header[column]}' holds '{row[column]}', "
                    "which is no number"
                ) from None
    others = [name for name in header if name not in feature_names]
    notes = [f"not used: column {', '.join(others)}"] if others else []
    return [str(row) for row in range(len(rows))], x, notes


def _images(root: Path, size: int | None) -> tuple[list[str], np.ndarray, list[str]]:
    if size is None:
        raise UserError(f"{root} is a folder, and the run was not trained on a folder of images")
    paths = [
        path
        for path in sorted(root.rglob("*"))
        if path.suffix.lower() in IMAGE_SUFFIXES
        and not any(part.startswith(".") for part in path.relative_to(root).parts)
    ]
    if not paths:
        raise UserError(f"{root} holds no images")
    images = []
    for path in paths:
        try:
            images.append(read_image(path, size).numpy())
        except (OSError, ValueError, SyntaxError) as error:
            raise UserError(f"{path} is no readable image ({reason(error)})") from None
    return [str(path.relative_to(root)) for path in paths], np.stack(images), []
