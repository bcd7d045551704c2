"""The user's own data: a folder of images, an .npz of arrays, a CSV table."""

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from mwnet.data.labels import encode
from mwnet.data.source import Source, channels_first

IMAGE_SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm"}


def arrays(path: Path) -> Source:
    """An ``.npz`` with x and y, and optionally x_test and y_test, y_true (true labels of x).

    x is ``(n, features)``, ``(n, h, w)`` or images with channels first or last; labels are
    integers or strings.

    Raises:
        ValueError: missing or surplus arrays, lengths that differ, bad labels, NaN in x.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            data = {name: file[name] for name in file.files}
    except FileNotFoundError:
        raise ValueError(f"there is no file {path}") from None
    except (OSError, ValueError, EOFError) as error:
        raise ValueError(f"{path} is no readable .npz file of plain arrays ({error})") from None
    known = {"x", "y", "x_test", "y_test", "y_true"}
    if not {"x", "y"} <= data.keys() <= known or ("x_test" in data) != ("y_test" in data):
        raise ValueError(
            f"{path} holds {', '.join(sorted(data)) or 'nothing'}; it needs x and y, and may have "
            "y_true, and x_test with y_test"
        )
    for left, right in (("x", "y"), ("x", "y_true"), ("x_test", "y_test")):
        if left in data and right in data and len(data[left]) != len(data[right]):
            raise ValueError(
                f"{path}: {left} has {len(data[left])} samples and {right} has {len(data[right])}; "
                "they must be equally long"
            )
    x = data["x"]
    if "x_test" in data:
        if data["x_test"].shape[1:] != x.shape[1:]:
            raise ValueError(
                f"{path}: samples of x have shape {x.shape[1:]}, of x_test "
                f"{data['x_test'].shape[1:]}; they must be alike"
            )
        x = np.concatenate([x, data["x_test"]])
    labelled = [name for name in ("y", "y_true", "y_test") if name in data]
    classes, encoded = encode({f"{path}: {name}": data[name] for name in labelled}, len(data["y"]))
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


def table(path: Path, label_column: str) -> Source:
    """A CSV with a header: numeric features and a label column.

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
            f"{path} has no column '{label_column}'; name one of {', '.join(header)} with "
            "--label-column"
        )
    for line, row in enumerate(rows, 2):
        if len(row) != len(header):
            raise ValueError(f"{path}: row {line} has {len(row)} cells, the header {len(header)}")
    at = header.index(label_column)
    names = header[:at] + header[at + 1 :]
    if not names:
        raise ValueError(f"{path} has no feature beside the label column '{label_column}'")
    features = np.empty((len(rows), len(names)), dtype=np.float32)
    for line, row in enumerate(rows):
        for column, cell in enumerate(row[:at] + row[at + 1 :]):
            try:
                features[line, column] = float(cell)
            except ValueError:
                raise ValueError(
                    f"{path}: row {line + 2}, column '{names[column]}' holds '{cell}', which is no "
                    "number; encode or drop it"
                ) from None
    cells = np.array(_cell_labels([row[at].strip() for row in rows]), dtype=object)
    classes, (labels,) = encode({f"{path}: {label_column}": cells}, len(rows))
    return Source(
        name="table",
        x=channels_first(_numbers(features, str(path), names)),
        labels=labels,
        truth=None,
        classes=classes,
    )


def folder(path: Path, image_size: int, skip_bad: bool) -> Source:
    """An ImageFolder tree: ``path/CLASS/image``, or ``path/train/...`` with ``path/test/...``.

    Images become colour, their shorter side ``image_size`` pixels, and the centre is kept.

    Raises:
        ValueError: no such folder, no classes, an unreadable image (unless ``skip_bad``).
    """
    if not path.is_dir():
        raise ValueError(f"there is no folder {path}")
    parts = [path / "train", path / "test"]
    if not all(part.is_dir() for part in parts):
        parts = [path]
    images: list[Tensor] = []
    names: list[str] = []
    labels: list[str] = []
    skipped: list[str] = []
    train_count = 0
    for part in parts:
        files = sorted(
            file
            for file in part.rglob("*")
            if file.suffix.lower() in IMAGE_SUFFIXES and len(file.relative_to(part).parts) > 1
        )
        if not files:
            raise ValueError(f"{part} holds no images in class folders ({part}/CLASS/image.png)")
        for file in files:
            try:
                images.append(_read_image(file, image_size))
            except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
                if not skip_bad:
                    raise ValueError(
                        f"{file} is no readable image ({error}); mend or remove it, or leave out "
                        "such images with --skip-bad"
                    ) from None
                skipped.append(str(file))
                continue
            names.append(str(file.relative_to(path)))
            labels.append(file.relative_to(part).parts[0])
        train_count = train_count or len(names)
    given = np.array(labels, dtype=object)
    classes, encoded = encode(
        {f"{path} (train)": given[:train_count], f"{path} (test)": given[train_count:]}, train_count
    )
    note = f"left out {len(skipped)} unreadable images: {', '.join(skipped[:5])}"
    return Source(
        name="folder",
        x=torch.stack(images),
        labels=torch.cat(encoded),
        truth=None,
        classes=classes,
        test_ids=torch.arange(train_count, len(names)) if len(parts) == 2 else None,
        names=tuple(names),
        skipped=len(skipped),
        notes=(note + (" ..." if len(skipped) > 5 else ""),) if skipped else (),
    )


def _cell_labels(cells: list[str]) -> list[int | float | str | None]:
    """A label column: numbers if every cell reads as one, else text; None where one is missing."""
    present = [None if cell.lower() in ("", "nan") else cell for cell in cells]
    try:
        numbers = [None if cell is None else float(cell) for cell in present]
    except ValueError:
        return list(present)
    return list(numbers)


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


def _read_image(file: Path, size: int) -> Tensor:
    """``(3, size, size)`` uint8: shorter side scaled to ``size``, centre cropped."""
    with Image.open(file) as image:
        fitted = ImageOps.fit(image.convert("RGB"), (size, size), Image.Resampling.BILINEAR)
    return torch.from_numpy(np.asarray(fitted).copy()).permute(2, 0, 1).contiguous()
