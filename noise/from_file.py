"""Read given labels that already exist, such as the human labels of CIFAR-10N."""

import re
import tokenize
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from .torch_file import arrays_from_torch

KEYED = re.compile(r"(.+\.(?:npz|npy|pt|pth)):(.*)", re.IGNORECASE | re.DOTALL)
"""``PATH:KEY``"""
SHOWN = 10
"""Class names, at most, that a message lists."""


def labels_from_file(spec: str, count: int, classes: Sequence[str], *, test: int = 0) -> Tensor:
    """Read given labels from a file of arrays.

    Args:
        spec: see ``array_from_file``, for instance ``labels.npz:KEY`` or ``labels.npy``.
        count: how many labels are needed, in the order of the training samples.
        classes: class names; the file holds class ids 0..K-1 or these names.
        test: samples of the data's own test part, which need no label; for the message.

    Returns:
        ``(count,)`` int64 class ids.

    Raises:
        ValueError: no such file or key, another length, a label that is no class.

    Examples:
        >>> import tempfile
        >>> import numpy as np
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     np.save(f"{folder}/labels.npy", ["cat", "dog", "cat"])
        ...     labels_from_file(f"{folder}/labels.npy", 3, ["cat", "dog"])
        tensor([0, 1, 0])
    """
    values = array_from_file(spec)
    if values.shape != (count,):
        found = f"{len(values)} labels" if values.ndim == 1 else f"an array of shape {values.shape}"
        each = f"training sample, and none for the {test} samples of the test part"
        if not test:
            each = "sample, also for those that the test part is drawn from"
        raise ValueError(f"{spec} holds {found}, but {count} are needed: one for each {each}")
    if values.dtype.kind in "US":
        position = {name: label for label, name in enumerate(classes)}
        names = np.char.decode(values, "utf-8", "replace") if values.dtype.kind == "S" else values
        ids = np.array([position.get(name, -1) for name in names.tolist()], dtype=np.int64)
        wrong = np.flatnonzero(ids < 0)
    else:
        ids = np.full(count, -1)
        if values.dtype.kind in "iuf":
            ids = np.where(np.isfinite(values), values, -1).astype(np.int64)
        wrong = np.flatnonzero((ids != values) | (ids < 0) | (ids >= len(classes)))
    if len(wrong):
        more = f" (and {len(wrong) - 1} more are no class)" if len(wrong) > 1 else ""
        names = ", ".join(classes[:SHOWN]) + ", ..." * (len(classes) > SHOWN)
        raise ValueError(
            f"{spec}: the label of sample {wrong[0]} is {values[wrong[0]].item()!r}{more}; labels "
            f"are class ids 0 to {len(classes) - 1} or, as text, class names ({names})"
        )
    return torch.from_numpy(ids)


def array_from_file(spec: str) -> np.ndarray:
    """Read the array that a path and a key name; no code from the file is run.

    Args:
        spec: ``arrays.npz:KEY``, ``arrays.pt:KEY`` (a dictionary of arrays, tensors or lists, as
            CIFAR-N's authors have saved it), ``array.npy``, or ``array.pt``.

    Raises:
        ValueError: no such file or key, or something else than plain arrays.
    """
    named = None if Path(spec).is_file() else KEYED.fullmatch(spec)
    path, key = named.groups() if named else (spec, "")
    if not Path(path).is_file():
        raise ValueError(f"there is no file {path}")
    if Path(path).suffix.lower() in (".pt", ".pth"):
        loaded = arrays_from_torch(Path(path))
    else:
        loaded = _from_numpy(Path(path))
    if not isinstance(loaded, dict):
        if key:
            raise ValueError(f"{path} holds one array without a key: leave ':{key}' out")
        return loaded
    known = ", ".join(loaded) or "none"
    if not key:
        raise ValueError(f"{path}: name one of its arrays after a colon: {known}")
    if key not in loaded:
        raise ValueError(f"{path} has no array of numbers or texts '{key}'; it has {known}")
    return loaded[key]


UNREADABLE = (
    OSError, ValueError, EOFError, TypeError, KeyError, SyntaxError, MemoryError, OverflowError,
    NotImplementedError, RuntimeError, zipfile.BadZipFile, zlib.error, tokenize.TokenError,
)  # fmt: skip
"""What a damaged array leads numpy and zipfile to."""


def _from_numpy(path: Path) -> dict[str, np.ndarray] | np.ndarray:
    """Read an ``.npy``, or every array of an ``.npz`` by its name."""
    try:
        loaded = np.load(path, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return loaded
        with loaded:
            return {name: loaded[name] for name in loaded.files}
    except UNREADABLE as error:
        raise ValueError(f"{path} is no .npz or .npy file of plain arrays ({error})") from None
