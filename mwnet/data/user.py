"""The user's own data: a folder of images, an .npz of arrays, a CSV table."""

import csv
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from mwnet.data.labels import encode
from mwnet.data.source import Source, channels_first

HELD_OUT = ("test", "val", "valid", "validation")
IMAGE_SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm"}


def arrays(path: Path) -> Source:
    """An ``.npz`` with x and y, and optionally x_test and y_test, y_true (true labels of x).

    x is ``(n, features)``, ``(n, h, w)`` or images with channels first or last; labels are
    integers or strings.

    Raises:
        ValueError: missing or surplus arrays, lengths that differ, bad labels, NaN in x.
    """
    data = _read_npz(path)
    known = {"x", "y", "x_test", "y_test", "y_true"}
    if not {"x", "y"} <= data.keys() <= known or ("x_test" in data) != ("y_test" in data):
        raise ValueError(
            f"{path} holds {', '.join(sorted(data)) or 'nothing'}; it needs x and y, and may have "
            "y_true, and x_test with y_test"
        )
    for name in sorted(data.keys() - {"x", "x_test"}):
        if data[name].ndim != 1:
            raise ValueError(
                f"{path}: {name} must be one label per sample, got shape {data[name].shape}"
            )
    for left, right in (("x", "y"), ("x", "y_true"), ("x_test", "y_test")):
        if left in data and right in data and data[left].shape[:1] != data[right].shape:
            raise ValueError(
                f"{path}: {left} has {data[left].shape[:1]} samples and {right} has "
                f"{data[right].shape}; they must be equally long"
            )
    x = data["x"]
    if "x_test" in data:
        if data["x_test"].shape[1:] != x.shape[1:] or not len(data["x_test"]):
            raise ValueError(
                f"{path}: x has shape {x.shape} and x_test {data['x_test'].shape}; samples must "
                "be alike, and there must be some"
            )
        x = np.concatenate([x, data["x_test"]])
    labelled = [name for name in ("y", "y_true", "y_test") if name in data]
    classes, encoded = encode({f"{path}: {name}": data[name] for name in labelled})
    ids = dict(zip(labelled, encoded, strict=True))
    test = [ids["y_test"]] if "y_test" in ids else []
    return Source(
        name="arrays",
        x=channels_first(_numbers(x, str(path))),
        labels=torch.cat([ids["y"], *test]),
        truth=torch.cat([ids["y_true"], *test]) if "y_true" in ids else None,
        classes=classes,
        test_ids=torch.arange(len(data["y"]), len(x)) if test else None,
    )


def _read_npz(path: Path) -> dict[str, np.ndarray]:
    if not path.is_file():
        raise ValueError(f"there is no file {path}")
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error, TypeError) as error:
        raise ValueError(f"{path} is no readable .npz file of plain arrays ({error})") from None


