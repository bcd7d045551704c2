"""Measure the peak memory of a run, and keep freed memory for the next step."""

import contextlib
import ctypes
import sys
from pathlib import Path

import torch

STATUS, RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def start_measuring(device: torch.device) -> None:
    """Begin anew: what was held before and given back does not count.

    Where the system does not allow it, the peak stays that of the whole process.
    """
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return
    with contextlib.suppress(OSError, AttributeError):  # not Linux, or not allowed
        give_back()
        RESET.write_text("5")  # man 5 proc: the peak of the resident set begins anew


def give_back() -> None:
    """Return memory that is free but kept: by glibc, and by pyarrow where a table was read."""
    if "pyarrow" in sys.modules:
        sys.modules["pyarrow"].default_memory_pool().release_unused()
    with contextlib.suppress(OSError, AttributeError):  # not glibc
        ctypes.CDLL("libc.so.6").malloc_trim(0)


def peak_memory(device: torch.device) -> float | None:
    """Highest memory since ``start_measuring`` in MiB.

    Args:
        device: of the run; on a GPU what torch has allocated there, else what this process holds in
            memory, Python and torch included.

    Returns:
        None where the system does not tell: outside Linux, on a CPU.
    """
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    if not STATUS.exists():
        return None
    lines = dict(line.split(":", 1) for line in STATUS.read_text().splitlines())
    return int(lines["VmHWM"].split()[0]) / 1024


def keep_freed_memory() -> None:
    """Tell glibc to keep freed memory for the next allocation instead of returning it.

    By default it gives large blocks back to the system and gets them again zeroed, page by page, in
    every step; a bilevel step, which frees several graphs, pays up to a quarter of its time for it.
    Elsewhere than on glibc nothing happens. For the whole process, so a program's to call.
    """
    trim_threshold, mmap_threshold = -1, -3  # M_ constants of malloc.h
    with contextlib.suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL("libc.so.6").mallopt
        mallopt(trim_threshold, 2**31 - 1)
        if not mallopt(mmap_threshold, 2**30):
            mallopt(mmap_threshold, 2**25)  # the limit of older versions
