"""Guess how the text of a table is written: encoding, separator, decimal mark, header."""

import codecs
import csv
import io
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import IO

from mwnet.core.errors import UserError

TAB = "\t"
SEPARATORS = f",;{TAB}|"
COMMA_CELL = re.compile(r"^(?:.*;)?[+-]?\d+,\d+(?:;|$)", re.MULTILINE)
POINT_CELL = re.compile(r"^(?:.*;)?[+-]?\d+\.(\d{1,2}|\d{4,})(?:;|$)", re.MULTILINE)


def decimal_commas(sample: str, separator: str) -> bool:
    """Whether numbers have decimal commas, for whose sake there are semicolons between cells."""
    return separator == ";" and bool(COMMA_CELL.search(sample)) and not POINT_CELL.search(sample)


def encoding(opened: Callable[[], IO[bytes]]) -> str:
    """UTF-8 where the whole file is that, UTF-16 by its mark, else Windows-1252 or Latin-1."""
    with opened() as file:
        begin = file.read(4)
        if begin[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
            return "utf-16"
        decoder = codecs.getincrementaldecoder("utf-8")()
        undefined = False
        try:
            decoder.decode(begin)
            for chunk in iter(lambda: file.read(2**20), b""):
                decoder.decode(chunk)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            undefined = True
    if not undefined:
        return "utf-8-sig" if begin.startswith(codecs.BOM_UTF8) else "utf-8"
    with opened() as file:
        holes = re.compile(rb"[\x81\x8d\x8f\x90\x9d]")  # what Windows-1252 leaves undefined
        found = any(holes.search(chunk) for chunk in iter(lambda: file.read(2**20), b""))
    return "latin-1" if found else "cp1252"


def told_separator(sample: str) -> str | None:
    """Return the separator that a first line such as ``sep=;``, which Excel reads, tells."""
    match = re.match(r'\ufeff?"?sep=(.)"?\r?\n', sample, re.IGNORECASE)
    return None if match is None else match[1]


def dialect(
    sample: str, path: Path, separators: str = SEPARATORS
) -> tuple[str, list[str], list[str]]:
    """Guess the separator, and return it with the cells of the header and of the first row.

    It is the one that divides the first lines into the same number of cells, the most of them.
    """
    lines = [line for line in sample.lstrip("\ufeff").splitlines() if line.strip()]
    whole = "\n".join(lines)
    best: tuple[float, int, str] = (0.0, 1, ",")
    rows: dict[str, list[list[str]]] = {}
    for separator in separators:
        try:
            parsed = [row for row in csv.reader(io.StringIO(whole), delimiter=separator) if row]
        except csv.Error:
            continue
        # The sample may end within a row.
        rows[separator] = parsed[:-1][:200] if len(parsed) > 2 else parsed
        width = len(rows[separator][0]) if rows[separator] else 1
        if width > 1:
            alike = Counter(map(len, rows[separator]))[width] / len(rows[separator])
            best = max(best, (round(alike, 1), width, separator))
    found = rows.get(best[2], [])
    if len(found) < 2:
        raise UserError(f"{path} needs a header line and at least one row")
    return best[2], found[0], found[1]


def check_header(header: list[str], first: list[str], path: Path) -> None:
    """Refuse a first line that looks like a sample: numbers where names should be."""

    def number(cell: str) -> float | None:
        try:
            return float(cell.replace(",", "."))
        except ValueError:
            return None

    values = [
        value
        for cell, below in zip(header, first, strict=False)
        if number(below) is not None and (value := number(cell)) is not None
    ]
    numeric = sum(number(cell) is not None for cell in first)
    # Columns may be called 0, 1, 2 or 2019, 2020.
    names = values == sorted(set(values)) and all(value.is_integer() for value in values)
    if values and len(values) == numeric and not names:
        raise UserError(
            f"{path} has no header: its first line is {', '.join(header)[:80]!r}; put the names of "
            "the columns there, and the label column's name"
        )
