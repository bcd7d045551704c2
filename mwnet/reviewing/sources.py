"""How the samples of a loaded source look, and where they lie in feature space."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from mwnet.data.source import Source
from mwnet.data.tables.columns import Column, Table
from mwnet.data.tables.preparation import TablePreparation
from mwnet.reviewing.pictures import Photos, Pictures
from mwnet.reviewing.reviewed import Looks
from mwnet.reviewing.rows import Rows
from mwnet.reviewing.words import Texts

VALUES = 1024
"""Values up to which a picture is its own features."""
Features = Callable[[np.ndarray], np.ndarray]
"""Positions -> features."""
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
    if source.image_size != (1, 1):
        return Pictures(source.x, rows)
    x = source.x.cpu().numpy()[:, :, 0, 0]
    names = source.feature_names or [*map(str, range(x.shape[1]))]
    columns = [Column(name, "numeric", x[:, place]) for place, name in enumerate(names)]
    return Rows(Table(tuple(columns))).rows(rows.numpy())


def of_table(table: Table) -> Looks:
    """Return how the rows of a table look: a single column of texts as texts."""
    columns = table.columns
    if len(columns) == 1 and columns[0].kind == "text":
        return Texts(columns[0].values)
    return Rows(table)


def features_of(source: Source, rows: torch.Tensor) -> Features:
    """Return what computes features of some samples: prepared ones, or pixels of pictures.

    Args:
        source: as loaded, or prepared.
        rows: ``(n,)`` which samples.
    """
    if source.table is not None:
        source = source.prepared(rows)
    return lambda some: flattened(source.x, rows[some])


def prepared(table: Table) -> Features:
    """Return what computes features of the rows of a table."""
    everything = torch.arange(len(table))
    x = TablePreparation.fit(table, everything).transform(table).numpy()
    return lambda some: x[some]


def flattened(x: torch.Tensor, rows: torch.Tensor) -> np.ndarray:
    """Return some of ``(n, c, h, w)`` samples as ``(m, d)`` float32; larger pictures averaged.

    Args:
        x: samples, which may lie in a file that is larger than the memory.
        rows: ``(m,)`` which of them.
    """
    large = x[0].numel() > VALUES and max(x.shape[2:]) > COARSE
    chunks = []
    for few in rows.split(1024):
        some = x[few.to(x.device)].cpu().float()
        if large:
            some = torch.nn.functional.adaptive_avg_pool2d(some, COARSE)
        chunks.append(some.flatten(1))
    return torch.cat(chunks).numpy()
