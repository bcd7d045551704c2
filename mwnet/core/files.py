"""Write files that are either whole or not there."""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

try:
    import fcntl
except ImportError:  # a system without such locks
    fcntl = None


@contextlib.contextmanager
def atomic(path: Path) -> Iterator[IO[bytes]]:
    """Open a file for writing that replaces ``path`` only when the block ends well.

    The bytes go to a temporary file beside it; a crash leaves the old file as it was.
    """
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


@contextlib.contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Yield an empty folder that becomes ``path`` only when the block ends well."""
    spare = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp"))
    try:
        yield spare
        spare.chmod(0o777 & ~_umask())
        spare.rename(path)
    except BaseException:
        shutil.rmtree(spare, ignore_errors=True)
        raise
    _sync_folder(path.parent)


class HeldError(Exception):
    """Another process holds a folder."""


@contextlib.contextmanager
def held(folder: Path) -> Iterator[None]:
    """Hold a folder within the block, so that no other process does; a killed one lets go.

    Where the system or the disk has no such locks, nothing is held.

    Raises:
        HeldError: another process holds it.
    """
    if fcntl is None:
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise HeldError from None
        except OSError:  # a disk without locks
            pass
        yield
    finally:
        os.close(descriptor)


def write_text(path: Path, text: str) -> None:
    """Replace a text file atomically."""
    with atomic(path) as file:
        file.write(text.encode())


def sweep(folder: Path) -> None:
    """Remove temporary files and folders that a killed process left in a folder, at any depth."""
    for path in folder.rglob(".*.tmp"):
        shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)


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


def csv_cell(value: Any) -> Any:
    """Quote a text that a spreadsheet would run as a formula with an apostrophe."""
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "@") else value
