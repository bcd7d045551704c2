"""A table with wrong labels, and corrections of it."""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mwnet.data.corrections import HEADER

CLASSES = ("ant", "bee", "cow")
ROWS = 120
WRONG = tuple(range(0, 100, 5))
"""Rows whose label is that of the next class."""
QUICK = ["--epochs", "2", "--no-figures", "--no-tensorboard", "--device", "cpu", "--threads", "1"]


def truth() -> list[str]:
    return [CLASSES[row % 3] for row in range(ROWS)]


def given() -> list[str]:
    labels = truth()
    for row in WRONG:
        labels[row] = CLASSES[(row + 1) % 3]
    return labels


def features() -> np.ndarray:
    rng = np.random.default_rng(0)
    return np.round(3 * np.eye(3)[np.arange(ROWS) % 3] + rng.normal(size=(ROWS, 3)), 3)


def write_table(path: Path) -> Path:
    rows = zip(features().tolist(), given(), strict=True)
    lines = ["a,b,c,label", *(f"{','.join(map(str, x))},{label}" for x, label in rows)]
    path.write_text("\n".join(lines) + "\n")
    return path


def verdicts(rows: Sequence[int], unsure: Sequence[int] = ()) -> list[tuple[Any, ...]]:
    """What somebody says who knows the truth."""
    found = []
    for row in rows:
        before, after = given()[row], truth()[row]
        verdict = "unsure" if row in unsure else "keep" if before == after else "correct"
        found.append((row, before, verdict, "" if row in unsure else after, ""))
    return found


def write_corrections(path: Path, lines: Sequence[Sequence[Any]], header: Any = HEADER) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *lines])
    return path
