"""What is reviewed: training samples, what was found out about them, and how each one looks."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

Sheets = list[tuple[str, bytes]]
"""Pictures of many samples: the type of the file, and its bytes."""


@dataclass(frozen=True)
class Shown:
    """The samples of a page.

    Attributes:
        members: ``(M,)`` positions of the samples whose looks are in the page: the ``count`` that
            are reviewed, most suspect first, then those that are shown beside them.
        count: number of samples that are reviewed.
        near: ``(count, 2, k)`` places among ``members``: the nearest samples of the given class,
            then those of the suggested one; -1 where there are fewer.
    """

    members: np.ndarray
    count: int
    near: np.ndarray

    @property
    def reviewed(self) -> np.ndarray:
        """``(count,)`` positions of the samples that are reviewed."""
        return self.members[: self.count]


class Looks(Protocol):
    """How samples look: as pictures, rows of a table, or texts."""

    @property
    def most(self) -> int:
        """Number of samples that a page reviews if nobody says how many."""
        ...

    def rows(self, rows: np.ndarray) -> "Looks":
        """Return how some of them look, in the order of their positions."""
        ...

    def packed(self, samples: "Samples", shown: Shown) -> tuple[dict[str, Any], Sheets]:
        """Return what the page needs to show some samples, as plain values and pictures."""
        ...


@dataclass(frozen=True)
class Samples:
    """n training samples, in any order.

    Attributes:
        ids: ``(n,)`` different texts, as in ``label_quality.csv`` or the index of the issues.
        classes: ``(K,)`` different names.
        given: ``(n,)`` class of the given label.
        suggested: ``(n,)`` the most probable other class, -1 where none is known.
        probability: ``(n,)`` of the suggested class, NaN where it is not known.
        quality: ``(n,)`` score in [0, 1], low = suspect.
        weight: ``(n,)`` how much the sample counts in training.
        margin: ``(n,)`` log probability of the given label minus that of the best other one.
        is_issue: ``(n,)`` whether the label is called wrong.
        features: ``(m,)`` positions -> ``(m, d)`` features, in which near samples look alike.
        looks: how each one looks.
        noise: ``rate`` of wrong labels and its ``interval``, as in ``summary.json``, or None.
    """

    ids: tuple[str, ...]
    classes: tuple[str, ...]
    given: np.ndarray
    suggested: np.ndarray
    probability: np.ndarray
    quality: np.ndarray
    weight: np.ndarray
    margin: np.ndarray
    is_issue: np.ndarray
    features: Callable[[np.ndarray], np.ndarray]
    looks: Looks
    noise: dict[str, Any] | None = None

    def __len__(self) -> int:
        return len(self.ids)
