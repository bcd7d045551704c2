"""Read arrays: an .npz of samples and labels, or an .npy of samples with its labels beside it."""

import re
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mwnet import noise
from mwnet.core.errors import UserError, first_line
from mwnet.core.formats import UNREADABLE_ARRAY, magic
from mwnet.core.unpacking import check_parts
from mwnet.data.finite import finite
from mwnet.data.labels import MISSING, class_counts, read_labels
from mwnet.data.source import Source, channels_first
from mwnet.data.tables.columns import Table, of_numbers

SAMPLES = ("x", "X", "x_train", "X_train", "data", "features", "images", "embeddings")
LABELS = ("y", "Y", "labels", "label", "y_train", "Y_train", "target", "targets")
TEST_SAMPLES, TEST_LABELS = ("x_test", "X_test"), ("y_test", "Y_test", "labels_test")
TRUTH = ("y_true", "true_labels")
NAMES = ("names", "ids", "files", "sample_id")
ARRAY_FILE = re.compile(r"\.(npz|npy|pt|pth)(:|$)", re.IGNORECASE)


def arrays(path: Path, labels: Path | None = None) -> Source:
    """Read samples and labels.

    Args:
        path: an ``.npz`` with samples (x, X, x_train, data, features, images) and labels (y,
            labels, y_train, target), and optionally x_test with y_test, and y_true (true labels
            of x); or an ``.npy`` of samples alone.
        labels: the labels of an ``.npy``: an ``.npy``, a text file with one label a line, or
            ``labels.npz:KEY`` or ``labels.pt:KEY``.

    Samples are ``(n, features)``, ``(n, h, w)`` or images with channels first or last. Labels are
    numbers or words, ``(n,)``, ``(n, 1)`` or one-hot ``(n, K)``.

    Raises:
        UserError: missing arrays, lengths that differ, bad labels, NaN in the samples.
    """
    if magic(path) == "npy":
        if labels is None:
            raise UserError(f"{path} holds samples alone: give their labels as `labels=PATH`")
        found, notes = {"x": read_array(path), "y": _label_file(labels)}, []
    elif labels is not None:
        raise UserError(f"`labels` is for samples in an .npy file, and {path} is none")
    else:
        found, notes = _named(path, read_npz(path))
    for name in ("y", "y_test", "y_true"):
        if name in found:
            found[name], more = _column(f"{path}: {name}", found[name])
            notes += more
    for left, right in (("x", "y"), ("x", "y_true"), ("x_test", "y_test")):
        if right in found and found[left].shape[:1] != found[right].shape:
            raise UserError(
                f"{path}: {left} has {found[left].shape[:1]} samples and {right} has "
                f"{found[right].shape}; they must be equally long"
            )
    x = found["x"]
    if "x_test" in found:
        if found["x_test"].shape[1:] != x.shape[1:] or not len(found["x_test"]):
            raise UserError(
                f"{path}: x has shape {x.shape} and x_test {found['x_test'].shape}; samples must "
                "be alike, and there must be some"
            )
        if (x.dtype == np.uint8) != (found["x_test"].dtype == np.uint8):
            raise UserError(
                f"{path}: x holds {x.dtype} and x_test {found['x_test'].dtype}, which are not on "
                "one scale: give both as bytes or both as numbers"
            )
        x = np.concatenate([x, found["x_test"]])
    labelled = [name for name in ("y", "y_true", "y_test") if name in found]
    read = read_labels({f"{path}: {name}": found[name] for name in labelled})
    ids = dict(zip(labelled, read.ids, strict=True))
    test = [ids["y_test"]] if "y_test" in ids else []
    samples, table = _features(x, str(path))
    if table is not None:
        notes += table.notes
    return Source(
        name="arrays",
        x=samples,
        table=table,
        fingerprint=None if table is None else table.fingerprint(),
        labels=torch.cat([ids["y"], *test]),
        truth=torch.cat([ids["y_true"], *test]) if "y_true" in ids else None,
        classes=read.classes,
        test_ids=torch.arange(len(found["y"]), len(x)) if test else None,
        notes=(
            f"{path}: {len(x)} samples of shape {x.shape[1:]}, "
            f"{class_counts(read.classes, ids['y'])}",
            *notes,
            *read.notes,
        ),
    )


def _features(x: np.ndarray, where: str) -> tuple[Tensor, Table | None]:
    """Samples of ``(n, d)`` numbers as a table, others as they are.

    What is mapped stays mapped, and is no table.
    """
    if x.ndim != 2 or x.dtype.kind not in "iufb" or isinstance(x, np.memmap):
        return channels_first(finite(x, where), mapped=isinstance(x, np.memmap)), None
    try:
        return torch.empty(len(x), 0, 1, 1), of_numbers(x)
    except UserError as error:
        raise UserError(f"{where}: {error}") from None


