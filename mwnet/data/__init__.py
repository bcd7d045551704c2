"""Data: sources that load a set, one split for every seed, and batches that stay on the device."""

from mwnet.data.batches import Batch, Batches, Pixels
from mwnet.data.source import Source
from mwnet.data.split import Split, split

__all__ = ["Batch", "Batches", "Pixels", "Source", "Split", "split"]
