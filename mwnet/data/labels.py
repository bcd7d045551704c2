"""Labels as people write them -> class ids 0..K-1, with the names that people gave them."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mwnet.core.errors import UserError

MISSING = frozenset({"", "nan", "NaN", "NA", "<NA>", "N/A", "None", "null", "NULL"})
WHOLE = re.compile(r"([+-]?)(0|[1-9]\d*)(\.0*)?")
CODE = re.compile(r"[+-]?0\d+")
MOST_LEVELS = 20
"""Different values, at most, that make numbers with decimals classes."""


@dataclass(frozen=True)
class Labels:
    """Labels that have been read.

    Attributes:
        classes: names in the user's spelling; numbers are sorted as numbers, else as text.
        ids: ``(n,)`` int64 class ids of each column, the given labels first.
        notes: sentences about what was noticed.
    """

    classes: tuple[str, ...]
    ids: tuple[Tensor, ...]
    notes: tuple[str, ...] = ()


def read_labels(columns: dict[str, Any]) -> Labels:
    """Read labels that are numbers, words or truth values.

    Numbers are compared as numbers: ``1``, ``1.0`` and ``1.00`` are one class. ``007`` and ``7``
    are two, as codes with leading zeros are no numbers. Words are compared without the spaces
    around them.

    Args:
        columns: ``(n,)`` labels by the name that a message should use. The first decides which
            classes there are, the others may not bring new ones.

    Raises:
        UserError: a missing label, a continuous target, a class for nearly every row, fewer than
            two classes, a class that only a later column knows.
    """
    cells = {name: _cells(name, values) for name, values in columns.items()}
    name, given = next(iter(cells.items()))
    spelling, numeric = _spelling([cell for column in cells.values() for cell in column])
    named = [spelling[cell] for cell in given]
    counts = Counter(named)
    if len(counts) < 2:
        raise UserError(f"{name} needs labels of at least 2 classes, got {len(counts)}")
    notes = _check_classes(name, counts, numeric)
    classes = sorted(counts, key=_number) if numeric else sorted(counts)
    position = {label: index for index, label in enumerate(classes)}
    ids = []
    for other, column in cells.items():
        strange = sorted({spelling[cell] for cell in column} - counts.keys())
        if strange:
            raise UserError(f"{other} has the class {strange[0]}, which is absent from training")
        ids.append(torch.tensor([position[spelling[cell]] for cell in column], dtype=torch.int64))
    return Labels(tuple(classes), tuple(ids), tuple(notes + look_alikes(name, counts)))


def encode_names(
    train: Sequence[str], test: Sequence[str], where: str
) -> tuple[tuple[str, ...], Tensor]:
    """Return the sorted class names of some folders, and ``(n,)`` int64 ids, training part first.

    Raises:
        UserError: fewer than two classes, a class that only the test part has.
    """
    classes = tuple(sorted(set(train)))
    if len(classes) < 2:
        raise UserError(f"{where} needs class folders of at least 2 classes, got {len(classes)}")
    strange = sorted(set(test) - set(classes))
    if strange:
        raise UserError(f"the test part has the class {strange[0]}, which is absent from training")
    position = {name: index for index, name in enumerate(classes)}
    return classes, torch.tensor([position[name] for name in (*train, *test)])


def class_counts(classes: Sequence[str], ids: Tensor) -> str:
    """Return for instance ``2 classes (cat 10, dog 8)``, the first eight of many."""
    counts = Counter(ids.tolist())
    some = [f"{name} {counts[place]}" for place, name in enumerate(classes)]
    more = ", ..." if len(some) > 8 else ""
    return f"{len(some)} classes ({', '.join(some[:8])}{more})"


def _cells(name: str, values: Any) -> list[str]:
    """Labels as stripped text.

    Raises:
        UserError: one is missing, or is no label.
    """
    cells = []
    everything = np.asarray(values, dtype=object).tolist()
    for row, value in enumerate(everything):
        if isinstance(value, bytes):
            value = value.decode(errors="replace")
        cell = "" if value is None else str(value).strip()
        if cell in MISSING:
            others = sum(
                ("" if other is None else str(other)).strip() in MISSING
                for other in everything[row + 1 :]
            )
            raise UserError(
                f"{name}: the label of row {row + 1} is missing (an empty cell, NA, None or the "
                f"like){f', and {others} more' if others else ''}; fill it in or drop the row, and "
                "give a class that is called so another name"
            )
        if not isinstance(value, (str, int, float, np.generic)) and type(value).__module__ not in (
            "datetime",
            "decimal",
        ):
            raise UserError(
                f"{name}: the label of row {row + 1} is a {type(value).__name__}; labels are "
                "numbers or words"
            )
        cells.append(cell)
    return cells


def _spelling(cells: Sequence[str]) -> tuple[dict[str, str], bool]:
    """The class of each different cell, and whether the classes are numbers."""
    counts = Counter(cells)
    numbers: dict[str, int | float] = {}
    for cell in counts:
        try:
            numbers[cell] = _number("x" if "_" in cell or CODE.fullmatch(cell) else cell)
        except ValueError:
            return {cell: cell for cell in counts}, False
    alike: dict[int | float, list[str]] = defaultdict(list)
    for cell, number in numbers.items():
        alike[number].append(cell)
    names = {}
    for group in alike.values():
        whole = [match for cell in group if (match := WHOLE.fullmatch(cell))]
        name = max(group, key=lambda cell: counts[cell])
        if len(whole) == len(group):
            name = whole[0][1].replace("+", "") + whole[0][2]
        names |= dict.fromkeys(group, "0" if name == "-0" else name)
    return names, True


def _number(cell: str) -> int | float:
    """A number without rounding: whole ones have more digits than a float."""
    whole = WHOLE.fullmatch(cell)
    return float(cell) if whole is None else int(whole[1] + whole[2])


def _check_classes(name: str, counts: Counter[str], numeric: bool) -> list[str]:
    """Refuse what is no classification, and say it where numbers are taken for classes.

    Raises:
        UserError: a continuous target, a class for nearly every row.
    """
    rows, classes = sum(counts.values()), len(counts)
    example = ", ".join(list(counts)[:3])
    broken = numeric and any(not float(label).is_integer() for label in counts)
    if broken and (classes > MOST_LEVELS or rows < 10 * classes):
        raise UserError(
            f"{name} holds {classes} different numbers such as {example}: a continuous target "
            "(regression); mwnet trains classes, so cut it into some first"
        )
    check_count(name, list(counts), rows, numeric=numeric)
    return [f"{name}: numbers such as {example} are taken for classes"] if broken else []


def check_count(name: str, classes: Sequence[object], rows: int, *, numeric: bool) -> None:
    """Refuse a class for nearly every row.

    Raises:
        UserError: the classes are too many for the rows.
    """
    if len(classes) * 3 > rows >= 2 * MOST_LEVELS:
        what = "a continuous target (regression) or " if numeric else ""
        raise UserError(
            f"{name} holds {len(classes)} different labels in {rows} rows, such as "
            f"{', '.join(map(str, classes[:3]))}: that is {what}an identifier, not classes; "
            "choose other labels"
        )


def look_alikes(name: str, labels: Iterable[object]) -> list[str]:
    """Say which labels differ only in upper and lower case, in spaces, or as ``1`` and ``"1"``.

    Args:
        name: of the labels, for the sentence.
        labels: each different one once.
    """
    alike: dict[str, list[str]] = defaultdict(list)
    for label in labels:
        alike["".join(str(label).casefold().split())].append(repr(label))
    pairs = [" and ".join(sorted(group)) for group in alike.values() if len(group) > 1]
    if not pairs:
        return []
    return [
        f"{name}: {'; '.join(pairs[:5])} differ only in case or spaces and are different classes; "
        "if they are one, spell them alike"
    ]
