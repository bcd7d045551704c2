"""Read given labels that already exist, such as the human labels of CIFAR-10N."""

import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor


def labels_from_file(spec: str, count: int, classes: Sequence[str]) -> Tensor:
    """Read given labels from a NumPy file.

    Args:
        spec: ``labels.npz:key`` or ``labels.npy``.
        count: how many labels are needed, in the order of the training samples.
        classes: class names; the file holds class ids 0..K-1 or these names.

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
        raise ValueError(
            f"{spec} holds labels of shape {values.shape}, but there are {count} training samples"
        )
    if values.dtype.kind in "US":
        position = {name: label for label, name in enumerate(classes)}
        strange = sorted(set(values.astype(str).tolist()) - position.keys())
        if strange:
            raise ValueError(f"{spec} has the label '{strange[0]}', which is no class of the data")
        return torch.tensor([position[name] for name in values.astype(str).tolist()])
    ids = np.full(count, -1)
    if values.dtype.kind in "iuf":
        ids = np.where(np.isfinite(values), values, -1).astype(np.int64)
    wrong = np.flatnonzero((ids != values) | (ids < 0) | (ids >= len(classes)))
    if len(wrong):
        raise ValueError(
            f"{spec}: label of sample {wrong[0]} is {values[wrong[0]]}; labels are class ids 0 to "
            f"{len(classes) - 1} or class names"
        )
    return torch.from_numpy(ids)


def array_from_file(spec: str) -> np.ndarray:
    """Read the array that ``arrays.npz:key`` or ``array.npy`` names; no code from the file is run.

    Raises:
        ValueError: no such file or key, or something else than plain arrays.
    """
    path, _, key = spec.partition(":") if ".npz:" in spec else (spec, "", "")
    if not Path(path).is_file():
        raise ValueError(f"there is no file {path}")
    try:
        loaded = np.load(path, allow_pickle=False)
        arrays = {name: loaded[name] for name in loaded.files} if hasattr(loaded, "files") else None
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(f"{path} is no .npz or .npy file of plain arrays ({error})") from None
    if arrays is None:
        return loaded
    if key not in arrays:
        wanted = f"'{key}'" if key else "named after a colon"
        raise ValueError(f"{path} has no array {wanted}; it has {', '.join(arrays)}")
    return arrays[key]
