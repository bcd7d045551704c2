"""The samples that a list of issues is about, as its caller has them."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from mwnet.core.errors import UserError, WrongType
from mwnet.core.files import csv_cell
from mwnet.core.formats import dataset_of
from mwnet.data.inputs import as_photos, as_table
from mwnet.data.load import load
from mwnet.data.source import channels_first
from mwnet.data.tables.columns import features_of as columns_of
from mwnet.data.tables.columns import of_numbers
from mwnet.reviewing.pictures import Photos, Pictures
from mwnet.reviewing.reviewed import Looks, Samples
from mwnet.reviewing.sources import Features, features_of, flattened, looks_of, of_table, prepared

if TYPE_CHECKING:
    import pandas as pd

NEEDED = ("is_label_issue", "label_quality", "given_label", "predicted_label", "weight", "loss")


@dataclass(frozen=True)
class Handed:
    """Samples as they were handed over.

    Attributes:
        index: ``(n,)`` what the issues call each of them.
        looks: how they look.
        features: of some of them, by position.
    """

    index: "pd.Index"
    looks: Looks
    features: Features


def samples_of(
    issues: "pd.DataFrame",
    x: Any,
    *,
    pred_probs: Any = None,
    classes: Sequence[Any] | None = None,
    noise: dict[str, Any] | None = None,
    image_shape: tuple[int, ...] | None = None,
    label_column: str | None = None,
) -> Samples:
    """Bring issues and samples together; see ``review``.

    Raises:
        UserError: arguments that do not fit each other.
    """
    import pandas as pd

    if not isinstance(issues, pd.DataFrame):
        raise WrongType(f"`issues` must be a table of find_label_issues, got {type(issues)!r}")
    lost = [name for name in NEEDED if name not in issues.columns]
    if lost:
        raise UserError(f"`issues` has no column '{lost[0]}': give a table of find_label_issues")
    if not len(issues):
        raise UserError("`issues` is empty: there is nothing to review")
    handed = handed_over(x, image_shape, label_column)
    rows = positions(issues.index, handed.index)
    ids = tuple(map(_text, issues.index.tolist()))
    if len(set(ids)) != len(ids):
        raise UserError(
            "`issues` calls two samples the same: give `X` an index of different labels"
        )
    names, given, predicted = _labels(issues, classes)
    if pred_probs is not None:
        probabilities = _probabilities(pred_probs, len(issues), len(names))
        probabilities[np.arange(len(given)), given] = -1
        suggested = probabilities.argmax(1)
        probability = probabilities[np.arange(len(given)), suggested]
    else:
        suggested = np.where(predicted == given, -1, predicted)
        probability = np.full(len(given), np.nan)
        if "margin" in issues.columns:
            probability = np.where(suggested < 0, np.nan, best_other(issues))
    absent = np.full(len(given), np.nan)
    return Samples(
        ids=ids,
        classes=names,
        given=given,
        suggested=suggested,
        probability=probability,
        quality=_numbers(issues, "label_quality"),
        weight=_numbers(issues, "weight"),
        margin=_numbers(issues, "margin") if "margin" in issues.columns else absent,
        is_issue=issues["is_label_issue"].to_numpy(dtype=bool),
        features=lambda some: handed.features(rows[some]),
        looks=handed.looks.rows(rows),
        noise=noise,
    )


def best_other(issues: "pd.DataFrame") -> np.ndarray:
    """Return ``(n,)`` probabilities of the best other class than the given, by loss and margin.

    At the lowest margin that is kept, -30 nats, that class is all but certain.
    """
    margin = _numbers(issues, "margin")
    log = np.where(margin <= -30, 0, -_numbers(issues, "loss") - margin)
    return np.exp(np.minimum(log, 0))


def handed_over(x: Any, image_shape: tuple[int, ...] | None, label_column: str | None) -> Handed:
    """Find out what samples are, as ``fit`` and ``find_label_issues`` do.

    Raises:
        UserError: they are none, or do not have the shape of pictures that they should have.
    """
    import pandas as pd

    if isinstance(x, (str, os.PathLike)):
        return _at_path(Path(x), label_column)
    if label_column is not None:
        raise UserError("`label_column` is for a table that `X` is the path of")
    frame = as_table(x)
    if frame is not None and image_shape is None:
        table = columns_of(frame)
        return Handed(frame.index, of_table(table), prepared(table))
    features = as_photos(x)
    if features is not None:
        files = tuple(Path(file) for file in x)
        return Handed(pd.RangeIndex(len(files)), Photos(files), features.__getitem__)
    index = x.index if hasattr(x, "iloc") else None
    array = np.asarray(x.toarray() if hasattr(x, "toarray") else x)
    if array.dtype.kind not in "iufb" or not 2 <= array.ndim <= 4:
        raise UserError(
            "`X` must be samples as for find_label_issues: an array of numbers, a DataFrame, "
            "texts, a list of paths of photos, or a path"
        )
    if image_shape is not None:
        array = _as_pictures(array, image_shape)
    index = pd.RangeIndex(len(array)) if index is None else index
    if array.ndim == 2:
        table = of_numbers(array)
        return Handed(index, of_table(table), prepared(table))
    if array.dtype != np.uint8:
        array = array.astype(np.float32)
    samples = channels_first(torch.from_numpy(np.ascontiguousarray(array)))
    everything = torch.arange(len(samples))
    looks = Pictures(samples, everything)
    return Handed(index, looks, lambda some: flattened(samples, everything[some]))


def positions(labels: "pd.Index", index: "pd.Index") -> np.ndarray:
    """Return which sample each label of the issues is about.

    Raises:
        UserError: one that is not there, or is there twice.
    """
    if labels.equals(index):
        return np.arange(len(index))
    if not index.is_unique:
        raise UserError("`X` has an index with the same label twice: give it different ones")
    rows = index.get_indexer(labels)
    if (rows < 0).any():  # a run names its samples as its table does
        rows = index.map(csv_cell).get_indexer(labels)
    if (rows < 0).any():
        lost = labels[int(np.flatnonzero(rows < 0)[0])]
        raise UserError(f"`X` has no sample {lost!r}, which is in `issues`: give the same samples")
    return np.asarray(rows)


def _at_path(path: Path, label_column: str | None) -> Handed:
    import pandas as pd

    source = load(dataset_of(path), path=path, label_column=label_column)
    rows = source.not_test()
    names: Any = None if source.names is None else [source.names[row] for row in rows.tolist()]
    index = pd.RangeIndex(len(rows)) if names is None else pd.Index(names)
    return Handed(index, looks_of(source, rows, path), features_of(source, rows))


def _as_pictures(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Rows of numbers as pictures."""
    numbers = all(isinstance(side, (int, np.integer)) and side > 0 for side in shape)
    if not numbers or len(shape) not in (2, 3) or np.prod(shape) != np.prod(array.shape[1:]):
        raise UserError(
            f"`image_shape={shape!r}` does not fit samples of shape {array.shape[1:]}: give "
            "(height, width), or with channels first or last"
        )
    return array.reshape(len(array), *shape)