def table(path: Path, label_column: str) -> Source:
    """A CSV with a header: numeric features, a label column, perhaps true labels in ``y_true``.

    Raises:
        ValueError: no such column, a row of another length, a cell that is no number.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.reader(file))
    except FileNotFoundError:
        raise ValueError(f"there is no file {path}") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path} is no readable CSV file ({error})") from None
    if len(rows) < 2:
        raise ValueError(f"{path} needs a header line and at least one row")
    header, rows = rows[0], [row for row in rows[1:] if row]
    if label_column not in header:
        raise ValueError(
            f"{path} has no column '{label_column}'; name one of {', '.join(header)} as "
            "`label_column`"
        )
    for line, row in enumerate(rows, 2):
        if len(row) != len(header):
            raise ValueError(f"{path}: row {line} has {len(row)} cells, the header {len(header)}")
    labelled = [label_column, *(["y_true"] if "y_true" in header else [])]
    columns = {name: header.index(name) for name in labelled}
    kept = [column for column in range(len(header)) if column not in columns.values()]
    names = [header[column] for column in kept]
    if not names:
        raise ValueError(f"{path} has no feature beside the label column '{label_column}'")
    features = np.empty((len(rows), len(names)), dtype=np.float32)
    for line, row in enumerate(rows):
        for place, column in enumerate(kept):
            try:
                features[line, place] = float(row[column])
            except ValueError:
                raise ValueError(
                    f"{path}: row {line + 2}, column '{names[place]}' holds '{row[column]}', which "
                    "is no number; encode or drop it"
                ) from None
    cells = _cell_labels([row[at].strip() for at in columns.values() for row in rows])
    parts = np.array(cells, dtype=object).reshape(len(columns), len(rows))
    classes, encoded = encode(
        {f"{path}: {name}": part for name, part in zip(columns, parts, strict=True)}
    )
    return Source(
        name="table",
        x=channels_first(_numbers(features, str(path), names)),
        labels=encoded[0],
        truth=encoded[1] if len(encoded) == 2 else None,
        classes=classes,
        feature_names=tuple(names),
    )


def folder(path: Path, image_size: int, skip_bad: bool) -> Source:
    """An ImageFolder tree: ``path/CLASS/image``, or ``path/train/CLASS/...`` and ``path/test/...``.

    The held-out part may also be called ``val``, ``valid`` or ``validation``. Hidden files and
    folders are passed over. Images become colour, their shorter side ``image_size`` pixels, and
    the centre is kept.

    Raises:
        ValueError: no such folder, no classes, an unreadable image (unless ``skip_bad``).
    """
    if not path.is_dir():
        raise ValueError(f"there is no folder {path}")
    held_out = [path / name for name in HELD_OUT if (path / name).is_dir()]
    parts = [path]
    if (path / "train").is_dir() and held_out:
        parts = [path / "train", held_out[0]]
    loaded = [_read_tree(part, image_size, skip_bad) for part in parts]
    images = [image for part in loaded for image in part.images]
    files = [file for part in loaded for file in part.files]
    skipped = [str(file) for part in loaded for file in part.skipped]
    columns = {
        str(part): np.array([file.relative_to(part).parts[0] for file in tree.files], dtype=object)
        for part, tree in zip(parts, loaded, strict=True)
    }
    classes, encoded = encode(columns)
    note = f"left out {len(skipped)} unreadable images: {', '.join(skipped[:5])}"
    return Source(
        name="folder",
        x=torch.stack(images),
        labels=torch.cat(encoded),
        truth=None,
        classes=classes,
        test_ids=torch.arange(len(loaded[0].files), len(files)) if len(parts) == 2 else None,
        names=tuple(str(file.relative_to(path)) for file in files),
        skipped=len(skipped),
        notes=(note + (" ..." if len(skipped) > 5 else ""),) if skipped else (),
    )


class _Tree(NamedTuple):
    images: list[Tensor]
    files: list[Path]
    skipped: list[Path]


def _read_tree(root: Path, image_size: int, skip_bad: bool) -> _Tree:
    tree = _Tree([], [], [])
    for file in sorted(root.rglob("*")):
        inside = file.relative_to(root).parts
        hidden = any(part.startswith(".") or part == "__MACOSX" for part in inside)
        if hidden or len(inside) < 2 or file.suffix.lower() not in IMAGE_SUFFIXES:
            continue
        try:
            str(file).encode()
        except UnicodeEncodeError:
            raise ValueError(f"the name of {str(file)!a} is no valid UTF-8: rename it") from None
        try:
            tree.images.append(read_image(file, image_size))
            tree.files.append(file)
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            if not skip_bad:
                raise ValueError(
                    f"{file} is no readable image ({error}); mend or remove it, or leave out such "
                    "images with `skip_bad=True`"
                ) from None
            tree.skipped.append(file)
    if not tree.files:
        raise ValueError(
            f"{root} holds no readable images in class folders ({root}/CLASS/image.png)"
        )
    return tree


def _cell_labels(cells: list[str]) -> list[float] | list[str]:
    """A label column: numbers if every cell reads as one, else text."""
    try:
        numbers = [float(cell) if cell else float("nan") for cell in cells]
    except ValueError:
        return cells
    # "007" and "7" are different codes: as numbers they would become one class.
    return numbers if len(set(numbers)) >= len(set(cells)) else cells


def _numbers(x: np.ndarray, where: str, names: Sequence[str] | None = None) -> Tensor:
    """uint8 stays, everything else becomes float32; NaN and infinity are refused by place."""
    if x.dtype == np.uint8:
        return torch.from_numpy(x)
    if x.dtype.kind not in "iufb":
        raise ValueError(f"{where}: x must hold numbers, got {x.dtype}")
    x = x.astype(np.float32)
    if not np.isfinite(x).all():
        place = np.argwhere(~np.isfinite(x))[0]
        column = f"column '{names[place[1]]}'" if names else f"position {tuple(place[1:].tolist())}"
        raise ValueError(
            f"{where}: sample {place[0]}, {column} is {x[tuple(place)]}; fill in or drop such "
            "samples"
        )
    return torch.from_numpy(x)


def read_image(file: Path, size: int) -> Tensor:
    """``(3, size, size)`` uint8: shorter side scaled to ``size``, centre cropped."""
    with Image.open(file) as image:
        fitted = ImageOps.fit(image.convert("RGB"), (size, size), Image.Resampling.BILINEAR)
    return torch.from_numpy(np.asarray(fitted).copy()).permute(2, 0, 1).contiguous()
