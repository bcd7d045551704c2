"""Which engine computes the meta-gradient: by name, or by a probe on the first batch."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch.optim import Optimizer
from tqdm import tqdm

from mwnet.bilevel.forward_engine import forward_engine
from mwnet.bilevel.higher_engine import higher_engine
from mwnet.bilevel.step import Bilevel, Engine, MetaGradient
from mwnet.data.batches import Batch
from mwnet.errors import UserError, first_line
from mwnet.seeding import global_states, replayed

ENGINES: dict[str, Engine] = {"forward": forward_engine, "higher": higher_engine}

# How far two exact engines may be apart by rounding, relative to the largest entry.
TOLERANCE = {"float64": 1e-8, "float32": 1e-3, "bfloat16": 1e-1}
PROBE_SIZE = 16


class EngineChoice:
    """An engine that settles on its first call which one it is.

    Some operators have no forward-mode rule, and some drop tangents without a word. So ``auto``
    never assumes: it takes ``forward`` only after both engines have given the same meta-gradient on
    a slice of the first batch, in the dtype and memory format of the run.

    Args:
        wanted: "auto", "forward" or "higher".
        lean: see :func:`forward_engine`.
        precision: of the passes; "bfloat16" under autocast, None for that of the samples.
        say: told once, and only if ``auto`` has to fall back.
    """

    def __init__(
        self,
        wanted: str,
        *,
        lean: bool = False,
        precision: str | None = None,
        say: Callable[[str], Any] = tqdm.write,
    ) -> None:
        self.name = None if wanted == "auto" else wanted
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
            precision = self.precision or str(batch.x.dtype).removeprefix("torch.")
            tolerance = TOLERANCE[precision]
            reason = why_not_forward(problem, optimizer, batch, meta_batch, tolerance)
            self.name = "forward" if reason is None else "higher"
            if reason is not None:
                self.say(f"meta-gradient by the slower engine `higher`: {reason}")
        engine = ENGINES[self.name]
        if self.name == "forward" and self.lean:
            engine = partial(forward_engine, lean=True)
        try:
            return engine(problem, optimizer, batch, meta_batch)
        except NotImplementedError as error:
            raise UserError(
                f"the engine `{self.name}` cannot differentiate this: {first_line(error)}"
            ) from error

    def state_dict(self) -> dict[str, Any]:
        """The choice, so that a resumed run computes with the engine that it began with."""
        return {"name": self.name}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over an earlier choice."""
        self.name = state["name"]


def why_not_forward(
    problem: Bilevel, optimizer: Optimizer, batch: Batch, meta_batch: Batch, tolerance: float
) -> str | None:
    """None if both engines agree on a slice of the batch, else a clause that says what is wrong.

    ``tolerance`` is relative to the largest entry of the meta-gradient.
    Buffers and random numbers are left as they were.

    Raises:
        UserError: the network has no double backward, so there is nothing to compare with.
    """
    if problem.inner_steps != 1:
        return f"{problem.inner_steps} look-ahead steps"
    batch, meta_batch = _slice(batch), _slice(meta_batch)
    device = batch.x.device
    before = global_states(device)
    buffers = {name: buffer.clone() for name, buffer in problem.classifier.named_buffers()}
    try:
        with replayed(before, device):
            forward = forward_engine(problem, optimizer, batch, meta_batch)
    except Exception as error:  # whatever an operator without a forward-mode rule raises
        return f"forward-mode differentiation failed ({first_line(error)})"
    finally:
        for name, buffer in problem.classifier.named_buffers():
            buffer.copy_(buffers[name])
    try:
        with replayed(before, device):
            reference = higher_engine(problem, optimizer, batch, meta_batch)
    except RuntimeError as error:
        raise UserError(
            f"`higher` cannot check the engine forward on this network ({first_line(error)}): "
            "--engine forward takes it unchecked"
        ) from error
    largest = max(float(gradient.abs().max()) for gradient in reference.theta)
    scale = max(largest, torch.finfo(reference.theta[0].dtype).tiny)  # all zero: agree exactly
    apart = max(
        float((a - b).abs().max()) for a, b in zip(forward.theta, reference.theta, strict=True)
    )
    if not apart <= tolerance * scale:
        off = f"{apart / scale:.1e}"
        return f"forward mode is off by {off} on this network, more than {tolerance:.0e}"
    return None


def _slice(batch: Batch) -> Batch:
    return Batch(batch.index[:PROBE_SIZE], batch.x[:PROBE_SIZE], batch.y[:PROBE_SIZE])
