"""Time and memory of single steps."""

import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch

from mwnet.data import Batches, Pixels

Step = Callable[[], object]


def batches_time(size: int, device: str) -> float:
    """Milliseconds for two batches of CIFAR's shape with crop and flip, median of 50."""
    x = torch.randint(0, 256, (50_000, 3, 32, 32), dtype=torch.uint8)
    ids = torch.arange(len(x))
    pixels = Pixels.of(x, ids, torch.device(device), "crop-flip")
    batches = Batches(pixels, torch.zeros(len(x), dtype=torch.int64), ids, size, 0, "train")
    return statistics.median(
        timed(lambda step=step: (batches[step], batches[step + 1]), device)
        for step in range(0, 100, 2)
    )


def timed(step: Step, device: str) -> float:
    """Milliseconds of one call."""
    if device != "cpu":
        torch.cuda.synchronize()
    start = time.perf_counter()
    step()
    if device != "cpu":
        torch.cuda.synchronize()
    return (time.perf_counter() - start) * 1e3


def peak_memory(step: Step, device: str) -> float:
    """MiB that three steps add, at their highest, to what the process held before."""
    if device != "cpu":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        for _ in range(3):
            step()
        return (torch.cuda.max_memory_allocated() - before) / 2**20
    before = _resident("VmRSS")
    for _ in range(3):
        step()
    return _resident("VmHWM") - before


def _resident(field: str) -> float:
    """MiB of this process; the peak of getrusage would include that of its parent."""
    line = next(
        line for line in Path("/proc/self/status").read_text().splitlines() if field in line
    )
    return int(line.split()[1]) / 1024
