"""Random numbers: every purpose has its own generator, derived from the seed and a name.

A draw that belongs to a moment of training is keyed by that moment too ("the order of pass 3"), so
it is a pure function of the seed: nothing has to be saved to repeat it after a resume, and no
purpose can disturb another. Only what the network itself draws (dropout) uses the global generators
of torch; their states go into each checkpoint.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import torch


def derive(seed: int, *purpose: object) -> int:
    """A 63-bit seed for one purpose, for instance ``derive(0, "order", 3)``."""
    text = "/".join(map(str, (seed, *purpose)))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def generator(seed: int, *purpose: object, device: torch.device | str = "cpu") -> torch.Generator:
    """A fresh generator for one purpose."""
    return torch.Generator(device).manual_seed(derive(seed, *purpose))


@contextmanager
def seeded(seed: int, *purpose: object) -> Iterator[None]:
    """Within the block torch's global generators are seeded for one purpose; then restored.

    For code that can only draw from the global generator, such as ``nn.Linear``'s initialisation.
    """
    with torch.random.fork_rng():
        torch.manual_seed(derive(seed, *purpose))
        yield


def global_states(device: torch.device) -> dict[str, torch.Tensor]:
    """States of torch's global generators, for a checkpoint."""
    states = {"cpu": torch.get_rng_state()}
    # While a step is recorded as a CUDA graph the state cannot be read; nothing draws then.
    if device.type == "cuda" and not torch.cuda.is_current_stream_capturing():
        states["cuda"] = torch.cuda.get_rng_state(device)
    return states


def restore_global_states(states: dict[str, torch.Tensor], device: torch.device) -> None:
    """Undo everything drawn since ``global_states``."""
    torch.set_rng_state(states["cpu"])
    if device.type == "cuda" and "cuda" in states:
        torch.cuda.set_rng_state(states["cuda"], device)


@contextmanager
def replayed(states: dict[str, torch.Tensor], device: torch.device) -> Iterator[None]:
    """Within the block the generators start from ``states``; afterwards they are as before it.

    A second forward pass inside draws the dropout masks of the first one again.
    """
    after = global_states(device)
    restore_global_states(states, device)
    try:
        yield
    finally:
        restore_global_states(after, device)
