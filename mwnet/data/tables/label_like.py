"""Columns that are named like labels beside the label column."""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

LABEL_NAMES = ("label", "target", "class", "y", "given_label", "noisy_label")
NEVER_FEATURES = ("given_label", "noisy_label")
REPEATED = re.compile(r"\.\d+$")
"""What ``unique_names`` appends to a name that was there before."""
NEARLY = 0.9
"""Share of the labels that a column has to tell to count as another version of them."""


def other_labels(
    frame: "pd.DataFrame", column: str, ids: np.ndarray, keep: Sequence[str]
) -> tuple[list[str], list[str]]:
    """Find columns that are named like labels too, and decide whether they are features.

    A column that has nearly the same classes is left out, since it would give the labels away.

    Args:
        frame: the table.
        column: that the labels were taken from.
        ids: ``(n,)`` class ids of the labels.
        keep: columns that the user has chosen or left out, whatever they hold.

    Returns:
        Names of the columns to leave out, and a sentence for each column.
    """
    names = [name for name in frame.columns if name != column and name not in keep]
    leave, notes = [], []
    for name in names:
        plain = REPEATED.sub("", str(name)).lower()
        again = plain == REPEATED.sub("", column).lower()
        if plain not in LABEL_NAMES and not again:
            continue
        share = _told(frame[name], ids)
        if share >= NEARLY or plain in NEVER_FEATURES or again:
            leave.append(name)
            told = f", and tells {share:.0%} of those in '{column}'" if share else ""
            notes.append(f"left out '{name}': it is named like labels too{told}")
        else:
            notes.append(
                f"'{name}' is named like labels too, and is used as a feature beside the labels in "
                f"'{column}': leave it out with `drop` if it holds labels, or name it as "
                "`label_column`"
            )
    return leave, notes


def _told(cells: "pd.Series", ids: np.ndarray) -> float:
    """Share of the labels that follow from the cells; 0 for cells with many more values."""
    import pandas as pd

    codes, values = pd.factorize(cells)
    known = codes >= 0
    if not known.any() or len(values) > 2 * (ids.max() + 1):
        return 0.0
    pairs = np.zeros((len(values), ids.max() + 1), dtype=np.int64)
    np.add.at(pairs, (codes[known], ids[known]), 1)
    return float(pairs.max(1).sum() / known.sum())
