"""Which samples are alike: the nearest ones of a class, and a map of all."""

import importlib.util
from dataclasses import dataclass

import numpy as np
import torch

from mwnet.reviewing.reviewed import Samples, Shown

NEIGHBOURS = 3
WIDTH = 32
"""Principal components in which distances are measured."""
FITTED = 5_000
"""Samples that principal components are fitted on at most."""
POOL, POOLS = 20_000, 100_000
"""Samples of a class, and of all, among which neighbours are looked for at most."""
DISTANCES = 10_000_000
"""Distances that are in memory at once."""
BACKGROUND = 3_000
"""Samples at most that the map shows besides those that are reviewed."""


@dataclass(frozen=True)
class Points:
    """Where some samples lie.

    Attributes:
        rows: ``(m,)`` positions of the samples, ascending.
        values: ``(m, k)``.
    """

    rows: np.ndarray
    values: np.ndarray

    def of(self, rows: np.ndarray) -> np.ndarray:
        """Return where samples lie that are among them."""
        return self.values[np.searchsorted(self.rows, rows)]


@dataclass(frozen=True)
class Chosen:
    """The samples that a page is made of.

    Attributes:
        reviewed: ``(m,)`` the most suspect, in that order.
        pools: by class, those among which its neighbours are.
        background: those that only the map shows.
    """

    reviewed: np.ndarray
    pools: dict[int, np.ndarray]
    background: np.ndarray

    @staticmethod
    def of(samples: Samples, count: int) -> "Chosen":
        """Choose the most suspect samples, and those that may stand beside them.

        A neighbour is of a class by its given label. Labels that are called wrong show no class, so
        they are taken only where a class has no three others.

        Args:
            samples: all that there are.
            count: of samples to review.
        """
        rng = np.random.default_rng(0)
        reviewed = np.argsort(samples.quality, kind="stable")[:count]
        wanted = np.unique([samples.given[reviewed], samples.suggested[reviewed]])
        most = min(POOL, POOLS // len(samples.classes))
        pools = {}
        for label in wanted[wanted >= 0].tolist():
            pool = np.flatnonzero((samples.given == label) & ~samples.is_issue)
            if len(pool) <= NEIGHBOURS:
                pool = np.flatnonzero(samples.given == label)
            if len(pool) > most:
                pool = np.sort(rng.choice(pool, most, replace=False))
            if len(pool):
                pools[label] = pool
        rest = np.setdiff1d(np.arange(len(samples)), reviewed)
        return Chosen(reviewed, pools, np.sort(rng.permutation(rest)[:BACKGROUND]))

    def points(self, samples: Samples) -> Points:
        """Return where all of them lie, by at most 32 principal components of their features."""
        rows = np.unique(np.concatenate([self.reviewed, *self.pools.values(), self.background]))
        features = samples.features(rows).astype(np.float32)
        wide = features.shape[1] > WIDTH
        return Points(rows, components(features, WIDTH) if wide else features)

    def beside(self, samples: Samples, points: Points) -> Shown:
        """Find the nearest samples of the given and of the suggested class."""
        reviewed = self.reviewed
        near = np.full((len(reviewed), 2, NEIGHBOURS), -1)
        wanted = np.stack([samples.given[reviewed], samples.suggested[reviewed]], axis=1)
        for label, pool in self.pools.items():
            rows, sides = np.nonzero(wanted == label)
            # One more than are shown: a sample is no neighbour of its own.
            count = min(NEIGHBOURS + 1, len(pool))
            found = pool[_nearest(points.of(reviewed[rows]), points.of(pool), count)]
            for row, side, ones in zip(rows, sides, found, strict=True):
                others = ones[ones != reviewed[row]][:NEIGHBOURS]
                near[row, side, : len(others)] = others
        members = np.concatenate([reviewed, np.setdiff1d(near[near >= 0], reviewed)])
        place = np.full(len(samples) + 1, -1)
        place[members] = np.arange(len(members))
        return Shown(members, len(reviewed), place[near])


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
        places = components(points, 2)
        if places.shape[1] < 2:
            places = np.hstack([places, np.zeros((len(places), 2 - places.shape[1]))])
    low, high = np.quantile(places, (0.01, 0.99), axis=0)
    return np.clip((places - low) / np.where(high > low, high - low, 1), 0, 1)


def _nearest(points: np.ndarray, pool: np.ndarray, count: int) -> np.ndarray:
    """Return ``(n, count)`` which of ``(m, k)`` points are nearest to each of ``(n, k)``."""
    parts = torch.from_numpy(points).split(max(1, DISTANCES // len(pool)))
    others = torch.from_numpy(pool)
    near = [torch.cdist(part, others).topk(count, largest=False).indices for part in parts]
    return torch.cat(near).numpy()


def components(features: np.ndarray, width: int) -> np.ndarray:
    """Return ``(n, width)``, the first principal components of ``(n, d)`` features."""
    if len(features) < 2:
        return features[:, :width]
    rows = np.random.default_rng(0).permutation(len(features))[:FITTED]
    few = min(width, features.shape[1], len(rows))
    x = torch.from_numpy(features)
    centre = x[rows].mean(0)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)  # of the random directions that it begins with
        _, _, directions = torch.pca_lowrank(x[rows] - centre, few, center=False)
    return ((x - centre) @ directions).numpy()
