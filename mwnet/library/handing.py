"""What a caller hands to the classifier, checked as scikit-learn checks it."""

import logging
from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator
from sklearn.utils.validation import _check_sample_weight, validate_data
from torch import Tensor

from mwnet.config.words import naming
from mwnet.core.errors import UserError
from mwnet.data.inputs import as_photos, as_table
from mwnet.data.photo_networks import DEFAULT
from mwnet.data.source import channels_first
from mwnet.data.tables.columns import Table, features_of, of_numbers

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Handed:
    """What the caller hands over.

    Attributes:
        x: ``(n, c, h, w)`` samples, the clean ones last; without features where there is a table.
        own: number of noisy samples.
        clean: number of clean ones.
        table: the features of a table.
        extractor: name of the frozen network that photos went through.
    """

    x: Tensor
    own: int
    clean: int
    table: Table | None = None
    extractor: str | None = None


def handed(estimator: BaseEstimator, x: Any, x_meta: Any) -> Handed:
    """What the caller hands over, the clean samples after the noisy ones."""
    frame = as_table(x)
    if frame is not None:
        frames = [frame]
        if x_meta is not None:
            clean = as_table(x_meta)
            if clean is None:
                raise UserError("`X` is a table and `X_meta` is none: give both in one form")
            frames.append(clean)
        for place, one in enumerate(frames):
            check_columns(estimator, one, reset=place == 0)
        import pandas as pd

        table = features_of(frame if x_meta is None else pd.concat(frames, ignore_index=True))
        log.info("%s", table.counted())
        for note in table.notes:
            log.warning("%s", note)
        sizes = [len(one) for one in frames]
        return Handed(torch.empty(len(table), 0, 1, 1), sizes[0], sum(sizes[1:]), table)
    photos = as_photos(x)
    if photos is None:
        numbers = _numbers(estimator, x, x_meta)
        if numbers is not None:
            return numbers
    parts = [checked(estimator, x if photos is None else photos, reset=True)]
    if x_meta is not None:
        more = as_photos(x_meta)
        parts.append(checked(estimator, x_meta if more is None else more, "X_meta", reset=False))
        if parts[1].dtype != parts[0].dtype:  # pixels and numbers meet as numbers
            parts = [part.astype(np.float32) for part in parts]
    together = torch.from_numpy(np.concatenate(parts))
    extractor = None if photos is None else DEFAULT
    own = len(parts[0])
    return Handed(channels_first(together), own, len(together) - own, extractor=extractor)


def _numbers(estimator: BaseEstimator, x: Any, x_meta: Any) -> Handed | None:
    """An array of ``(n, features)`` as the table that it is; None for images."""
    parts = [checked(estimator, x, reset=True)]
    if parts[0].ndim != 2:
        return None
    if x_meta is not None:
        parts.append(checked(estimator, x_meta, "X_meta", reset=False))
    together = np.concatenate(parts)
    own = len(parts[0])
    empty = torch.empty(len(together), 0, 1, 1)
    return Handed(empty, own, len(together) - own, of_numbers(together))


def check_columns(estimator: BaseEstimator, frame: Any, *, reset: bool) -> None:
    """Remember the names of the columns, or compare them, as scikit-learn does."""
    names = Counter(str(name) for name in frame.columns)
    twice = sorted(name for name, count in names.items() if count > 1)
    if twice:
        raise UserError(f"`X` has more than one column {', '.join(map(repr, twice))}")
    if len({isinstance(name, str) for name in frame.columns}) > 1:  # scikit-learn takes no mix
        frame = frame.set_axis([str(name) for name in frame.columns], axis=1)
    with naming("X"):
        validate_data(estimator, frame, skip_check_array=True, reset=reset)


def checked(estimator: BaseEstimator, x: Any, name: str = "X", *, reset: bool) -> np.ndarray:
    """Samples after scikit-learn's checks; images as float32 or uint8."""
    with naming(name):
        found: Any = validate_data(
            estimator,
            x,
            accept_sparse="csr",
            allow_nd=True,
            ensure_all_finite="allow-nan",
            dtype=[np.float32, np.uint8, np.float64, np.int64, np.int32],
            reset=reset,
        )
    array = found.toarray() if hasattr(found, "toarray") else np.asarray(found)
    if array.ndim > 4:
        raise UserError(
            f"`{name}` must be (n, features), (n, h, w) or (n, c, h, w), got {array.shape}"
        )
    if array.ndim == 2:  # a table, of any precision
        return array
    array = array if array.dtype == np.uint8 else array.astype(np.float32)
    if np.isinf(array).any():
        raise UserError(f"`{name}` has values that are infinite in float32")
    if np.isnan(array).any():
        raise UserError(f"`{name}` holds NaN: images have no missing pixels")
    return array


def weights_of(weights: Any, codes: np.ndarray, classes: np.ndarray) -> Tensor:
    """``(n,)`` weights of the caller, checked."""
    with naming("sample_weight"):
        checked = _check_sample_weight(weights, codes[:, None]).astype(np.float64)
    if not np.isfinite(checked).all() or (checked < 0).any() or not checked.any():
        raise UserError("`sample_weight` must be finite, from 0, and above 0 for some samples")
    empty = np.bincount(codes, checked > 0, len(classes)) == 0
    if empty.any():
        names = ", ".join(repr(label) for label in classes[empty].tolist())
        raise UserError(
            f"`sample_weight` is 0 for every sample of the class {names}: give some a weight "
            "above 0, or leave the class out of `y`"
        )
    return torch.from_numpy(checked).float()
