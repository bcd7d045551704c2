"""Find an analysis by name, run it, and write ``report.md`` and ``figure.png``."""

import importlib
import shutil
from pathlib import Path

from mwnet.core import files
from mwnet.reproduce.claims.base import Analysis, Runs
from mwnet.reproduce.document import replace_part
from mwnet.runs.outputs import versions

REPORT, FIGURE = "report.md", "figure.png"
ARCHIVE = "analyses"
"""Folder beside a document that keeps its figures."""


def load(name: str) -> Analysis:
    """Return the analysis with this name."""
    module = importlib.import_module(f"mwnet.reproduce.claims.{name.replace('-', '_')}")
    return module.ANALYSIS


def write(name: str, analysis: Analysis, runs: Runs, out: Path, command: str) -> str:
    """Measure, and write report and figure into a folder.

    Args:
        name: of the analysis.
        analysis: what to do.
        runs: all finished.
        out: folder, made if it is not there.
        command: command line that does the same.

    Returns:
        The report, Markdown.
    """
    out.mkdir(parents=True, exist_ok=True)
    found = analysis.examine(runs, out / FIGURE)
    facts = [f"Command: `{command}`"]
    if runs:
        seconds = sum(run.summary["seconds"]["total"] for run in runs)
        devices = ", ".join(sorted({run.summary["device"] for run in runs}))
        facts.append(f"{len(runs)} training runs, {seconds:.0f} s in all, device {devices}")
    facts.append(", ".join(f"{package} {version}" for package, version in versions().items()))
    parts = [
        f"## {analysis.title}",
        f"**The claim** ({analysis.source}): {analysis.claim}",
        f"**What was measured:** {found.measured}",
        f"![{analysis.title}]({FIGURE})",
        found.body,
        f"{'. '.join(facts)}.",
    ]
    text = f"<!-- made by mwnet claim {name} -->\n" + "\n\n".join(filter(None, parts))
    files.write_text(out / REPORT, text + "\n")
    return text + "\n"


def put_into(document: Path, name: str, out: Path) -> None:
    """Replace the part of a document about an analysis by the report in a folder.

    Raises:
        UserError: the document lacks the lines around the part.
    """
    place = f"{ARCHIVE}/{name}.png"
    picture = document.parent / place
    picture.parent.mkdir(exist_ok=True)
    text = (out / REPORT).read_text(encoding="utf-8").split("\n", 1)[1]
    text = text.replace("## ", "### ", 1)  # there it stands under the heading of a document
    replace_part(document, name, text.replace(f"]({FIGURE})", f"]({place})"))
    shutil.copyfile(out / FIGURE, picture)
