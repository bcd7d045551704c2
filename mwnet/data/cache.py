"""Keep features of files between runs, by the content of the files.

One SQLite file holds rows of key, time of last use, checksum and float32 values. A key is a digest
of a file's bytes and of what makes the features, so a file may be renamed, moved or copied. What
goes wrong with the cache is logged, once, and the run goes on without it.
"""

import hashlib
import logging
import os
import sqlite3
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import numpy as np

from mwnet.core.errors import UserError, reason

log = logging.getLogger(__name__)

T = TypeVar("T")

LIMIT = 2 * 2**30
"""Bytes that the cache may take."""
WAIT = 30.0
"""Seconds to wait for another process that writes."""
FILE = "features-1.sqlite"
"""The number changes with the table."""
CHUNK = 500
"""Keys of one question: SQLite allows 999 in older versions."""

_TABLE = """
CREATE TABLE IF NOT EXISTS features
    (key BLOB PRIMARY KEY, used REAL NOT NULL, checksum INTEGER NOT NULL, vector BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS by_use ON features (used);
"""


def place() -> Path:
    """Return the cache's folder: ``$MWNET_CACHE``, else ``mwnet`` in the user's cache folder.

    Raises:
        UserError: there is no such folder, because the user has no home.
    """
    own, common = os.environ.get("MWNET_CACHE"), os.environ.get("XDG_CACHE_HOME")
    if own:
        return Path(own).expanduser()
    if common and Path(common).is_absolute():
        return Path(common) / "mwnet"
    try:
        return Path.home() / ".cache" / "mwnet"
    except RuntimeError:
        raise UserError("there is no home folder to keep features in: set MWNET_CACHE") from None


def keys(files: Sequence[Path], maker: str) -> list[bytes | None]:
    """Return the key of each file, None for one that cannot be read.

    Args:
        files: read once each, in a few threads.
        maker: name and version of what makes the features.
    """

    def key(file: Path) -> bytes | None:
        digest = hashlib.blake2b(maker.encode() + b"\0", digest_size=20)
        try:
            with file.open("rb") as stream:
                while block := stream.read(2**20):
                    digest.update(block)
        except OSError:
            return None
        return digest.digest()

    with ThreadPoolExecutor(min(16, os.cpu_count() or 1)) as threads:
        return list(threads.map(key, files))