def _labels(
    issues: "pd.DataFrame", classes: Sequence[Any] | None
) -> tuple[tuple[str, ...], np.ndarray, np.ndarray]:
    """Names of the classes, and given and predicted labels as their positions."""
    given, predicted = issues["given_label"].tolist(), issues["predicted_label"].tolist()
    known = list({*given, *predicted}) if classes is None else list(classes)
    if classes is None:
        try:
            known.sort()
        except TypeError:  # of several kinds
            known.sort(key=str)
    code = {label: place for place, label in enumerate(known)}
    unknown = [label for label in (*given, *predicted) if label not in code]
    if unknown:
        raise UserError(f"`classes` does not have {unknown[0]!r}, which is in `issues`")
    names = tuple(map(_text, known))
    if len(set(names)) != len(names):
        raise UserError("two classes have the same name as text: rename one of them")
    codes = [np.array([code[label] for label in column]) for column in (given, predicted)]
    return names, codes[0], codes[1]


def _text(label: Any) -> str:
    """A label as text that a file can hold: halves of characters are written out."""
    return str(label).encode(errors="backslashreplace").decode()


def _probabilities(given: Any, rows: int, classes: int) -> np.ndarray:
    found = np.array(given, dtype=np.float64)
    if found.shape != (rows, classes):
        raise UserError(
            f"`pred_probs` must have a row for each line of `issues` and a column for each class, "
            f"{(rows, classes)}, got {found.shape}"
        )
    return found


def _numbers(issues: "pd.DataFrame", name: str) -> np.ndarray:
    return issues[name].to_numpy(dtype=np.float64)
