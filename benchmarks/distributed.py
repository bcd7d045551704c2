"""What training by several processes costs: bytes of a step, their share of it, gloo on a CPU.

    python -m benchmarks.distributed [--gbit 200] [--latency 20] [--tflops 20] [--processes 2]

The first table counts what one process sends in a bilevel step with batch norm over the whole
batch, by running the step with sums that do nothing. The second one is arithmetic: a ring sends
2 (N - 1) / N times the bytes over a link of so many Gbit/s, each sum takes so many microseconds
more, and a device computes at so many TFLOP/s; 100 samples and 100 meta samples a process. The
third one is measured here: the same 100 samples a step, one thread a process, gloo.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from unittest.mock import patch

import torch
from torch.optim import SGD
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.step_networks import network, samples
from benchmarks.torchrun import torchrun
from mwnet.bilevel import Bilevel, bilevel_step, forward_engine
from mwnet.bilevel.batch_norm import share_batch_norms
from mwnet.bilevel.weighting import WeightNet, by_sum
from mwnet.core.world import World, together, world
from mwnet.data import Batch
from mwnet.losses import LOSSES
from mwnet.methods import METHODS

LARGE, SMALL = ("resnet32", "wrn-28-10"), ("mlp2", "resnet32")
BATCH, STEPS = 100, 10


def main() -> None:
    """Print the three tables, or measure as one of several processes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gbit", type=float, default=200.0)
    parser.add_argument("--latency", type=float, default=20.0, help="microseconds")
    parser.add_argument("--tflops", type=float, default=20.0)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--measure", choices=SMALL)
    options = parser.parse_args()
    if options.measure:
        measure(options.measure)
        return
    print("a step          parameters     sums   MB sent   GFLOP of a sample's step")
    for name in LARGE:
        local, sent = traffic(name, sync=False)
        print(f"{name:12} {'--batch-norm local':>13} {local:3} {sent / 1e6:9.1f}")
        sums, sent = traffic(name)
        count = sum(p.numel() for p in network(name).parameters())
        work = METHODS["mwnet"].passes * forward_flops(name)
        print(f"{name:12} {count:13,} {sums:8} {sent / 1e6:9.1f} {work / 1e9:12.2f}")
        compute = BATCH * work / options.tflops / 1e12
        for processes in (8, 64):
            ring = 2 * (processes - 1) / processes * sent * 8 / options.gbit / 1e9
            wait = ring + sums * options.latency / 1e6
            print(
                f"  {processes:2} devices: {1e3 * compute:.1f} ms of computation, {1e3 * wait:.1f} "
                f"of sums, {wait / (wait + compute):.0%} of the step"
            )
    print(f"\n{'gloo, one thread each':24} processes   ms a step   share of sums")
    for name in SMALL:
        for processes in (1, options.processes):
            told = torchrun(processes, "benchmarks.distributed", "--measure", name)
            print(f"{name:24} {processes:9} {told.strip()}")


def stepper(name: str, size: int, *, sync: bool = True) -> Callable[[], object]:
    """Build a bilevel step of a network on this process's share of so many random samples."""
    torch.manual_seed(0)
    built = network(name).train()
    if sync:
        share_batch_norms(built)
    problem = Bilevel(built, WeightNet(), LOSSES["ce"], LOSSES["mae"], by_sum)
    optimizer = SGD(built.parameters(), lr=0.01, momentum=0.9)
    weights = SGD(problem.weight_net.parameters(), lr=1e-3)
    batches = [shared(samples(name, size, "cpu", torch.contiguous_format)) for _ in range(2)]
    return lambda: bilevel_step(problem, forward_engine, optimizer, weights, *batches)


def shared(whole: Batch) -> Batch:
    """Take this process's share."""
    part = world().share(len(whole.y))
    return replace(whole, index=whole.index[part], x=whole.x[part], y=whole.y[part])


def traffic(name: str, *, sync: bool = True) -> tuple[int, int]:
    """Count the sums of a step and their bytes, as one of two processes."""
    step = stepper(name, 4, sync=sync)
    with patch("mwnet.core.world._world", World(2, 0)), watched(do=False) as sums:
        step()
    return len(sums), sum(int(size) for size, _ in sums)


def forward_flops(name: str) -> float:
    """Count the operations of a forward pass of one sample."""
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        network(name).eval()(samples(name, 1, "cpu", torch.contiguous_format).x)
    return counter.get_total_flops()


@contextmanager
def watched(*, do: bool = True) -> Iterator[list[tuple[int, float]]]:
    """Within the block note bytes and seconds of each sum, and do it or not."""
    sums: list[tuple[int, float]] = []
    original = torch.distributed.all_reduce

    def noted(tensor: torch.Tensor, *arguments: Any) -> None:
        start = time.perf_counter()
        if do:
            original(tensor, *arguments)
        sums.append((tensor.nbytes, time.perf_counter() - start))

    with patch("torch.distributed.all_reduce", noted):
        yield sums


def measure(name: str) -> None:
    """Print milliseconds of a step and how much of them this process spends in sums."""
    torch.set_num_threads(1)
    with together() as processes:
        step = stepper(name, BATCH)
        step()
        times = []
        with watched() as sums:
            for _ in range(STEPS):
                start = time.perf_counter()
                step()
                times.append(time.perf_counter() - start)
        share = sum(seconds for _, seconds in sums) / sum(times)
        if processes.leads:
            print(f"{1e3 * statistics.median(times):11.1f} {share:15.0%}")


if __name__ == "__main__":
    main()
