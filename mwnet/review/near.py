"""Which samples are alike: the nearest ones of a class, and a map of all."""

import importlib.util
from typing import Any

import numpy as np

from mwnet.review.samples import Samples, Shown

NEIGHBOURS = 3
WIDTH = 32
"""Principal components in which distances are measured."""
FITTED = 5_000
"""Samples that principal components are fitted on at most."""
POOL = 20_000
"""Samples of a class among which neighbours are looked for at most."""


def reduced(features: np.ndarray) -> np.ndarray:
    """Return ``(n, d)`` features as ``(n, k)`` with k of at most 32, by principal components."""
    return features if features.shape[1] <= WIDTH else _components(features, WIDTH)


def shown(samples: Samples, points: np.ndarray, count: int) -> Shown:
    """Choose the most suspect samples, and those that are shown beside them.

    A neighbour is of the class by its given label. Labels that are called wrong show no class, so
    they are taken only where a class has no three others.

    Args:
        samples: all that there are.
        points: ``(n, k)`` where they lie.
        count: of samples to review.
    """
    from sklearn.neighbors import NearestNeighbors

    chosen = np.argsort(samples.quality, kind="stable")[:count]
    near = np.full((len(chosen), 2, NEIGHBOURS), -1)
    rng = np.random.default_rng(0)
    wanted = np.stack([samples.given[chosen], samples.suggested[chosen]], axis=1)
    for label in np.unique(wanted[wanted >= 0]):
        pool = np.flatnonzero((samples.given == label) & ~samples.is_issue)
        if len(pool) <= NEIGHBOURS:
            pool = np.flatnonzero(samples.given == label)
        if len(pool) > POOL:
            pool = np.sort(rng.choice(pool, POOL, replace=False))
        if not len(pool):
            continue
        rows, sides = np.nonzero(wanted == label)
        # One more than are shown: a sample is no neighbour of its own.
        finder = NearestNeighbors(n_neighbors=min(NEIGHBOURS + 1, len(pool)), algorithm="brute")
        found = pool[finder.fit(points[pool]).kneighbors(points[chosen[rows]])[1]]
        for row, side, ones in zip(rows, sides, found, strict=True):
            others = ones[ones != chosen[row]][:NEIGHBOURS]
            near[row, side, : len(others)] = others
    beside = np.setdiff1d(near[near >= 0], chosen)
    members = np.concatenate([chosen, beside])
    place = np.full(len(samples) + 1, -1)
    place[members] = np.arange(len(members))
    return Shown(members, len(chosen), place[near])


def flat(points: np.ndarray, *, umap: bool) -> np.ndarray:
    """Return ``(n, 2)`` coordinates in [0, 1] of a map on which near samples lie near.

    Args:
        points: ``(n, k)``.
        umap: by UMAP, where the package ``umap-learn`` is installed; else by principal components.
    """
    if umap and importlib.util.find_spec("umap") is not None and len(points) > WIDTH:
        import umap as umap_learn  # pyright: ignore[reportMissingImports]

        places = np.asarray(umap_learn.UMAP(random_state=0).fit_transform(points))
    else:
        places = _components(points, 2)
        if places.shape[1] < 2:
            places = np.hstack([places, np.zeros((len(places), 2 - places.shape[1]))])
    low, high = np.quantile(places, (0.002, 0.998), axis=0)
    return np.clip((places - low) / np.where(high > low, high - low, 1), 0, 1)


def _components(features: np.ndarray, width: int) -> np.ndarray:
    from sklearn.decomposition import PCA

    if len(features) < 2:
        return features[:, :width]
    rows = np.random.default_rng(0).permutation(len(features))[:FITTED]
    few = min(width, features.shape[1], len(rows))
    solver: Any = "covariance_eigh" if features.shape[1] <= 2_000 else "randomized"
    with np.errstate(invalid="ignore"):  # of samples that are all the same
        fitted = PCA(few, svd_solver=solver, random_state=0).fit(features[rows])
    return fitted.transform(features)
