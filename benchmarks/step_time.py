"""Time and memory of one training step: plain, and Meta-Weight-Net by each engine.

    python -m benchmarks.step_time [--models mlp2,resnet32] [--formats contiguous,channels_last]
        [--repeats 15] [--batch 100] [--device cpu] [--json FILE]

Times are interleaved in one process for each model and memory format: one round takes a step of
every variant, and medians over the rounds are compared. Peak memory is what steps add to a fresh
process that holds data and networks. Variants: a plain cross-entropy step; `higher`;
`double_backward`, written as the reference code does it; `forward`; `forward_lean`; and
`forward_interval10`, the mean over ten steps of which one moves the weight net.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F
from torch.func import functional_call
from torch.optim import SGD, Optimizer

from models import MODELS
from mwnet.bilevel import Bilevel, MetaGradient, bilevel_step, forward_engine, higher_engine
from mwnet.data import Batch
from mwnet.losses import cross_entropy, mae
from mwnet.weighting import WeightNet, by_mean

SHAPES = {"mlp2": (1, 28), "mlp3": (1, 28)}
FORMATS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}
FLOOR = {"plain": 3, "forward": 11, "forward_lean": 12}  # forward passes of a batch

Step = Callable[[], object]


def double_backward(
    problem: Bilevel, optimizer: Optimizer, batch: Batch, meta_batch: Batch
) -> MetaGradient:
    """The yardstick: a look-ahead with `create_graph`, as public Meta-Weight-Net code has it."""
    named = dict(problem.classifier.named_parameters())
    buffers = {name: buffer.clone() for name, buffer in problem.classifier.named_buffers()}
    logits = functional_call(problem.classifier, {**named, **buffers}, (batch.x,))
    losses = problem.loss(logits, batch.y)
    u = problem.normalise(problem.weight_net(losses.detach()))
    g = torch.autograd.grad(u @ losses, list(named.values()), create_graph=True)
    rate = optimizer.param_groups[0]["lr"]
    ahead = {name: p - rate * d for (name, p), d in zip(named.items(), g, strict=True)}
    logits = functional_call(problem.classifier, {**ahead, **buffers}, (meta_batch.x,))
    meta = problem.meta_loss(logits, meta_batch.y).mean()
    theta = torch.autograd.grad(meta, list(problem.weight_net.parameters()))
    return MetaGradient(theta, meta.detach())


def steps(model: str, memory_format: str, batch_size: int, device: str) -> dict[str, Step]:
    """One closure for each variant, all on the same networks and samples."""
    torch.manual_seed(0)
    channels, size = SHAPES.get(model, (3, 32))
    layout = FORMATS[memory_format]
    network = MODELS[model](num_classes=10, in_channels=channels, image_size=size)
    network = network.to(device=device, memory_format=layout)  # pyright: ignore[reportCallIssue]
    weight_net = WeightNet().to(device)
    optimizer = SGD(network.parameters(), lr=0.01, momentum=0.9, weight_decay=5e-4)
    weight_optimizer = SGD(weight_net.parameters(), lr=1e-3)
    problem = Bilevel(network, weight_net, cross_entropy, mae, by_mean)
    train, meta = (
        Batch(
            torch.arange(batch_size, device=device),
            torch.randn(batch_size, channels, size, size, device=device).to(memory_format=layout),
            torch.randint(0, 10, (batch_size,), device=device),
        )
        for _ in range(2)
    )

    def plain() -> None:
        loss = F.cross_entropy(network(train.x), train.y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    def weighted(engine: Callable[..., MetaGradient], meta_batch: Batch | None = meta) -> None:
        bilevel_step(problem, engine, optimizer, weight_optimizer, train, meta_batch)

    def interval10() -> None:
        weighted(forward_engine)
        for _ in range(9):
            weighted(forward_engine, None)

    return {
        "plain": plain,
        "higher": partial(weighted, higher_engine),
        "double_backward": partial(weighted, double_backward),
        "forward": partial(weighted, forward_engine),
        "forward_lean": partial(weighted, partial(forward_engine, lean=True)),
        "forward_interval10": interval10,
    }


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
    before = int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
    for _ in range(3):
        step()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 - before / 2**20


def measured(model: str, memory_format: str, args: argparse.Namespace) -> list[dict]:
    """Records of all variants of one model in one memory format."""
    variants = steps(model, memory_format, args.batch, args.device)
    times: dict[str, list[float]] = {name: [] for name in variants}
    for round_number in range(args.repeats + 2):
        for name, step in variants.items():
            per_call = 10 if name == "forward_interval10" else 1
            value = timed(step, args.device) / per_call
            if round_number >= 2:  # the first two rounds warm up
                times[name].append(value)
    plain = statistics.median(times["plain"])
    records = []
    for name, values in times.items():
        own = [sys.executable, "-m", "benchmarks.step_time", "--memory-of", name]
        own += ["--models", model, "--formats", memory_format]
        own += ["--batch", str(args.batch), "--device", args.device]
        peak = float(subprocess.run(own, check=True, capture_output=True, text=True).stdout)
        median = statistics.median(values)
        records.append(
            {
                "model": model,
                "variant": name,
                "memory_format": memory_format,
                "dtype": "float32",
                "device": args.device,
                "ms": median,
                "ratio_to_plain": median / plain,
                "peak_mib": peak,
            }
        )
    return records


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", default="mlp2,resnet32,wrn-16-4")
    parser.add_argument("--formats", default="contiguous,channels_last")
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--batch", type=int, default=100)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--memory-of", help=argparse.SUPPRESS)
    args = parser.parse_args()
    models, formats = args.models.split(","), args.formats.split(",")
    if args.memory_of:
        variants = steps(models[0], formats[0], args.batch, args.device)
        print(peak_memory(variants[args.memory_of], args.device))
        return
    records = []
    print("| model | format | variant | ms | plain steps | floor | peak MiB |")
    print("|---|---|---|---|---|---|---|")
    for model in models:
        for memory_format in formats:
            for record in measured(model, memory_format, args):
                records.append(record)
                floor = FLOOR.get(record["variant"])
                cells = [
                    model,
                    memory_format,
                    record["variant"],
                    f"{record['ms']:.1f}",
                    f"{record['ratio_to_plain']:.2f}",
                    f"{floor / FLOOR['plain']:.2f}" if floor else "",
                    f"{record['peak_mib']:.0f}",
                ]
                print(f"| {' | '.join(cells)} |", flush=True)
    print(f"\nbatch {args.batch} + {args.batch}, medians of {args.repeats} interleaved rounds,")
    print(f"{torch.get_num_threads()} CPU threads, torch {torch.__version__}, {args.device}")
    if args.json:
        args.json.write_text(json.dumps(records, indent=2))


if __name__ == "__main__":
    main()
