"""What a meta set is to those who use it, held out or chosen from training samples."""

from typing import Protocol

from mwnet.data.batches import Batch


class MetaSource(Protocol):
    """Meta batches by the number of the step; None where a step has none."""

    def __getitem__(self, step: int) -> Batch | None: ...
