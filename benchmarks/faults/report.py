"""docs/RELIABILITY.md: what was tried, what survived, what was lost, what cannot be guaranteed."""

import os
import platform
from pathlib import Path

from benchmarks.faults.commands import ROOT
from benchmarks.faults.point import Point, Size
from mwnet.core.files import write_text

DOCUMENT = ROOT / "docs" / "RELIABILITY.md"
MOST = 20
"""Losses of a point that are written out."""


def document(points: list[Point], size: Size, seed: int) -> str:
    """Write the report as Markdown."""
    tried = sum(sum(point.tried.values()) for point in points)
    lost = sum(len(point.lost) for point in points)
    seconds = sum(point.seconds for point in points)
    quick = " --quick" if size == "quick" else ""
    text = [
        "# Reliability",
        "",
        "What happens to mwnet when it is killed, when disks fail, when files are hostile and when "
        "input is wrong. A campaign tries it and writes this page:",
        "",
        f"    python -m benchmarks.faults{quick} --seed {seed}",
        "",
        "Continuous integration does not run the campaign. It runs `tests/test_faults.py` and "
        "`tests/test_faults_files.py`, which keep what the campaign has found.",
        "",
        f"**{tried} attempts, {lost} lost**, in {seconds:.0f} s on {machine()}.",
        "",
        "| point | tried | survived | lost |",
        "|---|---:|---:|---:|",
    ]
    for point in points:
        count, bad = sum(point.tried.values()), len(point.lost)
        text.append(
            f"| [{point.title}](#{anchor(point.title)}) | {count} | {count - bad} | {bad} |"
        )
    for point in points:
        text += section(point)
    return "\n".join(text) + "\n"


def section(point: Point) -> list[str]:
    """A heading, a table of attempts by kind, and what there is to say."""
    text = ["", f"## {point.title}", "", point.promise, "", "| attempt | tried | survived |"]
    text.append("|---|---:|---:|")
    for kind, count in point.tried.items():
        text.append(f"| {kind} | {count} | {count - point.failed[kind]} |")
    for heading, lines in (
        ("Lost", [line.replace("\n", " ")[:300] for line in point.lost[:MOST]]),
        ("Found and mended", [f"{fault} ({commit})" for fault, commit in point.mended]),
        ("Measured", point.notes),
        ("Not guaranteed", point.open_ends),
        ("Not tried here", point.passed_over),
    ):
        if lines:
            text += ["", f"{heading}:", "", *[f"- {line}" for line in lines]]
    return text


def anchor(title: str) -> str:
    """The anchor of a heading."""
    kept = "".join(c for c in title.lower() if c.isalnum() or c in " -")
    return kept.replace(" ", "-")


def machine() -> str:
    """Processor, cores, versions."""
    from importlib.metadata import version

    versions = ", ".join(f"{name} {version(name)}" for name in ("torch", "numpy", "scikit-learn"))
    return (
        f"{os.cpu_count()} cores ({platform.machine()}), {platform.system()}, Python "
        f"{platform.python_version()}, {versions}"
    )


def write(points: list[Point], size: Size, seed: int, path: Path = DOCUMENT) -> None:
    """Replace the report."""
    write_text(path, document(points, size, seed))
