"""Change the labels of a CSV file, and leave every other byte as it is."""

import re
from pathlib import Path

import numpy as np

from mwnet.core.errors import UserError
from mwnet.core.formats import magic
from mwnet.data.tables.dialect import SEPARATORS, dialect, encoding, told_separator
from mwnet.data.tables.reading import SAMPLE, opener


def relabelled(
    path: Path, column: int, cells: list[str], source: np.ndarray, keep: np.ndarray
) -> bytes:
    """Return the text of a table with other labels.

    Args:
        path: of the table, which may be compressed.
        column: position of the label column.
        cells: ``(n,)`` labels as they were read, to compare with.
        source: ``(n,)`` row whose label cell each row gets.
        keep: ``(n,)`` whether a row stays.

    Raises:
        UserError: rows that are not where they should be.
    """
    opened = opener(path, magic(path))
    codec = encoding(opened)
    with opened() as file:
        raw = file.read()
    if codec == "utf-16":  # whose mark stays in the text
        codec = "utf-16-le" if raw[:2] == b"\xff\xfe" else "utf-16-be"
    codec = codec.removesuffix("-sig")
    text = raw.decode(codec)
    sample, told = text[:SAMPLE], told_separator(text[:SAMPLE])
    if told is not None:  # a first line as sep=; which spreadsheets understand
        sample = sample.split("\n", 1)[1]
    separator = dialect(sample, path, told or SEPARATORS)[0]
    begin = 0 if told is None else text.index("\n") + 1
    records = _records(text, separator, column, begin)
    if len(records) < len(cells):
        raise _unlike(path, len(records))
    for row, (record, cell) in enumerate(zip(records, cells, strict=False)):
        if _unquoted(record["cell"]) != cell.strip():
            raise _unlike(path, row)
    parts, at = [], 0
    for row, record in enumerate(records[: len(cells)]):
        if not keep[row]:
            parts.append(text[at : record.start()])
            at = record.end()
        elif source[row] != row:
            parts += [text[at : record.start("cell")], records[source[row]]["cell"]]
            at = record.end("cell")
    return "".join([*parts, text[at:]]).encode(codec)


def _records(text: str, separator: str, column: int, begin: int) -> list[re.Match[str]]:
    """The records below the header, with the cell of a column; empty lines are none."""
    s = re.escape(separator)
    cell = rf'(?:"[^"]*(?:""[^"]*)*"[^{s}\r\n]*|(?!")[^{s}\r\n]*)'
    record = re.compile(
        rf"(?:{cell}{s}){{{column}}}(?P<cell>{cell})(?:{s}{cell})*(?:\r\n|\n|\r|\Z)"
    )
    empty = re.compile(r"[\r\n]*")
    found, at = [], max(begin, int(text.startswith("\ufeff")))
    while at < len(text):
        blank = empty.match(text, at)
        assert blank is not None
        match = record.match(text, blank.end())
        if match is None or match.end() == match.start():
            break
        found.append(match)
        at = match.end()
    return found[1:]


def _unquoted(cell: str) -> str:
    if cell[:1] == '"' and cell[-1:] == '"':
        cell = cell[1:-1].replace('""', '"')
    return cell.strip()


def _unlike(path: Path, row: int) -> UserError:
    return UserError(
        f"{path} cannot be copied cell by cell (row {row + 1} is not where it was read): export it "
        "to a .parquet file"
    )
