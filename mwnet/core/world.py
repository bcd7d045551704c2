"""The processes that train together, and sums over all of them.

Every reduction over a batch is a plain sum with an explicit denominator. So processes that hold a
share of each batch get the result of one process from sums alone. In one process nothing happens.
"""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch import distributed as dist

from mwnet.core.errors import UserError, first_line
from mwnet.core.launch import launched

Slope = TypeVar("Slope", Tensor, "Tensor | None")
PATIENCE = timedelta(days=1)
"""A process may wait so long; one that has ended is noticed at once."""


class LostProcess(UserError):
    """Another process of the training has ended."""

    def __init__(self, error: Exception) -> None:
        super().__init__("another process of this training has ended")
        self.__cause__ = error


class _Sum(torch.autograd.Function):
    """Sum a tensor over the processes; can be differentiated any number of times, in both modes.

    Each process holds a part of what is computed from the sum, so slopes are summed too.
    """

    @staticmethod
    def forward(x: Tensor) -> Tensor:
        total = x.clone(memory_format=torch.contiguous_format)
        _collect(lambda: dist.all_reduce(total))
        return total

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        pass

    @staticmethod
    def backward(ctx: Any, *slopes: Any) -> Any:
        return _Sum.apply(slopes[0])

    @staticmethod
    def jvp(ctx: Any, *slopes: Any) -> Any:
        return _Sum.apply(slopes[0])


@dataclass(frozen=True)
class World:
    """The processes of a training; all of them call the same methods in the same order.

    Attributes:
        size: how many there are.
        rank: number of this one, from 0.
    """

    size: int = 1
    rank: int = 0

    @property
    def leads(self) -> bool:
        """Whether this process is the one that writes and prints."""
        return self.rank == 0

    def share(self, samples: int) -> slice:
        """Return which of the samples of a batch are this process's; shares differ by at most 1."""
        each, more = divmod(samples, self.size)
        start = self.rank * each + min(self.rank, more)
        return slice(start, start + each + (self.rank < more))

    def total(self, x: Tensor) -> Tensor:
        """Sum a tensor over the processes, differentiably."""
        if self.size == 1:
            return x
        total: Any = _Sum.apply(x)
        return total

    def sums(self, tensors: Sequence[Slope]) -> list[Slope]:
        """Sum tensors over the processes, as one flat vector; None stays None."""
        if self.size == 1:
            return list(tensors)
        known = [tensor for tensor in tensors if tensor is not None]
        if not known:
            return list(tensors)
        flat = self.total(torch.cat([tensor.reshape(-1) for tensor in known]))
        parts = iter(flat.split([tensor.numel() for tensor in known]))
        found: list[Any] = [
            None if like is None else next(parts).view_as(like).to(like.dtype) for like in tensors
        ]
        return found

    def report(self, parts: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Sum named numbers of which each process has a part."""
        return dict(zip(parts, self.sums(list(parts.values())), strict=True))

    def sum_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Sum the ``.grad`` of parameters over the processes, in place."""
        if self.size == 1:
            return
        having = [p for p in parameters if p.grad is not None]
        for parameter, slope in zip(having, self.sums([p.grad for p in having]), strict=True):
            parameter.grad = slope

    def count(self, rows: Tensor) -> int | Tensor:
        """Count the rows that all processes have."""
        if self.size == 1:
            return len(rows)
        return self.total(torch.tensor(len(rows), dtype=rows.dtype, device=rows.device))

    def mean(self, losses: Tensor) -> Tensor:
        """Return this process's part of the mean of the losses of all: the parts sum to it."""
        return losses.mean() if self.size == 1 else losses.sum() / self.count(losses)

    def gather(self, rows: Tensor) -> Tensor:
        """Put the rows of all processes together, in the order of their shares."""
        if self.size == 1:
            return rows
        sizes = torch.zeros(self.size, dtype=torch.int64, device=rows.device)
        sizes[self.rank] = len(rows)
        sizes = self.total(sizes).tolist()
        padded = rows.new_zeros(max(sizes), *rows.shape[1:])
        padded[: len(rows)] = rows
        parts = [torch.empty_like(padded) for _ in sizes]
        _collect(lambda: dist.all_gather(parts, padded))
        return torch.cat([part[:size] for part, size in zip(parts, sizes, strict=True)])

    def most(self, number: int | None) -> int | None:
        """Return the largest of the numbers that processes have, None if none has one."""
        if self.size == 1:
            return number
        largest = torch.tensor(-1 if number is None else number)
        _collect(lambda: dist.all_reduce(largest, dist.ReduceOp.MAX))
        return None if int(largest) < 0 else int(largest)

    @contextmanager
    def agreed(self) -> Iterator[None]:
        """Do something that may fail in some of the processes; then it has failed in all.

        Raises:
            UserError: what the first process says in which it failed.
        """
        error = None
        try:
            yield
        except UserError as found:
            error = found
        said: list[str | None] = [None] * self.size
        if self.size > 1:
            mine = None if error is None else str(error)
            _collect(lambda: dist.all_gather_object(said, mine))
        if error is None and any(said):
            raise UserError(next(text for text in said if text))
        if error is not None:
            raise error


_alone = World()
_world = _alone


def world() -> World:
    """Return the processes that train together; one alone unless ``together`` says otherwise."""
    return _world


@contextmanager
def together() -> Iterator[World]:
    """Within the block this process trains with those that torchrun has started beside it.

    Raises:
        UserError: the processes cannot reach each other.
    """
    global _world  # noqa: PLW0603  (torch's process group is of the process, too)
    found = launched()
    if found is None:
        yield _alone
        return
    backend = "gloo"
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]) % torch.cuda.device_count())
        backend = "cpu:gloo,cuda:nccl"
    try:
        dist.init_process_group(backend, timeout=PATIENCE)
    except (RuntimeError, ValueError) as error:
        raise UserError(f"the processes cannot reach each other: {first_line(error)}") from error
    _world = World(*found)
    try:
        yield _world
    finally:
        _world = _alone
        dist.destroy_process_group()


@contextmanager
def alone() -> Iterator[None]:
    """Within the block this process does something by itself, and has all samples of a batch."""
    global _world  # noqa: PLW0603
    before, _world = _world, _alone
    try:
        yield
    finally:
        _world = before


def _collect(call: Any) -> None:
    """Exchange something with the other processes.

    Raises:
        LostProcess: one of them is no longer there.
    """
    try:
        call()
    except RuntimeError as error:
        raise LostProcess(error) from error
