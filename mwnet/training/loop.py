"""The only loop over training steps; every way of training uses it."""

from collections.abc import Iterator
from typing import Any, Protocol

from mwnet.core.world import world
from mwnet.data.batches import Batch
from mwnet.methods import Context


class Trainable(Protocol):
    """The interface of what takes steps: a method, or networks that are trained together."""

    epoch: int

    def begin_epoch(self, context: Context) -> None: ...

    def step(self, batch: Batch, meta_batch: Batch | None) -> dict[str, Any]: ...


class Steps(Protocol):
    """The interface of batches by the number of the step, counted from the start."""

    def __len__(self) -> int:
        """Return the number of steps in one pass over the samples."""
        ...

    def __getitem__(self, step: int) -> Batch | None: ...


def steps(
    trained: Trainable, train: Any, meta: Any = None, *, start: int = 0, stop: int
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Take training steps.

    Args:
        trained: a method. Its ``epoch`` is set before each step, and ``begin_epoch`` is called
            before the first step of each epoch.
        train: ``Steps`` of training samples.
        meta: ``Steps`` of meta samples, or None where there are none.
        start: steps that have been taken before.
        stop: steps in all, those before included.

    Yields:
        The number of steps taken so far, and what the last one reported, summed over processes.
    """
    context = Context(train, meta)
    for step in range(start, stop):
        trained.epoch = step // len(train)
        if step % len(train) == 0:
            trained.begin_epoch(context)
        report = trained.step(train[step], None if meta is None else meta[step])
        yield step + 1, world().report(report)