class FeatureCache:
    """Features by key, for one thread at a time; several processes may share the file.

    Args:
        folder: of the file, made if need be; None: ``place()``.
        limit: bytes that the file may take; what was not used for longest goes first.
    """

    def __init__(self, folder: Path | None = None, limit: int = LIMIT) -> None:
        self.limit = limit
        self.path: Path | None = None
        self.connection: sqlite3.Connection | None = None
        try:
            self.path = (folder or place()) / FILE
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.connection = sqlite3.connect(self.path, timeout=WAIT, isolation_level=None)
            self.connection.execute("PRAGMA synchronous = NORMAL")
            has_table = "SELECT 1 FROM sqlite_master WHERE name = 'by_use'"
            if not self.connection.execute(has_table).fetchone():  # else no need to write
                self.connection.executescript(f"BEGIN IMMEDIATE;{_TABLE}COMMIT;")
        except (OSError, UserError, sqlite3.Error) as error:
            self._give_up(error)

    def __enter__(self) -> "FeatureCache":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        if self.connection is not None:
            self.connection.close()
            self.connection = None

    def get(self, wanted: Iterable[bytes]) -> Iterator[tuple[bytes, np.ndarray]]:
        """Yield key and ``(d,)`` float32 features of each key that is here, in any order."""
        left = list(wanted)
        for start in range(0, len(left), CHUNK):
            chunk = left[start : start + CHUNK]
            marks = ",".join("?" * len(chunk))
            question = f"SELECT key, checksum, vector FROM features WHERE key IN ({marks})"
            rows = self._try(lambda c, q=question, v=chunk: c.execute(q, v).fetchall(), [])
            whole = [row for row in rows if _is_whole(row)]
            self._touch([key for key, _, _ in whole])
            for key, _, vector in whole:
                yield key, np.frombuffer(vector, dtype="<f4").astype(np.float32)

    def put(self, found: Iterable[tuple[bytes, np.ndarray]]) -> None:
        """Keep ``(d,)`` float32 features, and make room for them."""
        now = time.time()
        rows = []
        for key, features in found:
            vector = np.asarray(features, dtype="<f4").tobytes()
            rows.append((key, now, zlib.crc32(vector), vector))

        def write(connection: sqlite3.Connection) -> None:
            connection.execute("BEGIN IMMEDIATE")
            try:
                connection.executemany("INSERT OR REPLACE INTO features VALUES (?, ?, ?, ?)", rows)
                self._make_room(connection)
                connection.execute("COMMIT")
            except sqlite3.Error:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

        self._try(write, None)

    def entries(self) -> int:
        """Return how many files have features here."""
        return self._try(lambda c: c.execute("SELECT count(*) FROM features").fetchone()[0], 0)

    def size(self) -> int:
        """Return the bytes in use, which the file may exceed until they are needed again."""
        return self._try(_in_use, 0)

    def _make_room(self, connection: sqlite3.Connection) -> None:
        """Remove a twentieth of the entries, those not used for longest, until the rest fits."""
        while _in_use(connection) > self.limit:
            count = connection.execute("SELECT count(*) FROM features").fetchone()[0]
            if not count:
                return
            oldest = "SELECT key FROM features ORDER BY used LIMIT ?"
            connection.execute(
                f"DELETE FROM features WHERE key IN ({oldest})", (max(1, count // 20),)
            )

    def _touch(self, used: list[bytes]) -> None:
        """Note the use. A cache that cannot be written now can still be read."""
        if self.connection is None or not used:
            return
        marks = ",".join("?" * len(used))
        update = f"UPDATE features SET used = ? WHERE key IN ({marks})"
        try:
            self.connection.execute(update, [time.time(), *used])
        except sqlite3.OperationalError as error:
            log.debug("the use of cached features was not noted: %s", error)

    def _try(self, action: Callable[[sqlite3.Connection], T], otherwise: T) -> T:
        if self.connection is None:
            return otherwise
        try:
            return action(self.connection)
        except sqlite3.Error as error:
            self._give_up(error)
            return otherwise

    def _give_up(self, error: Exception) -> None:
        where = f" in {self.path}" if self.path else ""
        hint = ", remove that file" if type(error) is sqlite3.DatabaseError else ""
        log.warning(
            "features are not kept%s (%s): the run goes on without them%s",
            where,
            reason(error),
            hint,
        )
        self.close()


def clear(folder: Path | None = None) -> None:
    """Remove all features, also a damaged file. Runs that use it at the time go on without it.

    Raises:
        UserError: the file cannot be removed.
    """
    path = (folder or place()) / FILE
    try:
        for suffix in ("", "-journal"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
    except OSError as error:
        raise UserError(f"cannot remove {path}: {reason(error)}") from None


def size(folder: Path | None = None) -> tuple[int, int]:
    """Return the number of entries and the bytes of the file, both 0 where there is none."""
    path = (folder or place()) / FILE
    if not path.is_file():
        return 0, 0
    with FeatureCache(path.parent) as cache:
        return cache.entries(), path.stat().st_size


def _in_use(connection: sqlite3.Connection) -> int:
    pages, free, page = (
        connection.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("page_count", "freelist_count", "page_size")
    )
    return (pages - free) * page


def _is_whole(row: tuple[bytes, int, bytes]) -> bool:
    _, checksum, vector = row
    return isinstance(vector, bytes) and len(vector) % 4 == 0 and zlib.crc32(vector) == checksum
