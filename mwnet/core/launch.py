"""Whether torchrun has started this process beside others. It imports no torch."""

import os


def launched() -> tuple[int, int] | None:
    """Return ``(processes, number of this one)`` as torchrun says; None for a process alone."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if "TORCHELASTIC_RUN_ID" not in os.environ or size == 1:
        return None
    return size, int(os.environ["RANK"])


def leads() -> bool:
    """Whether this process is the one that prints: the first, or one alone."""
    found = launched()
    return found is None or found[1] == 0
