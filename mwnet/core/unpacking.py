"""Limits for files that unpack to far more than they are."""

import io
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any

from mwnet.core.errors import UserError

LARGE, TIMES = 2**30, 250
"""Refused is what unpacks to more bytes than the first and more times its size than the second."""


def limited(file: IO[bytes], path: Path) -> IO[bytes]:
    """Give the bytes of ``file``, which end in a ``UserError`` where there are too many.

    Args:
        file: gives the unpacked bytes.
        path: of the packed file.
    """
    raw: Any = _Limited(file, path)
    return io.BufferedReader(raw)


class _Limited(io.RawIOBase):
    """See ``limited``."""

    def __init__(self, file: IO[bytes], path: Path) -> None:
        self.file, self.path, self.count = file, path, 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray) -> int:  # pyright: ignore[reportIncompatibleMethodOverride]
        found = self.file.read(len(buffer))
        buffer[: len(found)] = found
        self.count += len(found)
        check(self.path, self.count)
        return len(found)

    def close(self) -> None:
        self.file.close()
        super().close()


def check(path: Path, count: int) -> None:
    """Refuse a file that unpacks to ``count`` bytes, if that is far more than it is.

    Raises:
        UserError: it is.
    """
    if count > LARGE and count > TIMES * path.stat().st_size:
        raise UserError(
            f"{path} unpacks to more than {TIMES} times its size, as files do that are made to "
            "fill a memory: if it is right, unpack it and give what comes out"
        )


def check_parts(path: Path, parts: Iterable[zipfile.ZipInfo]) -> None:
    """Refuse a zip whose parts say that they unpack to far more than it is; see ``check``."""
    check(path, sum(part.file_size for part in parts))
