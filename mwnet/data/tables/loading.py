"""From a table with a label column to a source."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import torch

from mwnet.core.errors import UserError
from mwnet.data.labels import Labels, class_counts, read_labels
from mwnet.data.source import Source
from mwnet.data.tables.columns import copies, features_of
from mwnet.data.tables.label_like import LABEL_NAMES, other_labels
from mwnet.data.tables.reading import read_frame

if TYPE_CHECKING:
    import pandas as pd

    from mwnet.data.tables.spelling import Mark

TRUTHS = ("y_true", "true_label")
FEWEST_ROWS = 20
ANSWERS = re.compile(
    r"(item|task|question|sample|annotator|worker|rater|user)s?([_ ]?(id|nr|number))?",
    re.IGNORECASE,
)
"""Columns of a table that says who gave which sample which label."""


def load_table(
    path: Path,
    *,
    label_column: str | None = None,
    columns: Sequence[str] = (),
    drop: Sequence[str] = (),
    embedding: str = "tfidf",
) -> Source:
    """Read a table with a label column, and perhaps true labels in ``y_true`` or ``true_label``.

    Args:
        path: a CSV in any dialect, parquet, feather, or xlsx.
        label_column: None for a column called label, target, class or y in any case.
        columns: of the features; empty for those found by looking.
        drop: columns that are no features.
        embedding: how texts become features: ``tfidf`` or ``sentence-transformers:NAME``.

    Raises:
        UserError: no table, no such column, labels that are no classes, cells that make no sense.
    """
    frame, decimal, name, truths, named, read, notes = read_labelled(
        path, label_column=label_column, drop=drop
    )
    labelled = [name, *truths]
    others, said = other_labels(frame, name, read.ids[0].numpy(), [*labelled, *columns, *drop])
    notes += said
    leave = [*labelled, *others, *(column for column in named if column in drop)]
    rest = frame.drop(columns=leave)
    drop = [column for column in drop if column not in named]
    del frame
    try:
        asked = [column for column in columns if column != name]
        table = features_of(rest, columns=asked, drop=drop, decimal=decimal)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    if all(ANSWERS.fullmatch(column) for column in table.names):
        raise UserError(
            f"{path} holds answers of annotators, not samples: its features are "
            f"{' and '.join(map(repr, table.names))} alone; join them with the "
            "samples, one label each"
        )
    counts = f"{path}: {len(table)} rows, {table.counted()}, {described(name, read)}"
    if len(labelled) == 2:
        notes.append(f"column '{truths[0]}' holds the true labels, for metrics and clean meta sets")
    left_out = [note for note in (*said, *table.notes) if note.startswith("left out")]
    advice = ["`columns` and `drop` choose other columns"] if left_out else []
    return Source(
        name="table",
        x=torch.empty(len(table), 0, 1, 1),
        labels=read.ids[0],
        truth=read.ids[1] if len(labelled) == 2 else None,
        classes=read.classes,
        feature_names=table.names,
        table=table,
        embedding=embedding,
        fingerprint=f"{table.fingerprint()} {embedding}",
        notes=(
            counts,
            *notes,
            *table.notes,
            *advice,
            *read.notes,
            *copies(table, read.ids[0].numpy()),
        ),
    )


class Labelled(NamedTuple):
    """A table whose labels have been read.

    Attributes:
        frame: all its columns.
        decimal: the decimal mark of a text file.
        label: name of the label column.
        truths: name of the column of true labels, or none.
        named: columns that are called like true labels, used or not.
        labels: given and true labels.
        notes: sentences about what was noticed.
    """

    frame: "pd.DataFrame"
    decimal: "Mark | None"
    label: str
    truths: list[str]
    named: list[str]
    labels: Labels
    notes: list[str]


def read_labelled(
    path: Path, *, label_column: str | None = None, drop: Sequence[str] = ()
) -> Labelled:
    """Read a table and its labels, not yet its features; see ``load_table``."""
    as_text = (*LABEL_NAMES, *TRUTHS, *([label_column] if label_column else []))
    frame, notes, decimal = read_frame(path, as_text)
    name = _label_column(frame, label_column, path, notes)
    if name in drop:
        raise UserError(f"`drop` names the label column '{name}'")
    if len(frame) < FEWEST_ROWS:
        raise UserError(
            f"{path} has {len(frame)} rows: too few to train on, at least {FEWEST_ROWS} are needed"
        )
    named = [column for column in frame.columns if str(column).lower() in TRUTHS]
    truths = [column for column in named if column != name and column not in drop]
    if len(truths) > 1:
        raise UserError(
            f"{path} has true labels in {' and '.join(truths)}: leave one of them out by `drop`"
        )
    labelled = [name, *truths]
    read = read_labels({f"{path}: column '{column}'": frame[column] for column in labelled})
    return Labelled(frame, decimal, name, truths, named, read, notes)


def described(column: str, labels: Labels) -> str:
    """Return for instance ``label column 'kind' with 2 classes (cat 10, dog 8)``."""
    return f"label column '{column}' with {class_counts(labels.classes, labels.ids[0])}"


def _label_column(
    frame: "pd.DataFrame", asked: str | None, path: Path, notes: Sequence[str]
) -> str:
    """The name of the label column.

    Raises:
        UserError: it cannot be told; the message names candidates.
    """
    names = [str(name) for name in frame.columns]
    if len(names) == 1:
        raise UserError(
            f"{path} has one column only, {names[0]!r}: labels and features need two; cells are "
            "separated by a comma, a semicolon, a tab or |"
        )
    wanted = LABEL_NAMES if asked is None else (asked,)
    if asked in names:
        return asked
    for name in wanted:
        same = [column for column in names if column.lower() == name.lower()]
        if len(same) == 1:
            return same[0]
        if same:
            raise UserError(
                f"{path} has the columns {' and '.join(same)}: name one as `label_column`"
            )
    if asked is not None:
        raise UserError(
            f"{path} has no column '{asked}'; name one of {', '.join(names)} as `label_column`"
        )
    few = {name: frame[name].astype(str).nunique() for name in names}
    candidates = [name for name in names if 2 <= few[name] <= max(20, len(frame) // 20)]
    # The last column, then words rather than numbers.
    candidates.sort(
        key=lambda name: (
            name != names[-1],
            frame[name].dtype.kind in "fiub",
            -names.index(name),
        )
    )
    some = ", ".join(f"{name} ({few[name]} values)" for name in candidates[:5])
    example = candidates[0] if candidates else names[-1]
    no_names = [name for name in names if (frame[name].astype(str) == name).any()]
    if no_names:
        notes = [*notes, f"if the first line, with {no_names[0]!r} in it, holds no names, add them"]
    raise UserError(
        f"{path}: which column holds the labels? Give `label_column={example!r}`; candidates: "
        + "; ".join([some or ", ".join(names), *notes])
    )
