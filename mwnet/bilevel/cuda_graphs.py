"""A training step recorded once and then replayed as a CUDA graph.

A small network spends its step on launching kernels one by one: ResNet-32 has about 1,300 of them
in a bilevel step. A graph launches them all at once. It repeats the same kernels on the same
memory, so batches are copied to where the recorded one was, the learning rate is a tensor, and
nothing in the step may look at a value on the host.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol

import torch
from torch import Tensor

from mwnet.core.errors import UserError
from mwnet.core.seeding import global_states
from mwnet.data.batches import Batch

Report = dict[str, Tensor]
Update = Callable[[Batch, Batch | None], Report]
"""What a method does to its parameters in one step."""

WARM_UP = 3


class Graphs(Protocol):
    """How steps are recorded; a stand-in serves the tests where there is no GPU."""

    def eagerly(self, function: Callable[[], Report]) -> Report:
        """Run it as it is, so that all buffers exist before recording."""
        ...

    def record(self, function: Callable[[], Report]) -> tuple[Callable[[], Any], Report]:
        """Note what it does without doing it: (repeat it, where its results will lie)."""
        ...


class CudaGraphs:
    """The real ones."""

    def eagerly(self, function: Callable[[], Report]) -> Report:
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            report = function()
        torch.cuda.current_stream().wait_stream(side)
        return report

    def record(self, function: Callable[[], Report]) -> tuple[Callable[[], Any], Report]:
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            report = function()
        return graph.replay, report


@dataclass(frozen=True)
class _Recording:
    batches: list[Batch]
    replay: Callable[[], Any]
    report: Report


class Captured:
    """An update that is recorded after a few calls, once for each kind of step.

    Kinds differ in the shapes of their batches and in whether there is a meta batch.

    Args:
        update: draws no random numbers and reads nothing back to the host.
        graphs: how to record.
    """

    def __init__(self, update: Update, graphs: Graphs | None = None) -> None:
        self.update = update
        self.graphs = CudaGraphs() if graphs is None else graphs
        self.calls: Counter[tuple] = Counter()
        self.recordings: dict[tuple, _Recording] = {}

    def __call__(self, batch: Batch, meta_batch: Batch | None) -> Report:
        """One step.

        Raises:
            UserError: the update draws random numbers (dropout): a replay would repeat them.
        """
        batches = [batch] if meta_batch is None else [batch, meta_batch]
        kind = tuple(b.x.shape for b in batches)
        self.calls[kind] += 1
        if self.calls[kind] <= WARM_UP:
            return self._warm_up(batch, meta_batch)
        if kind not in self.recordings:
            still = [replace(b, **{n: t.clone() for n, t in _tensors(b)}) for b in batches]
            still_meta = None if meta_batch is None else still[1]
            replay, report = self.graphs.record(lambda: self.update(still[0], still_meta))
            self.recordings[kind] = _Recording(still, replay, report)
        recording = self.recordings[kind]
        for there, here in zip(recording.batches, batches, strict=True):
            for (_, target), (_, source) in zip(_tensors(there), _tensors(here), strict=True):
                target.copy_(source)
        recording.replay()
        return {name: value.clone() for name, value in recording.report.items()}

    def _warm_up(self, batch: Batch, meta_batch: Batch | None) -> Report:
        device = batch.x.device
        before = global_states(device)
        report = self.graphs.eagerly(lambda: self.update(batch, meta_batch))
        after = global_states(device)
        if any(not torch.equal(before[name], after[name]) for name in before):
            raise UserError(
                "`cuda_graphs` cannot repeat a network that draws random numbers (dropout): "
                "leave it out"
            )
        return report


def _tensors(batch: Batch) -> list[tuple[str, Tensor]]:
    return [(name, value) for name, value in vars(batch).items() if value is not None]
