"""Write a page as one file that needs nothing else and asks nobody for anything."""

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

from mwnet.reviewing.reviewed import Sheets

PAGE = Path(__file__).with_name("page")
STYLES = ("base.css", "layout.css", "card.css", "tools.css")
SCRIPTS = (
    "element.js",
    "data.js",
    "csv.js",
    "decisions.js",
    "selection.js",
    "looks.js",
    "grid.js",
    "desk.js",
    "matrix.js",
    "map.js",
    "dialogs.js",
    "main.js",
)
"""In the order in which they need each other."""


def rendered(page: dict[str, Any], sheets: Sheets, title: str) -> str:
    """Return the HTML of a page.

    Its policy names the style and the script by their digests and allows no address, so nothing
    that stands in the data can run or fetch anything.

    Args:
        page: plain values, see ``gathered``.
        sheets: pictures.
        title: of the page.
    """
    from jinja2 import Environment, FileSystemLoader

    style = "".join(_read(name) for name in STYLES)
    script = "(() => {\n'use strict';\n" + "".join(_read(name) for name in SCRIPTS) + "})();\n"
    environment = Environment(
        loader=FileSystemLoader(PAGE), autoescape=True, keep_trailing_newline=True
    )
    return environment.get_template("review.html").render(
        title=title,
        style=style,
        style_digest=_digest(style),
        script=script,
        script_digest=_digest(script),
        data=as_data(page),
        sheets=[(kind, base64.b64encode(content).decode()) for kind, content in sheets],
    )


def as_data(page: dict[str, Any]) -> str:
    r"""Return plain values as JSON that may stand in a script element: no mark-up can begin in it.

    Examples:
        >>> as_data({"name": "</script>"})
        '{"name":"\\u003c/script\\u003e"}'
    """
    # All but ASCII is escaped: line separators, and halves of characters that have no UTF-8.
    text = json.dumps(page, allow_nan=False, separators=(",", ":"))
    for sign in "<>&":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return text


def _read(name: str) -> str:
    return (PAGE / name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
