"""Read a table from a file: CSV in any dialect, parquet, feather, xlsx."""

import bz2
import gzip
import io
import lzma
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple

from mwnet.core.errors import UserError, first_line, reason
from mwnet.core.formats import magic
from mwnet.core.unpacking import check_parts, limited
from mwnet.data.tables.dialect import (
    SEPARATORS,
    TAB,
    check_header,
    decimal_commas,
    dialect,
    encoding,
    told_separator,
)
from mwnet.data.tables.spelling import Mark

if TYPE_CHECKING:
    import pandas as pd

MISSING = ("", "NA", "N/A", "n/a", "#N/A", "<NA>", "NaN", "nan", "null", "NULL", "None", "?")
"""Cells that stand for a missing value."""
UNREADABLE = (
    OSError, EOFError, ValueError, KeyError, MemoryError, OverflowError, NotImplementedError,
    lzma.LZMAError, zipfile.BadZipFile, zlib.error,
)  # fmt: skip
"""What a damaged file leads the readers to."""
SAMPLE = 2**16
"""Bytes from the beginning of a file that its dialect is guessed from."""


class Frame(NamedTuple):
    """A table as it was read.

    Attributes:
        frame: text as ``str``, missing cells as NaN, and every column name once.
        notes: sentences about what was noticed.
        decimal: the mark before decimals in text; None where numbers came as numbers.
    """

    frame: "pd.DataFrame"
    notes: list[str]
    decimal: Mark | None = None


def read_frame(
    path: Path, text_columns: Sequence[str] = (), *, decimal: Mark | None = None
) -> Frame:
    """Read a table.

    Args:
        path: of the file. What it is shows in its content: parquet, feather, xlsx, else text with
            separators, which may be compressed (gzip, bz2, xz, zip).
        text_columns: names of columns whose cells are kept as they are written, such as labels;
            upper and lower case do not matter.
        decimal: the mark before decimals in text; None for what the text looks like.

    Raises:
        UserError: no such file, no table, rows of different length, no header.
    """
    if not path.is_file():
        raise UserError(f"there is no file {path}")
    kind = magic(path)
    try:
        if kind == "parquet":
            from pyarrow import parquet

            with parquet.ParquetFile(path) as file:
                return _with_categories(_framed(file.read(), [], None), file.schema_arrow)
        if kind == "feather":
            from pyarrow import feather

            return _framed(feather.read_table(path), [], None)
        if kind == "xlsx":
            sheet, notes = _workbook(path)
            read = _delimited(sheet, path, text_columns, decimal)
            return read._replace(notes=notes + read.notes)
        return _delimited(opener(path, kind), path, text_columns, decimal)
    except UserError:
        raise
    except UNREADABLE as error:
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
        return lambda: limited(compressed[kind](path, "rb"), path)
    if kind == "zip":
        with zipfile.ZipFile(path) as archive:
            check_parts(path, archive.infolist())
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

    with zipfile.ZipFile(path) as archive:
        check_parts(path, archive.infolist())
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
    opened: Callable[[], IO[bytes]],
    path: Path,
    text_columns: Sequence[str],
    decimal: Mark | None,
) -> Frame:
    """Read text with separators by pyarrow, after guessing encoding and separator."""
    import pyarrow as pa
    from pyarrow import csv as arrow_csv

    notes: list[str] = []
    coded = encoding(opened)
    if coded not in ("utf-8", "utf-8-sig"):
        notes.append(f"read as {coded}, as the text is no UTF-8")
    with opened() as file:
        sample = file.read(SAMPLE).decode(coded, errors="ignore")
    if "\0" in sample:
        raise UserError(f"{path} is no table: it holds binary data")
    if sample.lstrip("\ufeff \r\n").startswith(("{", "[{", "[\n")):
        raise UserError(f"{path} is JSON: write it as a CSV file with a header, or as parquet")
    told = told_separator(sample)
    if told is not None:
        sample = sample.split("\n", 1)[1]
    separator, header, first = dialect(sample, path, told or SEPARATORS)
    check_header(header, first, path)
    as_text = {name.lower() for name in text_columns}
    decimal = decimal or ("," if decimal_commas(sample, separator) else ".")
    with opened() as file:
        try:
            table = arrow_csv.read_csv(
                file,
                read_options=arrow_csv.ReadOptions(
                    encoding=coded.removesuffix("-sig"), skip_rows=int(told is not None)
                ),
                parse_options=arrow_csv.ParseOptions(delimiter=separator, newlines_in_values=True),
                convert_options=arrow_csv.ConvertOptions(
                    null_values=list(MISSING),
                    strings_can_be_null=True,
                    decimal_point=decimal,
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
    return _framed(table.slice(0, rows), notes, decimal)


def _without_empty_end(table: Any) -> int:
    """How many rows there are before the empty ones at the end, which spreadsheets leave."""
    rows = table.num_rows
    while rows and not any(column[rows - 1].is_valid for column in table.columns):
        rows -= 1
    return rows


def _ragged(error: Exception) -> str:
    """What pyarrow says, without its prefix and with little of the offending row."""
    text = first_line(error).removeprefix("CSV parse error: ")
    return text if len(text) <= 160 else f"{text[:160]} ..."


def _framed(table: Any, notes: list[str], decimal: Mark | None) -> Frame:
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
    return Frame(frame, notes, decimal)


def _with_categories(read: Frame, schema: Any) -> Frame:
    """The table with the categories that pandas noted in a parquet; numbers lose that otherwise."""
    for column in (schema.pandas_metadata or {}).get("columns", ()):
        name = str(column.get("name")).strip()
        if column.get("pandas_type") == "categorical" and name in read.frame:
            read.frame[name] = read.frame[name].astype("category")
    return read


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
