"""Peak memory: what counts."""

import mmap

import torch

from mwnet.core import memory


def test_peak_memory_counts_what_was_given_back_since_the_start_only() -> None:
    cpu = torch.device("cpu")
    memory.start_measuring(cpu)
    before = memory.peak_memory(cpu)
    with mmap.mmap(-1, 2**28) as held:  # 256 MiB, which no allocator keeps
        for _ in range(2**8):
            held.write(bytes(2**20))
    during = memory.peak_memory(cpu)
    memory.start_measuring(cpu)
    after = memory.peak_memory(cpu)
    assert before is not None
    assert during is not None
    assert after is not None
    assert 240 < during - before < 300
    assert during - after > 200
