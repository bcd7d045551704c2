"""Read arrays from a ``.pt`` file, such as the labels of CIFAR-N, without running code from it."""

import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch

PLAIN = re.compile(r"[biuf]\d{1,2}|[US]\d{1,6}")
"""What numpy calls the kinds of numbers and of texts."""
KNOWN = ("numpy", "pandas", "torch")
"""Libraries whose objects somebody may have saved beside the arrays without meaning harm."""


class _Kind:
    """Stands for ``numpy.dtype`` in the file; None for what is neither numbers nor text."""

    def __init__(self, code: Any, *_: Any) -> None:
        self.dtype = np.dtype(code) if PLAIN.fullmatch(str(code)) else None

    def __setstate__(self, state: tuple) -> None:
        if self.dtype is not None:
            self.dtype = self.dtype.newbyteorder(state[1])


class _Array:
    """Stands for ``numpy.ndarray`` in the file, as numpy's own could be made to read any memory."""

    values: np.ndarray | None = None

    def __setstate__(self, state: tuple) -> None:
        _, shape, kind, by_column, data = state
        if kind.dtype is not None:
            flat = np.frombuffer(data, kind.dtype)
            self.values = flat.reshape(shape, order="F" if by_column else "C")


def _new_array(*_: Any) -> _Array:
    return _Array()


def _nothing(*_: Any) -> None:
    """Stands for what makes a single number of numpy."""


STAND_INS = [
    (_Array, "numpy.ndarray"),
    (_Kind, "numpy.dtype"),
    *((_new_array, f"numpy.{core}.multiarray._reconstruct") for core in ("core", "_core")),
    *((_nothing, f"numpy.{core}.multiarray.scalar") for core in ("core", "_core")),
]
"""What an array is made of in a file of any numpy, and what is called in its place."""


def arrays_from_torch(path: str | Path) -> dict[str, np.ndarray] | np.ndarray:
    """Read the arrays, tensors and lists of a ``.pt`` file.

    Args:
        path: of a file that ``torch.save`` has written.

    Returns:
        The arrays by their keys, without what is neither numbers nor texts; an array if the file
        holds only that.

    Raises:
        ValueError: it is damaged, or reading it could run code.
    """
    try:
        with warnings.catch_warnings(), torch.serialization.safe_globals(list(STAND_INS)):
            warnings.simplefilter("ignore")  # about protocols, before the error that follows
            loaded = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds for a damaged or hostile file
        raise ValueError(_refusal(path, str(error) or type(error).__name__)) from None
    if isinstance(loaded, dict):
        arrays = {str(key): _as_array(value) for key, value in loaded.items()}
        return {key: array for key, array in arrays.items() if array is not None}
    array = _as_array(loaded)
    if array is None:
        raise ValueError(f"{path} holds no array of numbers or texts")
    return array


def _as_array(value: Any) -> np.ndarray | None:
    """The value as numbers or texts; None if it is something else."""
    if isinstance(value, _Array):
        return value.values
    if isinstance(value, torch.Tensor):
        value = value.detach()
        return (value.float() if value.dtype == torch.bfloat16 else value).numpy()
    if not isinstance(value, list):
        return None
    try:
        array = np.asarray(value)
    except ValueError:  # rows of different lengths
        return None
    return array if array.dtype.kind in "biufUS" else None


def _refusal(path: str | Path, said: str) -> str:
    """A sentence that says why a file is not read, and how to get at its arrays."""
    foreign = re.search(r"GLOBAL (\S+)", said)
    if foreign is None:
        why = said.rpartition("WeightsUnpickler error: ")[2].strip().splitlines()[0]
        return f"{path} is no readable .pt file of plain arrays ({why.split('. ')[0]})"
    refused = f"{path} holds more than plain arrays: reading {foreign[1]} from it could run code"
    if foreign[1].split(".")[0] not in KNOWN:
        return refused
    return (
        f"{refused}; if you trust whoever made it, turn it into an .npz by python -c "
        "\"import numpy, torch; numpy.savez('labels.npz', "
        f"**torch.load('{path}', weights_only=False))\""
    )
