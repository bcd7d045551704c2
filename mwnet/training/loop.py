"""The loop over training steps: the only one, whoever trains."""

from collections.abc import Iterator
from typing import Any, Protocol

from mwnet.data.batches import Batch
from mwnet.methods import Context


class Trainable(Protocol):
    """What takes steps: a method, or a group of networks that are trained together."""

    epoch: int

    def begin_epoch(self, context: Context) -> None: ...

    def step(self, batch: Batch, meta_batch: Batch | None) -> dict[str, Any]: ...


class Steps(Protocol):
    """Batches by the number of the step, counted from the start of the training."""

    def __len__(self) -> int:
        """Steps in one pass over the samples."""
        ...

    def __getitem__(self, step: int) -> Batch | None: ...


def steps(
    trained: Trainable, train: Any, meta: Any = None, *, start: int = 0, stop: int
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Take training steps.

    Args:
        trained: a method; told its epoch and the beginning of each.
        train: ``Steps`` of training samples.
        meta: ``Steps`` of meta samples, or None where there are none.
        start: steps that have been taken before.
        stop: steps in all, those before included.

    Yields:
        The number of steps taken so far, and what the last one reported.
    """
    context = Context(train, meta)
    for step in range(start, stop):
        trained.epoch = step // len(train)
        if step % len(train) == 0:
            trained.begin_epoch(context)
        report = trained.step(train[step], None if meta is None else meta[step])
        yield step + 1, report