def embeddings(path: Path, names: Sequence[str]) -> tuple[Tensor, str]:
    """Read features that somebody has computed.

    Args:
        path: an ``.npy`` of ``(n, d)`` numbers, rows in the order of the data, which is mapped and
            not read into memory; or an ``.npz`` with ``x``, rows in any order, and ``names``.
        names: of the n samples: file names, or row numbers.

    Returns:
        ``(n, d, 1, 1)`` features in the order of the data, and words about the order of the file.

    Raises:
        UserError: another number of rows, a sample without a row, NaN.
    """
    count = len(names)
    if magic(path) == "npy" or path.suffix == ".npy":
        x = read_array(path)
        if x.ndim != 2 or len(x) != count:
            raise UserError(
                f"{path} has shape {x.shape}: `features` needs one row for each of the {count} "
                "samples"
            )
        order = f"the first row is taken for {names[0]}, the last for {names[-1]}"
        return channels_first(finite(x, str(path))), f"{order}, in the order of the data"
    data = read_npz(path)
    keys = [[key for key in wanted if key in data] for wanted in (SAMPLES, NAMES)]
    if any(len(found) != 1 for found in keys):
        raise UserError(
            f"{path} needs an array x of features and an array names that tells whose each row is; "
            f"it has {', '.join(data) or 'none'}"
        )
    x, own = (data[found[0]] for found in keys)
    if x.ndim != 2 or own.shape != x.shape[:1]:
        raise UserError(f"{path}: x has shape {x.shape} and names {own.shape}; n rows have n names")
    rows = {str(name): row for row, name in enumerate(own.tolist())}
    if len(rows) < len(own):
        raise UserError(f"{path}: {len(own) - len(rows)} of its names are there twice")
    absent = [name for name in names if name not in rows]
    if absent:
        raise UserError(f"{path} has no row for {len(absent)} samples, such as {absent[0]!r}")
    left = f"; {len(own) - count} of its rows are not used" if len(own) > count else ""
    chosen = x[[rows[name] for name in names]]
    return channels_first(finite(chosen, str(path))), f"its rows are found by their names{left}"


def read_array(path: Path) -> np.ndarray:
    """Map an ``.npy`` for reading.

    Raises:
        UserError: it is none, or holds objects.
    """
    if not path.is_file():
        raise UserError(f"there is no file {path}")
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except UNREADABLE_ARRAY as error:
        raise UserError(f"{path} is no readable .npy file ({first_line(error)})") from None


def read_npz(path: Path) -> dict[str, np.ndarray]:
    """Read every array of an ``.npz``; objects are refused, as reading them could run code.

    Raises:
        UserError: it is none, or damaged.
    """
    if not path.is_file():
        raise UserError(f"there is no file {path}")
    try:
        with zipfile.ZipFile(path) as parts:
            check_parts(path, parts.infolist())
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except UserError:
        raise
    except UNREADABLE_ARRAY as error:
        raise UserError(
            f"{path} is no readable .npz file of plain arrays ({first_line(error)})"
        ) from None


def _named(path: Path, data: dict[str, np.ndarray]) -> tuple[dict[str, np.ndarray], list[str]]:
    """The arrays under one name each, and a sentence about names that were taken for others."""
    wanted = {"x": SAMPLES, "y": LABELS, "x_test": TEST_SAMPLES, "y_test": TEST_LABELS}
    found, taken, called = {}, set(), []
    for role, names in {**wanted, "y_true": TRUTH}.items():
        present = [name for name in names if name in data]
        if len(present) > 1:
            raise UserError(
                f"{path} holds {' and '.join(present)}, and each may be {role}: keep one of them"
            )
        if present:
            found[role] = data[present[0]]
            taken.add(present[0])
            if present[0] != role:
                called.append(f"{present[0]} as {role}")
    if not {"x", "y"} <= found.keys() or ("x_test" in found) != ("y_test" in found):
        raise UserError(
            f"{path} holds {', '.join(sorted(data)) or 'nothing'}; it needs x and y, and may have "
            "y_true, and x_test with y_test"
        )
    notes = [f"{path}: read {', '.join(called)}"] if called else []
    others = sorted(data.keys() - taken)
    if others:
        notes.append(f"{path}: not used: {', '.join(others)}")
    return found, notes


def _column(name: str, labels: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """Labels as ``(n,)``, and a sentence about a matrix that was understood.

    Raises:
        UserError: a matrix that gives a sample several classes, or none.
    """
    if labels.ndim == 2 and labels.shape[1] == 1:
        return labels[:, 0], [f"{name}: a column of shape {labels.shape}, read as one label a row"]
    if labels.ndim == 1:
        return labels, []
    if labels.ndim != 2 or labels.dtype.kind not in "iufb" or not labels.size:
        raise UserError(f"{name} must be one label per sample, got shape {labels.shape}")
    if np.isin(labels, (0, 1)).all():
        if (labels.sum(1) == 1).all():
            return labels.argmax(1), [f"{name}: one-hot, read as the column that holds the 1"]
        raise UserError(
            f"{name} of shape {labels.shape} is multi-label (row "
            f"{int(np.flatnonzero(labels.sum(1) != 1)[0])} has not exactly one 1); mwnet needs one "
            "class per sample"
        )
    raise UserError(
        f"{name} of shape {labels.shape} is neither one label per sample nor one-hot; of "
        "probabilities take the largest (argmax)"
    )


def _label_file(path: Path) -> np.ndarray:
    """Labels from an ``.npy``, one a line from a text file, or those that a key names."""
    if path.is_file() and magic(path) == "npy":
        return np.array(read_array(path))
    if ARRAY_FILE.search(path.name):
        try:
            return noise.array_from_file(str(path))
        except ValueError as error:
            raise UserError(str(error)) from None
    if not path.is_file():
        raise UserError(f"there is no file {path}")
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is no readable list of labels ({first_line(error)})") from None
    while lines and not lines[-1].strip():
        lines.pop()
    if lines and any(line.strip() in MISSING for line in lines):
        row = next(row for row, line in enumerate(lines) if line.strip() in MISSING)
        raise UserError(f"{path}: the label in line {row + 1} is missing")
    return np.array(lines, dtype=object)
