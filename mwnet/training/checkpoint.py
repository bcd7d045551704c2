"""Save and load checkpoints. Loading one runs no code from it."""

import io
import zipfile
from pathlib import Path
from typing import Any

import torch

from mwnet.core import files
from mwnet.core.errors import UserError

LAST, BEST = "last.pt", "best.pt"
FORMAT = 2
PARTS = ("identity", "method", "progress", "trajectory", "generators")
"""What a trainer saves."""


def save(folder: Path, state: dict[str, Any], *, best: bool) -> None:
    """Write the last checkpoint, and write it as the best one too if ``best``.

    Args:
        folder: of the run.
        state: tensors and plain values.
        best: whether it is the best one so far.
    """
    buffer = io.BytesIO()  # torch.save reports a full disk as an internal error of its own
    torch.save({"format": FORMAT, **state}, buffer)
    # The best one first: a crash in between is mended when the resumed run gets here again.
    for name in [BEST, LAST] if best else [LAST]:
        with files.atomic(folder / name) as file:
            file.write(buffer.getbuffer())


def load(path: Path, device: torch.device) -> dict[str, Any]:
    """Read a checkpoint; only tensors and plain values are accepted.

    Args:
        path: of the file.
        device: where its tensors go.

    Raises:
        UserError: (a ValueError) the file is damaged, of another format, or holds anything else.
    """
    try:
        check_sums(path)
        state = torch.load(path, map_location=device, weights_only=True)
    except Exception as error:  # torch raises many kinds for a damaged or hostile file
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise UserError(f"{path} is no readable checkpoint ({first}){_instead(path)}") from None
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        raise UserError(f"{path} is no checkpoint of this version (format {FORMAT})")
    return state


def check_sums(path: Path) -> None:
    """Compare every part of a checkpoint with its checksum, which torch does not look at.

    Args:
        path: of the file, a zip.

    Raises:
        ValueError: a part differs.
        zipfile.BadZipFile: it is cut off, or no zip.
    """
    with zipfile.ZipFile(path) as parts:
        if parts.testzip() is not None:
            raise ValueError("a checksum differs: the file has changed since it was written")


def _instead(path: Path) -> str:
    """A clause on the best checkpoint, if the last one is damaged and that one is whole."""
    best = path.with_name(BEST)
    if path.name != LAST or not best.is_file():
        return ""
    try:
        load(best, torch.device("cpu"))
    except UserError:
        return ""
    return f"; {best} is whole: copy it to {path} to go on from there"
