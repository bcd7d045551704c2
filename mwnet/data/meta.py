"""What a meta set is to those who use it, held out or chosen from training samples."""

from dataclasses import dataclass
from typing import Protocol

from mwnet.data.batches import Batch, Batches


class MetaSource(Protocol):
    """Meta batches by the number of the step; None where a step has none."""

    def __getitem__(self, step: int) -> Batch | None: ...


@dataclass(frozen=True)
class NextBatches:
    """The training batch of the next step as the meta batch of this one.

    The k-th batch is a function of the seed and k, so a resumed run sees the same ones.

    Attributes:
        train: the training batches.
    """

    train: Batches

    def __getitem__(self, step: int) -> Batch:
        return self.train[step + 1]
