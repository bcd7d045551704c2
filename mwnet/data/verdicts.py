"""What a reviewer said about samples of a data set, and how much of it was wrong."""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

KEEP, CORRECT, UNSURE = VERDICTS = ("keep", "correct", "unsure")
Z = 1.96
"""Standard deviations to each side of a 95 % interval."""


@dataclass(frozen=True)
class Corrections:
    """What a reviewer said about samples of a data set.

    Attributes:
        where: the file, or the name of the argument.
        ids: ``(m,)`` int64 ids of the samples that were looked at.
        verdicts: ``(m,)`` of each: keep, correct or unsure.
        labels: ``(m,)`` int64 class that each has from now on; of unsure ones the given class.
    """

    where: str
    ids: Tensor
    verdicts: tuple[str, ...]
    labels: Tensor

    def of(self, *verdicts: str) -> Tensor:
        """Return the ids of samples with one of these verdicts, ascending."""
        chosen = torch.tensor([verdict in verdicts for verdict in self.verdicts], dtype=torch.bool)
        return self.ids[chosen].sort().values

    @property
    def trusted(self) -> Tensor:
        """Ids of the samples whose label a reviewer has kept or corrected, ascending."""
        return self.of(KEEP, CORRECT)

    def corrected(self, given: Tensor) -> Tensor:
        """Return ``(n,)`` labels with the corrected ones in their places."""
        labels = given.clone()
        labels[self.ids] = self.labels
        return labels

    def verdict_of(self) -> dict[int, str]:
        """Return the verdict by sample id."""
        return dict(zip(self.ids.tolist(), self.verdicts, strict=True))

    def described(self) -> dict[str, Any]:
        """Count the verdicts, and estimate from them what share of the looked-at labels is wrong.

        Returns:
            ``kept``, ``corrected``, ``unsure``; ``precision``, the share of corrected labels among
            those that were kept or corrected; its 95 % ``interval``.
        """
        kept, corrected, unsure = (self.verdicts.count(one) for one in VERDICTS)
        share, interval = precision(corrected, kept + corrected)
        return {
            "kept": kept,
            "corrected": corrected,
            "unsure": unsure,
            "precision": share,
            "interval": interval,
        }


def precision(wrong: int, looked_at: int) -> tuple[float | None, list[float] | None]:
    """Compute a share with its 95 % Wilson interval; None and None where nothing was looked at.

    Examples:
        >>> share, interval = precision(9, 10)
        >>> share, [round(end, 2) for end in interval or []]
        (0.9, [0.6, 0.98])
    """
    if not looked_at:
        return None, None
    share, square = wrong / looked_at, Z * Z / looked_at
    centre = (share + square / 2) / (1 + square)
    half = Z / (1 + square) * math.sqrt(share * (1 - share) / looked_at + square / looked_at / 4)
    return share, [max(0.0, centre - half), min(1.0, centre + half)]


def words(corrections: Corrections, *, left_out: bool) -> str:
    """Say in a sentence what was looked at, and how much of it was wrong.

    Args:
        corrections: of the run.
        left_out: whether unsure samples are left out.
    """
    counts = corrections.described()
    unsure = f"{counts['unsure']} unsure"
    if counts["unsure"]:
        unsure += ", which are left out" if left_out else ", which stay as they are"
    said = (
        f"{corrections.where}: {len(corrections.ids)} labels were looked at: "
        f"{counts['corrected']} corrected, {counts['kept']} kept, {unsure}"
    )
    if counts["precision"] is None:
        return said
    low, high = counts["interval"]
    return (
        f"{said}; of the labels looked at {counts['precision']:.0%} were wrong (95 % interval "
        f"{low:.0%} to {high:.0%}; it holds for the whole list if they were looked at in random "
        "order)"
    )
