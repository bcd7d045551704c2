"""Decode many files in worker processes, in their order, holding few of them at a time."""

import multiprocessing
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from mwnet.core.errors import UserError

BATCH = 16
"""Files in a batch. Small batches of a network's activations stay in a processor's cache."""
FEW = 64
"""Files for which starting processes takes longer than decoding."""
MOST = 16
"""Processes at most: more wait for the disk and for whoever takes the batches."""

Read = Callable[[Path], np.ndarray]


class _Files(Dataset):
    """What was read of each file, or the sentence why it could not be."""

    def __init__(self, files: Sequence[Path], read: Read) -> None:
        self.files, self.read = files, read

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, place: int) -> np.ndarray | str:
        try:
            return self.read(self.files[place])
        except UserError as error:
            return str(error)


def _together(items: list[np.ndarray | str]) -> np.ndarray | list[str | None]:
    """One array, which goes through a pipe: shared memory is scarce in containers."""
    arrays = [item for item in items if isinstance(item, np.ndarray)]
    if len(arrays) == len(items):
        return np.stack(arrays)
    return [item if isinstance(item, str) else None for item in items]


def _batches(
    files: Sequence[Path], read: Read, workers: int | None
) -> Iterator[np.ndarray | list[str | None]]:
    count = worker_count(len(files)) if workers is None else workers
    loader = DataLoader(
        _Files(files, read),
        batch_size=BATCH,
        num_workers=count,
        collate_fn=_together,
        # Forked workers need no importable main module and get any function.
        multiprocessing_context="fork" if count else None,
        generator=torch.Generator(),  # else it draws from the global one
    )
    yield from loader


def decoded(
    files: Sequence[Path], read: Read, *, workers: int | None = None, advice: str = ""
) -> Iterator[np.ndarray]:
    """Read files and yield their arrays, stacked in batches, in the order of the files.

    Args:
        files: any number of them; a few batches are held at a time.
        read: makes an array of a file, of one shape and dtype for all.
        workers: processes; None: by the number of CPUs and files.
        advice: ends the message about a file that cannot be read.

    Raises:
        UserError: the first file that ``read`` refuses with one.
    """
    for batch in _batches(files, read, workers):
        if not isinstance(batch, np.ndarray):
            message = next(text for text in batch if text is not None)
            raise UserError(f"{message}; {advice}" if advice else message)
        yield batch


def unreadable(files: Sequence[Path], read: Read) -> list[int]:
    """Return positions of the files that ``read`` refuses with a ``UserError``."""
    found, at = [], 0
    for batch in _batches(files, read, None):
        if not isinstance(batch, np.ndarray):
            found += [at + place for place, text in enumerate(batch) if text is not None]
        at += len(batch)
    return found


def worker_count(files: int) -> int:
    """How many processes decode so many files: none for few, or where they cannot be forked."""
    daemon = multiprocessing.current_process().daemon  # which may have no children
    if files <= FEW or daemon or not sys.platform.startswith("linux"):
        return 0
    cpus = len(os.sched_getaffinity(0))
    return min(cpus, MOST) if cpus > 1 else 0
