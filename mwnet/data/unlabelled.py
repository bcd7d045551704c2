"""Read new samples, which have no labels, as the samples of a run were read."""

from pathlib import Path
from typing import Any

import numpy as np

from mwnet.core.errors import UserError
from mwnet.core.formats import dataset_of, magic
from mwnet.data.arrays import SAMPLES, read_array, read_npz
from mwnet.data.tables.preparation import TablePreparation
from mwnet.data.tables.reading import read_frame

OWN = "give features of your own as an .npy"


def new_samples(
    path: Path,
    *,
    preparation: TablePreparation | None,
    extractor: str | None,
    image_size: int | None,
) -> tuple[list[str], Any, list[str]]:
    """Read samples.

    Args:
        path: a table, an ``.npz`` with samples, an ``.npy``, or a folder of photos.
        preparation: of the table that the run was trained on; None for other data.
        extractor: frozen network of the run, which photos go through; None for other data.
        image_size: side in pixels that photos get; None where the run had no photos as pixels.

    Returns:
        Names of the samples (row numbers or file names); the samples as ``predict_proba`` takes
        them: a ``Table``, an array, or a list of files; and sentences about what was passed over.

    Raises:
        UserError: nothing there, or something else than the run was trained on.
    """
    kind = dataset_of(path)
    if kind == "folder":
        return _photos(path, extractor, image_size)
    if kind == "arrays":
        x, notes = _array(path)
        if x.ndim < 2:
            raise UserError(f"{path}: samples are the rows of an array, got shape {x.shape}")
        return [str(row) for row in range(len(x))], x, notes
    if preparation is None:
        raise UserError(f"{path} is a table, and the run was not trained on one ({OWN})")
    frame, notes, _ = read_frame(path, preparation.as_text(), decimal=".")
    try:
        table, more = preparation.read(frame)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    return [str(row) for row in range(len(frame))], table, notes + more


def _array(path: Path) -> tuple[np.ndarray, list[str]]:
    if magic(path) == "npy":
        return read_array(path), []
    found = read_npz(path)
    names = [name for name in SAMPLES if name in found]
    if len(names) != 1:
        raise UserError(f"{path} has no array x; it has {', '.join(found) or 'none'}")
    others = sorted(found.keys() - {names[0]})
    return found[names[0]], [f"not used: {', '.join(others)}"] if others else []


def _photos(
    root: Path, extractor: str | None, size: int | None
) -> tuple[list[str], Any, list[str]]:
    if size is None and extractor is None:
        raise UserError(f"{root} is a folder, and the run was not trained on photos ({OWN})")
    from mwnet.data.images import all_images, pixels

    files, notes = all_images(root)
    names = [str(file.relative_to(root)) for file in files]
    if extractor is not None:
        return names, list(files), list(notes)
    assert size is not None
    return names, pixels(files, size).numpy(), list(notes)
