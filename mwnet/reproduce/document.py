"""Markdown: tables, and parts of a document that a command writes."""

import re
from pathlib import Path

from mwnet.core import files
from mwnet.core.errors import UserError, reason


def markdown_table(lines: list[list[str]]) -> str:
    """A table from its lines, of which the first is the heading."""
    ruled = [lines[0], ["---"] * len(lines[0]), *lines[1:]]
    return "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in line)} |" for line in ruled)


def find_part(document: Path, name: str) -> tuple[str, str, str]:
    """What is before, in and after the part of a document that has this name.

    Args:
        document: Markdown with the lines ``<!-- NAME -->`` and ``<!-- /NAME -->`` around it.
        name: of the part.

    Raises:
        UserError: the document cannot be read, or has no such part, or several.
    """
    try:
        text = document.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot read {document}: {reason(error)}") from None
    start, end = f"<!-- {name} -->\n", f"<!-- /{name} -->"
    found = re.findall(f"{re.escape(start)}.*?{re.escape(end)}", text, re.DOTALL)
    if len(found) != 1:
        raise UserError(
            f"{document} needs one line <!-- {name} --> and, after it, <!-- /{name} -->"
        )
    before, after = text.split(found[0])
    return before + start, found[0][len(start) : -len(end)], end + after


def replace_part(document: Path, name: str, text: str) -> None:
    """Put other text into a part; see ``find_part``."""
    before, _, after = find_part(document, name)
    files.write_text(document, before + text + after)
