"""Files that are either whole or not there, and checkpoints that run no code when opened."""

import contextlib
import io
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import torch

from mwnet.errors import UserError

LAST, BEST = "last.pt", "best.pt"
FORMAT = 1


@contextlib.contextmanager
def atomic(path: Path) -> Iterator[IO[bytes]]:
    """Write a file through a temporary one beside it; a crash leaves the old file as it was."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    spare = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        spare.chmod(0o666 & ~_umask())  # mkstemp makes files that only their owner may read
        spare.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            spare.unlink()
        raise
    _sync_folder(path.parent)


def write_text(path: Path, text: str) -> None:
    """Replace a text file atomically."""
    with atomic(path) as file:
        file.write(text.encode())


def save(folder: Path, state: dict[str, Any], *, best: bool) -> None:
    """Write the last checkpoint, and keep it as the best one too if it is that."""
    buffer = io.BytesIO()  # torch.save reports a full disk as an internal error of its own
    torch.save({"format": FORMAT, **state}, buffer)
    # The best one first: a crash in between is mended when the resumed run gets here again.
    for name in [BEST, LAST] if best else [LAST]:
        with atomic(folder / name) as file:
            file.write(buffer.getbuffer())


def load(path: Path, device: torch.device) -> dict[str, Any]:
    """Read a checkpoint; only tensors and plain values are accepted.

    Raises:
        UserError: the file is damaged, of another format, or holds anything else.
    """
    try:
        state = torch.load(path, map_location=device, weights_only=True)
    except Exception as error:  # torch raises many kinds for a damaged or hostile file
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise UserError(f"{path} is no readable checkpoint ({first})") from None
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        raise UserError(f"{path} is no checkpoint of this version (format {FORMAT})")
    return state


def sweep(folder: Path) -> None:
    """Remove temporary files that a killed process left behind."""
    for path in folder.glob(".*.tmp"):
        path.unlink()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _sync_folder(folder: Path) -> None:
    """Make the rename itself durable, where the system lets a folder be flushed."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
