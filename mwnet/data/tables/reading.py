"""Read a table from a file: CSV in any dialect, parquet, feather, xlsx."""

import bz2
import codecs
import csv
import gzip
import io
import lzma
import re
import zipfile
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from mwnet.core.errors import UserError, first_line, reason
from mwnet.core.formats import magic

if TYPE_CHECKING:
    import pandas as pd

MISSING = ("", "NA", "N/A", "n/a", "#N/A", "<NA>", "NaN", "nan", "null", "NULL", "None", "?")
"""Cells that stand for a missing value."""
TAB = "\t"
SEPARATORS = f",;{TAB}|"
COMMA_CELL = re.compile(r"^(?:.*;)?[+-]?\d+,\d+(?:;|$)", re.MULTILINE)
POINT_CELL = re.compile(r"^(?:.*;)?[+-]?\d+\.(\d{1,2}|\d{4,})(?:;|$)", re.MULTILINE)
SAMPLE = 2**16
"""Bytes from the beginning of a file that its dialect is guessed from."""


def read_frame(path: Path, text_columns: Sequence[str] = ()) -> "tuple[pd.DataFrame, list[str]]":
    """Read a table.

    Args:
        path: of the file. What it is shows in its content: parquet, feather, xlsx, else text with
            separators, which may be compressed (gzip, bz2, xz, zip).
        text_columns: names of columns whose cells are kept as they are written, such as labels;
            upper and lower case do not matter.

    Returns:
        The table, with text as ``str``, missing cells as NaN and every column name once; and
        sentences about what was noticed.

    Raises:
        UserError: no such file, no table, rows of different length, no header.
    """
    if not path.is_file():
        raise UserError(f"there is no file {path}")
    kind = magic(path)
    try:
        if kind == "parquet":
            from pyarrow import parquet

            return _framed(parquet.ParquetFile(path).read(), [])
        if kind == "feather":
            from pyarrow import feather

            return _framed(feather.read_table(path), [])
        if kind == "xlsx":
            sheet, notes = _workbook(path)
            frame, more = _delimited(sheet, path, text_columns)
            return frame, notes + more
        return _delimited(opener(path, kind), path, text_columns)
    except UserError:
        raise
    except (OSError, EOFError, ValueError, lzma.LZMAError, zipfile.BadZipFile) as error:
        why = first_line(error) if not isinstance(error, OSError) else reason(error)
        raise UserError(f"{path} is no readable table ({why})") from None


def opener(path: Path, kind: str) -> Callable[[], IO[bytes]]:
    """Return how to open a file so that its text comes out.

    Args:
        path: of the file.
        kind: its format, see ``magic``.
    """
    compressed: dict[str, Any] = {"gzip": gzip.open, "bz2": bz2.open, "xz": lzma.open}
    if kind in compressed:
        return lambda: compressed[kind](path, "rb")
    if kind == "zip":
        with zipfile.ZipFile(path) as archive:
            names = [name for name in archive.namelist() if not name.startswith("__MACOSX")]
        if len(names) != 1:
            raise UserError(
                f"{path} holds {len(names)} files; a zipped table holds one (photos: unpack them)"
            )
        return lambda: zipfile.ZipFile(path).open(names[0])
    return lambda: path.open("rb")


def _workbook(path: Path) -> tuple[Callable[[], IO[bytes]], list[str]]:
    """The first sheet of an xlsx file as comma-separated text, and a sentence about the others."""
    import pandas as pd

    try:
        with pd.ExcelFile(path) as book:
            first, *others = book.sheet_names
            sheet = pd.read_excel(book, sheet_name=first, dtype=str, keep_default_na=False)
    except ImportError:
        raise UserError(f"{path} is an Excel file: pip install 'mwnet[excel]' reads it") from None
    text = sheet.to_csv(index=False).encode()
    named = ", ".join(map(repr, others))
    notes = [f"read the first sheet, {first!r}, and not {named}"] if others else []
    return lambda: io.BytesIO(text), notes


