"""Tell what lies at a path by its content, without reading it all."""

import tokenize
import zipfile
import zlib
from pathlib import Path

from mwnet.core.errors import UserError, reason

BEGINNINGS = {
    b"\x93NUMPY": "npy",
    b"PAR1": "parquet",
    b"ARROW1": "feather",
    b"FEA1": "feather",
    b"\x1f\x8b": "gzip",
    b"BZh": "bz2",
    b"\xfd7zXZ\x00": "xz",
    b"PK": "zip",
}

UNREADABLE_ARRAY = (
    OSError, ValueError, EOFError, TypeError, KeyError, AttributeError, SyntaxError,
    MemoryError, OverflowError, NotImplementedError, RuntimeError, zipfile.BadZipFile, zlib.error,
    tokenize.TokenError,
)  # fmt: skip
"""What a damaged array leads numpy and zipfile to."""


def magic(path: Path) -> str:
    """Return the format of a file: npy, npz, parquet, feather, xlsx, gzip, bz2, xz, zip or text.

    Raises:
        UserError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            begin = file.read(8)
    except OSError as error:
        raise UserError(f"{path} cannot be read ({reason(error)})") from None
    kind = next((kind for start, kind in BEGINNINGS.items() if begin.startswith(start)), "text")
    if kind != "zip":
        return kind
    if path.suffix.lower() == ".npz":  # also a damaged one
        return "npz"
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except zipfile.BadZipFile:
        return "zip"
    if names and all(name.endswith(".npy") for name in names):
        return "npz"
    return "xlsx" if "xl/workbook.xml" in names else "zip"


def dataset_of(path: Path) -> str:
    """Return which kind of data set lies at a path: folder, arrays or table.

    Raises:
        UserError: there is nothing.
    """
    if path.is_dir():
        return "folder"
    if not path.exists():
        raise UserError(f"there is no file or folder {path}")
    if path.suffix.lower() in (".npz", ".npy"):
        return "arrays"
    return "arrays" if magic(path) in ("npy", "npz") else "table"
