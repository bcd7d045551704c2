"""Which engine computes the meta-gradient: by name, or by a probe on the first batch."""

import logging
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import cycle, islice
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from mwnet.bilevel import inputs
from mwnet.bilevel.differentiable import differentiable
from mwnet.bilevel.forward_engine import forward_engine
from mwnet.bilevel.ghost_engine import ghost_engine
from mwnet.bilevel.higher_engine import higher_engine
from mwnet.bilevel.step import Bilevel, Engine, MetaGradient
from mwnet.core.errors import UserError, first_line
from mwnet.core.seeding import global_states, replayed
from mwnet.core.world import alone, world
from mwnet.data.batches import Batch

_log = logging.getLogger(__name__)

FAST: dict[str, Any] = {"ghost": ghost_engine, "forward": forward_engine}
"""Exact for one look-ahead step and networks that they can take; the fastest one first."""
ENGINES: dict[str, Engine] = {**FAST, "higher": higher_engine}

# How far two exact engines may be apart by rounding, relative to the largest entry.
TOLERANCE = {"float64": 1e-8, "float32": 1e-3, "float16": 3e-2, "bfloat16": 1e-1}
PROBE_SIZE, PROBES = 16, 3
KINK = 0.1
"""More than one activation on the other side of a kink can change the gradient, in its own unit."""


