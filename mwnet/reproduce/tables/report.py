"""Writes what a table of runs has come to: Markdown, CSV, LaTeX, pictures."""

import shutil
from pathlib import Path

from mwnet.core import files
from mwnet.core.errors import UserError
from mwnet.reproduce.document import find_part, replace_part
from mwnet.reproduce.own_data.cells import MEASURES
from mwnet.reproduce.own_data.report import markdown as own_markdown
from mwnet.reproduce.tables import figures
from mwnet.reproduce.tables.latex import latex
from mwnet.reproduce.tables.markdown import markdown, table_ranks
from mwnet.reproduce.tables.records import CELLS, as_csv, records
from mwnet.reproduce.tables.table import OWN_DATA, TABLE, load_table

ARCHIVE = "tables"
"""Folder beside a document that keeps what its numbers were made from."""


def report(out: Path) -> str:
    """Write ``table.md``, ``table.tex``, ``cells.csv`` and ``figures/`` in a table's folder.

    Of a table of own data there are ``table.md`` and ``cells.csv``.

    Args:
        out: folder of all runs.

    Returns:
        The Markdown.

    Raises:
        UserError: no table in the folder, nothing finished, or a file that cannot be read.
    """
    if not (out / TABLE).is_file():
        raise UserError(f"{out} holds no runs of a table: there is no {TABLE} in it")
    table = load_table(out / TABLE)
    if table.kind == OWN_DATA:
        found = records(table, out, MEASURES)
        text = own_markdown(table, found)
        files.write_text(out / "table.md", text)
        files.write_text(out / CELLS, as_csv(found, MEASURES))
        return text
    found = records(table, out)
    figures.draw(table, found, table_ranks(table, found), out)
    text = markdown(table, found, figures.pictures(out))
    files.write_text(out / "table.md", text)
    files.write_text(out / "table.tex", latex(table, found))
    files.write_text(out / CELLS, as_csv(found))
    return text


def put_into(document: Path, out: Path) -> None:
    """Replace the part of a document that is about a table, and keep its numbers beside it.

    Args:
        document: Markdown with the lines ``<!-- NAME -->`` and ``<!-- /NAME -->``, where NAME is
            that of the folder.
        out: folder of all runs.

    Raises:
        UserError: as ``report``, or the document lacks those lines.
    """
    name = out.resolve().name
    find_part(document, name)
    report(out)
    archive = document.parent / ARCHIVE / name
    shutil.rmtree(archive / figures.FOLDER, ignore_errors=True)
    (archive / figures.FOLDER).mkdir(parents=True)
    for path in (out / TABLE, out / CELLS, *sorted((out / figures.FOLDER).glob("*.png"))):
        shutil.copyfile(path, archive / path.relative_to(out))
    replace_part(document, name, archived(archive))


def archived(folder: Path) -> str:
    """The Markdown of a folder that ``put_into`` has kept, for the document beside it."""
    table = load_table(folder / TABLE)
    if table.kind == OWN_DATA:
        return own_markdown(table, records(table, folder, MEASURES))
    place = f"{ARCHIVE}/{folder.name}"
    pictures = [(text, f"{place}/{path}") for text, path in figures.pictures(folder)]
    return markdown(table, records(table, folder), pictures)
