"""The table of label issues, as cleanlab's users know it."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd


def issue_table(
    *,
    is_issue: np.ndarray,
    quality: np.ndarray,
    given: np.ndarray,
    predicted: np.ndarray,
    weight: np.ndarray,
    loss: np.ndarray,
    margins: Mapping[str, np.ndarray],
    verdict: Sequence[str] | None = None,
    index: Any = None,
) -> "pd.DataFrame":
    """Make the table: one row a sample, in the order of the arrays.

    Args:
        is_issue: ``(n,)`` whether the label is called wrong.
        quality: ``(n,)`` score in [0, 1], low = suspect.
        given: ``(n,)`` given labels.
        predicted: ``(n,)`` predicted labels.
        weight: ``(n,)`` how much the sample counts in training.
        loss: ``(n,)`` cross-entropy of the given label, nats.
        margins: ``(n,)`` each, the columns ``MARGINS`` of a run folder, or none of them.
        verdict: ``(n,)`` what a reviewer said, empty for nothing; None for no such column.
        index: of the rows; None for the position.
    """
    import pandas as pd

    columns = {
        "is_label_issue": is_issue,
        "label_quality": np.asarray(quality, dtype=np.float64),
        "given_label": given,
        "predicted_label": predicted,
        "weight": np.asarray(weight, dtype=np.float64),
        "loss": np.asarray(loss, dtype=np.float64),
        **{
            name: np.asarray(values, dtype=np.int64 if name == "forgotten" else np.float64)
            for name, values in margins.items()
        },
    }
    if verdict is not None:
        columns["verdict"] = np.array(verdict, dtype=object)
    return pd.DataFrame(columns, index=index)