class EngineChoice:
    """An engine that settles on its first call which one it is.

    In some networks samples meet, some operators have no forward-mode rule, and some drop tangents
    without a word. So ``auto`` never assumes: it takes ``ghost``, or else ``forward``, only after
    it has given the same meta-gradient as ``higher`` on a slice of the first batch, in the dtype
    and memory format of the run.

    Args:
        wanted: "auto", "ghost", "forward" or "higher".
        lean: see ``ghost_engine`` and ``forward_engine``.
        precision: of the passes, a name in TOLERANCE; None to see what the network computes in.
        say: told once, and only if ``auto`` has to fall back on ``higher``; by default a logger's
            warning.

    Attributes:
        name: of the engine, None before it is chosen.
        passed_over: why ``auto`` took no faster engine, None if there is none.
    """

    def __init__(
        self,
        wanted: str,
        *,
        lean: bool = False,
        precision: str | None = None,
        say: Callable[[str], Any] = _log.warning,
    ) -> None:
        self.name = None if wanted == "auto" else wanted
        self.passed_over: str | None = None
        self.lean = lean
        self.precision = precision
        self.say = say

    def __call__(
        self, problem: Bilevel, optimizer: Optimizer, batch: Batch, meta_batch: Batch
    ) -> MetaGradient:
        """Choose if nothing has been chosen yet, and compute.

        Raises:
            UserError: an operator that the engine cannot differentiate.
        """
        if self.name is None:
            self._choose(problem, optimizer, batch, meta_batch)
        assert self.name is not None
        engine = ENGINES[self.name]
        if self.lean and self.name in FAST:
            engine = partial(FAST[self.name], lean=True)
        try:
            return engine(problem, optimizer, batch, meta_batch)
        except NotImplementedError as error:
            raise UserError(
                f"the engine `{self.name}` cannot differentiate this: {first_line(error)}"
            ) from error

    def _choose(
        self, problem: Bilevel, optimizer: Optimizer, batch: Batch, meta_batch: Batch
    ) -> None:
        precision = self.precision or precision_of(problem, batch, meta_batch)
        reasons = []
        for name in FAST:
            with alone():
                reason = why_not(name, problem, optimizer, batch, meta_batch, TOLERANCE[precision])
            if world().most(None if reason is None else 1) is None:
                self.name = name
                break
            reason = reason or f"{name} failed in another process"
            if reason not in reasons:
                reasons.append(reason)
        else:
            self.name = "higher"
            self.say(f"meta-gradient by the slower engine `higher`: {'; '.join(reasons)}")
        self.passed_over = "; ".join(reasons) or None

    def state_dict(self) -> dict[str, Any]:
        """The choice, so that a resumed run computes with the engine that it began with."""
        return {"name": self.name, "passed_over": self.passed_over}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over an earlier choice."""
        self.name = state["name"]
        self.passed_over = state.get("passed_over")


def why_not(
    name: str,
    problem: Bilevel,
    optimizer: Optimizer,
    batch: Batch,
    meta_batch: Batch,
    tolerance: float,
) -> str | None:
    """None if a fast engine agrees with `higher` on the batch, else a clause with what is wrong.

    A slice of the batch is compared; two more if they disagree on it, and then both must agree.
    ``tolerance`` is relative to the largest entry of the meta-gradient.
    Buffers and random numbers are left as they were.

    Raises:
        UserError: the network has no double backward, so there is nothing to compare with.
    """
    if problem.inner_steps != 1:
        return f"{problem.inner_steps} look-ahead steps"
    apart = (_apart(name, problem, optimizer, *pair) for pair in _slices(batch, meta_batch))
    try:
        first = next(apart)
        if first <= tolerance:
            return None
        # Where an activation is at the kink of a ReLU to rounding, the engines can take different
        # sides of it. That is rare, moves the gradient a little, and depends on the samples; a
        # wrong rule is wrong with all.
        others = list(apart) if first < KINK else []
    except _FastFailedError as error:
        return f"{name} failed ({error})"
    if others and all(other <= tolerance for other in others):
        return None
    return f"{name} is off by {first:.1e} on this network, more than {tolerance:.0e}"


def precision_of(problem: Bilevel, batch: Batch, meta_batch: Batch) -> str:
    """Name the coarsest floating-point type that the network computes in, a name in TOLERANCE.

    Parameters and outputs of all its modules count, so autocast inside the network does; the
    samples, which may be integers, do not. Takes one plain pass for a slice of each batch, so what
    network and losses raise on these samples is raised from here, as it is.
    Buffers and random numbers are left as they were.
    """
    device = inputs.device_of(batch.x)
    network = problem.classifier
    seen = {parameter.dtype for parameter in network.parameters()}

    def note(module: nn.Module, arguments: Any, output: Any) -> None:
        seen.update(tensor.dtype for tensor in inputs.tensors(output))

    handles = [module.register_forward_hook(note) for module in network.modules()]
    try:
        with torch.no_grad(), differentiable(), replayed(global_states(device), device):
            for samples, loss in ((batch, problem.loss), (meta_batch, problem.meta_loss)):
                first = next(_split(samples))
                loss(inputs.call_at(network, {}, first.x), first.y)
    finally:
        for handle in handles:
            handle.remove()
    known = [dtype for dtype in seen if _name(dtype) in TOLERANCE]
    return max(map(_name, known), key=lambda name: TOLERANCE[name], default="float32")


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


class _FastFailedError(Exception):
    """An operator raised; the message is the first line of what it said."""


def _apart(
    name: str, problem: Bilevel, optimizer: Optimizer, batch: Batch, meta_batch: Batch
) -> float:
    """Largest difference from `higher`, relative to the largest entry of the gradient."""
    device = inputs.device_of(batch.x)
    before = global_states(device)
    buffers = {each: buffer.clone() for each, buffer in problem.classifier.named_buffers()}
    try:
        with replayed(before, device):
            fast = FAST[name](problem, optimizer, batch, meta_batch)
    except UserError:
        raise
    except Exception as error:  # whatever an operator without a rule raises
        raise _FastFailedError(first_line(error)) from error
    finally:
        for each, buffer in problem.classifier.named_buffers():
            buffer.copy_(buffers[each])
    try:
        with replayed(before, device):
            reference = higher_engine(problem, optimizer, batch, meta_batch)
    except UserError:
        raise
    except Exception as error:  # no double backward, or a module that `higher` cannot take apart
        raise UserError(
            f"`higher` cannot check the engine {name} on this network ({first_line(error)}): "
            f"`engine={name!r}` takes it unchecked"
        ) from error
    scale = max(_largest(reference.theta), torch.finfo(reference.theta[0].dtype).tiny)
    return _largest(a - b for a, b in zip(fast.theta, reference.theta, strict=True)) / scale


def _largest(tensors: Iterable[Tensor]) -> float:
    """Largest absolute entry; NaN if there is one."""
    return float(torch.stack([tensor.abs().max() for tensor in tensors]).max())


def _slices(batch: Batch, meta_batch: Batch) -> Iterator[tuple[Batch, Batch]]:
    """The first slice of both batches, and up to two more."""
    parts, meta_parts = (list(_split(each)) for each in (batch, meta_batch))
    yield from islice(zip(parts, cycle(meta_parts), strict=False), PROBES)


def _split(batch: Batch) -> Iterator[Batch]:
    """Slices of the probe's size; what is left over is no slice, unless it is all there is."""
    size = min(PROBE_SIZE, len(batch.y))
    for start in range(0, len(batch.y) - size + 1, size):
        part = slice(start, start + size)
        weight = None if batch.weight is None else batch.weight[part]
        x = inputs.part(batch.x, part)
        yield Batch(batch.index[part], x, batch.y[part], weight=weight)
