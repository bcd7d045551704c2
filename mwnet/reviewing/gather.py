"""Gather everything that a page holds, as plain values."""

import base64
import hashlib
import json
from typing import Any

import numpy as np

from mwnet.reviewing.near import Chosen, flat
from mwnet.reviewing.reviewed import Samples, Sheets


def gathered(
    samples: Samples, limit: int | None = None, *, umap: bool = True
) -> tuple[dict[str, Any], Sheets]:
    """Gather what a page shows.

    Args:
        samples: all training samples.
        limit: of the most suspect samples that are reviewed; None for 5,000, or 2,000 photos.
        umap: draw the map by UMAP where it is installed.

    Returns:
        Plain values, and sheets of pictures.
    """
    chosen = Chosen.of(samples, samples.looks.most if limit is None else limit)
    points = chosen.points(samples)
    shown = chosen.beside(samples, points)
    reviewed = chosen.reviewed
    places = flat(points.of(np.concatenate([reviewed, chosen.background])), umap=umap)
    places = (places * 65_535).round()
    looks, sheets = samples.looks.packed(samples, shown)
    columns = {
        "given": (samples.given, "<u2"),
        "suggested": (samples.suggested, "<i2"),
        "probability": (samples.probability, "<f4"),
        "quality": (samples.quality, "<f4"),
        "weight": (samples.weight, "<f4"),
        "margin": (samples.margin, "<f4"),
        "issue": (samples.is_issue, "u1"),
    }
    page = {
        "key": run_key(samples),
        "total": len(samples),
        "count": shown.count,
        "issues": int(samples.is_issue.sum()),
        "classes": list(samples.classes),
        "ids": [samples.ids[i] for i in shown.members],
        "columns": {name: packed(v[reviewed], kind) for name, (v, kind) in columns.items()},
        "near": packed(shown.near, "<i4"),
        "classOf": packed(samples.given[shown.members], "<u2"),
        "map": packed(places[: shown.count], "<u2"),
        "background": packed(places[shown.count :], "<u2"),
        "noise": _noise(samples.noise),
        "looks": looks,
    }
    return page, sheets


def run_key(samples: Samples) -> str:
    """Return what tells ids and given labels apart from those of another run, in any order."""
    lines = sorted(zip(samples.ids, samples.given.tolist(), strict=True))
    told = json.dumps([samples.classes, lines])
    return hashlib.sha256(told.encode()).hexdigest()[:16]


def packed(values: np.ndarray, kind: str) -> str:
    """Return an array as base64 of its bytes."""
    return base64.b64encode(np.ascontiguousarray(values, dtype=kind).tobytes()).decode()


def _noise(noise: dict[str, Any] | None) -> dict[str, Any] | None:
    if noise is None:
        return None
    return {"rate": float(noise["rate"]), "interval": [float(end) for end in noise["interval"]]}