def _delimited(
    opened: Callable[[], IO[bytes]], path: Path, text_columns: Sequence[str]
) -> "tuple[pd.DataFrame, list[str]]":
    """Read text with separators by pyarrow, after guessing encoding and separator."""
    import pyarrow as pa
    from pyarrow import csv as arrow_csv

    notes: list[str] = []
    encoding = encoding_of(opened)
    if encoding not in ("utf-8", "utf-8-sig"):
        notes.append(f"read as {encoding}, as the text is no UTF-8")
    with opened() as file:
        sample = file.read(SAMPLE).decode(encoding, errors="ignore")
    if "\0" in sample:
        raise UserError(f"{path} is no table: it holds binary data")
    if sample.lstrip("\ufeff \r\n").startswith(("{", "[{", "[\n")):
        raise UserError(f"{path} is JSON: write it as a CSV file with a header, or as parquet")
    separator, header, first = dialect_of(sample, path)
    _check_header(header, first, path)
    as_text = {name.lower() for name in text_columns}
    with opened() as file:
        try:
            table = arrow_csv.read_csv(
                file,
                read_options=arrow_csv.ReadOptions(encoding=encoding.removesuffix("-sig")),
                parse_options=arrow_csv.ParseOptions(delimiter=separator, newlines_in_values=True),
                convert_options=arrow_csv.ConvertOptions(
                    null_values=list(MISSING),
                    strings_can_be_null=True,
                    decimal_point="," if _decimal_commas(sample, separator) else ".",
                    column_types={
                        name: pa.string() for name in header if name.strip().lower() in as_text
                    },
                ),
            )
        except pa.ArrowInvalid as error:
            why = _ragged(error)
            if len(header) == 1:
                why = f"its first line, {header[0]!r}, does not name the columns of the others"
            raise UserError(f"{path} is no readable table ({why})") from None
    if separator != ",":
        notes.append(f"read with {'tabs' if separator == TAB else separator} between the cells")
    rows = _without_empty_end(table)
    if rows < table.num_rows:
        left = table.num_rows - rows
        notes.append(f"left out {left} empty row{'s' * (left > 1)} at the end")
    return _framed(table.slice(0, rows), notes)


def _decimal_commas(sample: str, separator: str) -> bool:
    """Whether numbers have decimal commas, for whose sake there are semicolons between cells."""
    return separator == ";" and bool(COMMA_CELL.search(sample)) and not POINT_CELL.search(sample)


def _without_empty_end(table: Any) -> int:
    """How many rows there are before the empty ones at the end, which spreadsheets leave."""
    rows = table.num_rows
    while rows and not any(column[rows - 1].is_valid for column in table.columns):
        rows -= 1
    return rows


def encoding_of(opened: Callable[[], IO[bytes]]) -> str:
    """Return UTF-8 where all of it is that, UTF-16 by its mark, else Windows-1252 or Latin-1."""
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


def dialect_of(sample: str, path: Path) -> tuple[str, list[str], list[str]]:
    """Guess the separator, and return it with the cells of the header and of the first row.

    It is the one that divides the first lines into the same number of cells, the most of them.
    """
    lines = [line for line in sample.lstrip("\ufeff").splitlines() if line.strip()]
    whole = "\n".join(lines)
    best: tuple[float, int, str] = (0.0, 1, ",")
    rows: dict[str, list[list[str]]] = {}
    for separator in SEPARATORS:
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


def _check_header(header: list[str], first: list[str], path: Path) -> None:
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


def _ragged(error: Exception) -> str:
    """What pyarrow says, without its prefix and with little of the offending row."""
    text = first_line(error).removeprefix("CSV parse error: ")
    return text if len(text) <= 160 else f"{text[:160]} ..."


def _framed(table: Any, notes: list[str]) -> "tuple[pd.DataFrame, list[str]]":
    """An arrow table as a DataFrame whose column names are stripped and different."""
    import pyarrow as pa

    if not table.num_rows:
        raise UserError("the table has no rows")
    names = [str(name).strip() for name in table.column_names]
    unique = unique_names(names)
    twice = sorted({name for name, count in Counter(names).items() if count > 1})
    if twice:
        renamed = [new for new, old in zip(unique, names, strict=True) if new != old]
        notes.append(
            f"column {', '.join(map(repr, twice))} is there twice; the second is called "
            f"{', '.join(map(repr, renamed))} here"
        )
    table = table.rename_columns(unique)
    frame = table.to_pandas(date_as_object=False, split_blocks=True, self_destruct=True)
    del table
    pa.default_memory_pool().release_unused()
    return frame, notes


def unique_names(names: Sequence[str]) -> list[str]:
    """Names with ``.1``, ``.2`` after those that have come before.

    Example:
        >>> unique_names(["a", "b", "a"])
        ['a', 'b', 'a.1']
    """
    taken: set[str] = set()
    unique = []
    for name in names:
        new, number = name, 0
        while new in taken:
            number += 1
            new = f"{name}.{number}"
        taken.add(new)
        unique.append(new)
    return unique
