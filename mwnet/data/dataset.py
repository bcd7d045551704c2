"""A data set that is ready to be trained on: samples on the device, labels, parts."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from mwnet.data.batches import Pixels
from mwnet.data.source import Source
from mwnet.data.split import Split
from mwnet.data.verdicts import Corrections


@dataclass(frozen=True)
class Dataset:
    """Samples, labels and parts.

    Attributes:
        source: the data as loaded.
        labels: ``(n,)`` int64 given labels by sample id, after noise and corrections, on
            the device.
        truth: ``(n,)`` int64 true labels by sample id where known, else None; for metrics only.
        matrix: ``(K, K)`` transition matrix of the added noise, or None.
        parts: which sample is in which part.
        pixels: the samples on the device.
        corrections: what a reviewer said about given labels, or None.
    """

    source: Source
    labels: Tensor
    truth: Tensor | None
    matrix: Tensor | None
    parts: Split
    pixels: Pixels
    corrections: Corrections | None = None

    @property
    def trusted(self) -> Tensor:
        """``(n,)`` whether a reviewer vouches for the label, by sample id."""
        trusted = torch.zeros(len(self.labels), dtype=torch.bool)
        if self.corrections is not None:
            trusted[self.corrections.trusted] = True
        return trusted

    @property
    def device(self) -> torch.device:
        """Where batches are."""
        return self.pixels.device

    @property
    def test_labels(self) -> Literal["true", "given"]:
        """Which labels accuracy on test data is measured with."""
        known = self.truth is not None or self.source.clean_test
        return "true" if known else "given"
