"""Find what belongs to a list of suspect labels: features, files, cells to show."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from mwnet.builders.dataset import load_source
from mwnet.core.errors import UserError
from mwnet.core.formats import dataset_of
from mwnet.data import Pixels, Source
from mwnet.data.arrays import finite
from mwnet.data.inputs import as_photos, as_table
from mwnet.data.load import load
from mwnet.data.source import channels_first
from mwnet.data.tables.columns import Table, features_of, of_numbers
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
        features: ``(n, d)`` float32, each with mean 0 and deviation 1.
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
        """``(n,)`` probability of the predicted label, in [0, 1], from loss and margin.

        A margin of -30 nats is the lowest that is kept: the other class is all but certain then.
        """
        issues = self.issues
        log = -issues["loss"].to_numpy()
        if "margin" in issues:
            margin = issues["margin"].to_numpy()
            other = (issues["predicted_label"] != issues["given_label"]).to_numpy()
            log = np.where(margin <= -30, 0, np.where(other, log - margin, log))
        return np.exp(np.minimum(log, 0))


def of_run(path: Path) -> Listed:
    """List the training samples of a finished run, with the data that it names.

    Raises:
        UserError: no finished run, or its data is no longer there.
    """
    run, folder = Run(path), RunFolder(path)
    options = folder.training_config().data_options
    source = load_source(options.model_copy(update={"corrections": None}))
    files = None
    if source.names is not None and options.data is not None:
        files = [(options.data / name).absolute() for name in source.names]
    return _listed(run.label_issues, source, files, tuple(map(str, run.classes)))


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
    source, files = _source_of(x)
    labels = {*map(str, issues["given_label"]), *map(str, issues["predicted_label"])}
    ordered = issues.sort_values("label_quality", kind="stable")
    return _listed(ordered, source, files, tuple(sorted(labels)))


def _listed(
    issues: "pd.DataFrame", source: Source, files: list[Path] | None, classes: tuple[str, ...]
) -> Listed:
    count = len(source.table) if source.table is not None else len(source.x)
    names = range(count) if source.names is None else source.names
    rows = {str(name): row for row, name in enumerate(names)}
    unknown = next((name for name in map(str, issues.index) if name not in rows), None)
    if unknown is not None:
        raise UserError(f"`X` has no sample {unknown!r}, which is in `issues`: give the same data")
    places = torch.tensor([rows[str(name)] for name in issues.index], dtype=torch.int64)
    return Listed(
        issues,
        _features(source, places),
        None if files is None else [files[row] for row in places.tolist()],
        None if source.table is None else _cells(source.table, places.numpy()),
        classes,
    )


def _features(source: Source, rows: Tensor) -> np.ndarray:
    prepared = source.prepared(rows)
    scaled = prepared.preparation is not None
    pixels = Pixels.of(prepared.x, rows, torch.device("cpu"), scaled=scaled)
    return torch.cat([pixels.take(part) for part in rows.split(10_000)]).flatten(1).numpy()


def _cells(table: Table, rows: np.ndarray) -> "pd.DataFrame | None":
    import pandas as pd

    if len(table.columns) > MOST_COLUMNS:
        return None
    cells = {column.name: column.values[rows] for column in table.columns}
    for column in table.columns:
        if column.kind == "boolean":
            flags = {1.0: "true", 0.0: "false"}
            cells[column.name] = np.array([flags.get(v) for v in cells[column.name]], dtype=object)
        elif column.kind == "date":
            days = pd.to_datetime(cells[column.name], unit="D")
            cells[column.name] = np.array(days.astype(str), dtype=object)
    return pd.DataFrame(cells)


def _source_of(x: Any) -> tuple[Source, list[Path] | None]:
    """Samples from Python, or at a path, and their files where they are photos."""
    if isinstance(x, (str, Path)):
        path = Path(x)
        source = load(dataset_of(path), path=path)
        names = source.names
        return source, None if names is None else [(path / name).absolute() for name in names]
    nothing = torch.empty(0, dtype=torch.int64)
    frame = as_table(x)
    if frame is not None:
        table = features_of(frame)
        names = tuple(map(str, frame.index))
        if len(set(names)) < len(names):
            raise UserError("`X` has an index with equal entries: give each sample its own")
        empty = torch.empty(len(table), 0, 1, 1)
        return Source("memory", empty, nothing, None, (), table=table, names=names), None
    photos = as_photos(x)
    if photos is not None:
        files = [Path(file).absolute() for file in x]
        samples = channels_first(torch.from_numpy(photos))
        return Source("memory", samples, nothing, None, ()), files
    array = x.toarray() if hasattr(x, "toarray") else np.asarray(x)
    if array.ndim == 2 and array.dtype.kind in "iufb":
        empty = torch.empty(len(array), 0, 1, 1)
        return Source("memory", empty, nothing, None, (), table=of_numbers(array)), None
    return Source("memory", channels_first(finite(array, "`X`")), nothing, None, ()), None
