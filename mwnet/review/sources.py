"""How the samples of a loaded source look, and where they lie in feature space."""

from pathlib import Path

import numpy as np
import torch

from mwnet.data.source import Source
from mwnet.data.tables.columns import Table, of_numbers
from mwnet.data.tables.preparation import TablePreparation
from mwnet.review.pictures import Photos, Pictures
from mwnet.review.rows import Rows
from mwnet.review.samples import Looks
from mwnet.review.words import Texts

FINE = 32
"""Pixels of a side up to which a picture is its own features."""
COARSE = 16
"""Pixels of a side that a larger one is averaged to."""


def looks_of(source: Source, rows: torch.Tensor, root: Path | None) -> Looks:
    """Return how some samples of a source look.

    Args:
        source: whose table, if it is one, is not yet prepared.
        rows: ``(n,)`` which samples.
        root: folder that the names of its files begin in.
    """
    if source.table is not None:
        return of_table(source.table).rows(rows.numpy())
    if source.names is not None and root is not None:
        return Photos(tuple(root / source.names[row] for row in rows.tolist()))
    x = source.x.cpu()[rows].numpy()
    if source.image_size != (1, 1):
        return Pictures(x)
    return Rows(of_numbers(x[:, :, 0, 0], source.feature_names))


def of_table(table: Table) -> Looks:
    """Return how the rows of a table look: a single column of texts as texts."""
    columns = table.columns
    if len(columns) == 1 and columns[0].kind == "text":
        return Texts(columns[0].values)
    return Rows(table)


def features_of(source: Source, rows: torch.Tensor) -> np.ndarray:
    """Return ``(n, d)`` features of some samples: prepared ones, or pixels of large ones averaged.

    Args:
        source: as loaded, or prepared.
        rows: ``(n,)`` which samples.
    """
    if source.table is not None:
        source = source.prepared(rows)
    return flattened(source.x.cpu()[rows])


def prepared(table: Table) -> np.ndarray:
    """Return ``(n, d)`` features of the rows of a table."""
    rows = torch.arange(len(table))
    return TablePreparation.fit(table, rows).transform(table).numpy()


def flattened(x: torch.Tensor) -> np.ndarray:
    """Return ``(n, c, h, w)`` samples as ``(n, d)`` float32."""
    if max(x.shape[2:]) > FINE:
        chunks = [
            torch.nn.functional.adaptive_avg_pool2d(some.float(), COARSE) for some in x.split(256)
        ]
        x = torch.cat(chunks)
    return x.flatten(1).float().numpy()
