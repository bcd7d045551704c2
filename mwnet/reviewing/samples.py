"""List suspect labels for another tool: features, files, cells to show."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from mwnet.builders.dataset import load_source
from mwnet.core.errors import UserError
from mwnet.reviewing.from_memory import Handed, best_other, handed_over, positions
from mwnet.reviewing.pictures import Photos
from mwnet.reviewing.reviewed import Looks
from mwnet.reviewing.rows import Rows
from mwnet.reviewing.sources import features_of, looks_of
from mwnet.reviewing.words import Texts
from mwnet.runs.folder import RunFolder
from mwnet.runs.opened import Run

if TYPE_CHECKING:
    import pandas as pd

MOST_COLUMNS = 100
"""Cells of a sample that are shown; of longer arrays none are."""


@dataclass(frozen=True)
class Listed:
    """Samples with what was said about their labels, the most suspect first.

    Attributes:
        issues: ``n`` rows, see ``find_label_issues``; the index is the id.
        features: ``(n, d)``, in which near samples look alike.
        files: of photos, else None.
        cells: ``n`` rows, the columns of a table; None for images and long arrays.
        classes: names of the classes.
    """

    issues: "pd.DataFrame"
    features: np.ndarray
    files: list[Path] | None
    cells: "pd.DataFrame | None"
    classes: tuple[str, ...]

    @property
    def confidence(self) -> np.ndarray:
        """``(n,)`` probability of the predicted label, in [0, 1]; a given one's without margins."""
        issues = self.issues
        given = np.exp(-issues["loss"].to_numpy())
        if "margin" not in issues:
            return given
        other = (issues["predicted_label"] != issues["given_label"]).to_numpy()
        return np.where(other, best_other(issues), given)


def of_run(path: Path) -> Listed:
    """List the training samples of a finished run, with the data that it names.

    Raises:
        UserError: no finished run, or its data is no longer there.
    """
    import pandas as pd

    run, options = Run(path), RunFolder(path).training_config().data_options
    source = load_source(options.model_copy(update={"corrections": None}))
    everything = torch.arange(len(source.labels))
    index = pd.RangeIndex(len(everything)) if source.names is None else pd.Index(source.names)
    looks = looks_of(source, everything, options.data)
    handed = Handed(index, looks, features_of(source, everything))
    return _listed(run.label_issues, handed, tuple(map(str, run.classes)))


def of_memory(issues: Any, x: Any) -> Listed:
    """List samples that are handed over from Python; see ``hand_over``.

    Raises:
        UserError: a list of something else, or of other samples.
    """
    wanted = ("label_quality", "given_label", "predicted_label", "is_label_issue", "loss")
    missing = [name for name in wanted if name not in getattr(issues, "columns", ())]
    if missing:
        raise UserError(
            f"`issues` must be the DataFrame of find_label_issues, and has no column '{missing[0]}'"
        )
    labels = {*map(str, issues["given_label"]), *map(str, issues["predicted_label"])}
    ordered = issues.sort_values("label_quality", kind="stable")
    return _listed(ordered, handed_over(x, None, None), tuple(sorted(labels)))


def _listed(issues: "pd.DataFrame", handed: Handed, classes: tuple[str, ...]) -> Listed:
    rows = positions(issues.index, handed.index)
    looks = handed.looks.rows(rows)
    files = [file.absolute() for file in looks.files] if isinstance(looks, Photos) else None
    return Listed(issues, handed.features(rows), files, _cells(looks), classes)


def _cells(looks: Looks) -> "pd.DataFrame | None":
    import pandas as pd

    if isinstance(looks, Texts):
        return pd.DataFrame({"text": looks.texts})
    if not isinstance(looks, Rows) or len(looks.table.columns) > MOST_COLUMNS:
        return None
    everyone = np.arange(len(looks))
    columns = looks.table.columns
    return pd.DataFrame(
        {one.name: _shown(one.kind, looks.cells_of(one, everyone)) for one in columns}
    )


def _shown(kind: str, values: np.ndarray) -> np.ndarray:
    import pandas as pd

    if kind == "boolean":
        flags = {1.0: "true", 0.0: "false"}
        return np.array([flags.get(value) for value in values], dtype=object)
    if kind == "date":
        return np.array(pd.to_datetime(values, unit="D").astype(str), dtype=object)
    return values
