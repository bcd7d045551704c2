"""Time and memory of one training step: plain, and Meta-Weight-Net by each engine.

    python -m benchmarks.step_time [--models mlp2,tabm:512] [--formats contiguous,channels_last]
        [--dtypes float32,bf16] [--repeats 15] [--batch 100] [--device cpu] [--json FILE]

Times are interleaved in one process for each model, memory format and dtype: one round takes a step
of every variant, and medians over the rounds are compared. Peak memory is what steps add to a fresh
process that holds data and networks (resident memory on a CPU), median of five. Variants: a plain
cross-entropy step; `higher`; `double_backward`, written as the reference code does it; `forward`;
`forward_lean`; `ghost` and `ghost_lean`, where samples do not meet; `forward_interval10`, the mean
over ten steps of which one moves the weight net; and on a GPU `forward_graphs`, replayed as a CUDA
graph. bf16 is autocast. Networks beside those of MODELS: `resnet20-gn`, a ResNet-20 with group
norms, and `transformer`, four layers of width 256 over 64 tokens. NAME:SIZE has batches of its own.

Below each table: what a `forward` and a `ghost` step spend outside their network passes, and what a
training and a meta batch with crop and flip cost beside a plain step. The passes of `ghost` are
counted as three forward and three backward passes, which is right for a perceptron of two layers.
"""

import argparse
import itertools
import json
import statistics
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn
from torch.func import functional_call
from torch.optim import SGD, Optimizer

from benchmarks import step_networks
from benchmarks.step_measure import Step, batches_time, peak_memory, timed
from mwnet.bilevel import (
    Bilevel,
    MetaGradient,
    bilevel_step,
    forward_engine,
    ghost_engine,
    higher_engine,
)
from mwnet.bilevel.cuda_graphs import Captured
from mwnet.bilevel.differentiable import differentiable
from mwnet.bilevel.precision import Autocast
from mwnet.bilevel.tangents import Primals, tangent
from mwnet.bilevel.weighting import WeightNet, by_mean
from mwnet.core.memory import keep_freed_memory
from mwnet.data import Batch
from mwnet.losses import cross_entropy, mae

FORMATS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}
# Forward passes of a batch, where a backward pass is two: virtual 3, meta 3, tangent 2 (its values
# are known from the virtual pass), actual 2; lean computes values and graph again.
FLOOR: dict[str, float] = {"plain": 3, "forward": 10, "forward_graphs": 10, "forward_lean": 12}
FLOOR |= {"ghost": 8, "ghost_lean": 9}
FLOOR["forward_interval10"] = (FLOOR["forward"] + 9 * FLOOR["plain"]) / 10


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


def steps(
    model: str, memory_format: str, dtype: str, batch_size: int, device: str
) -> dict[str, Step]:
    """One closure for each variant, all on the same networks and samples.

    ``passes``, which is no variant, does the network passes of ``forward`` and nothing else.
    """
    torch.manual_seed(0)
    layout = FORMATS[memory_format]
    network = step_networks.network(model)
    network = network.to(device=device, memory_format=layout)  # pyright: ignore[reportCallIssue]
    if dtype == "bf16":
        network = Autocast(network)
    weight_net = WeightNet().to(device)
    rate = torch.tensor(0.01, device=device) if device != "cpu" else 0.01
    fused = True if device != "cpu" else None  # takes a learning rate that is a tensor
    optimizer = SGD(network.parameters(), lr=rate, momentum=0.9, weight_decay=5e-4, fused=fused)
    weight_optimizer = SGD(weight_net.parameters(), lr=1e-3)
    problem = Bilevel(network, weight_net, cross_entropy, mae, by_mean)
    train, meta = (step_networks.samples(model, batch_size, device, layout) for _ in range(2))

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

    parameters = dict(network.named_parameters())
    direction = {name: torch.randn_like(p) for name, p in parameters.items()}
    ones = torch.ones(batch_size, device=device)

    def passes() -> None:
        with Primals() as primals, differentiable():
            losses = cross_entropy(network(train.x), train.y)
        values = list(parameters.values())
        torch.autograd.grad(losses, values, grad_outputs=ones, retain_graph=True)
        torch.autograd.grad(mae(network(meta.x), meta.y).mean(), values)
        point = {name: p.detach() for name, p in parameters.items()}
        with differentiable():
            tangent(
                lambda p: cross_entropy(functional_call(network, p, (train.x,)), train.y),
                point,
                direction,
                primals.outputs,
            )
        torch.autograd.grad(losses.mean(), values)

    def ghost_passes() -> None:
        values = list(parameters.values())
        for loss, part in ((cross_entropy, train), (mae, meta), (cross_entropy, train)):
            torch.autograd.grad(loss(network(part.x), part.y).mean(), values)

    variants: dict[str, Step] = {
        "plain": plain,
        "higher": partial(weighted, higher_engine),
        "double_backward": partial(weighted, double_backward),
        "forward": partial(weighted, forward_engine),
        "forward_lean": partial(weighted, partial(forward_engine, lean=True)),
        "ghost": partial(weighted, ghost_engine),
        "ghost_lean": partial(weighted, partial(ghost_engine, lean=True)),
        "forward_interval10": interval10,
        "passes": passes,
        "ghost_passes": ghost_passes,
    }
    if any(isinstance(module, nn.BatchNorm2d) for module in network.modules()):
        variants = {name: step for name, step in variants.items() if not name.startswith("ghost")}
    if device != "cpu":
        captured = Captured(
            lambda batch, meta_batch: bilevel_step(
                problem, forward_engine, optimizer, weight_optimizer, batch, meta_batch
            )
        )
        variants["forward_graphs"] = lambda: captured(train, meta)
    return variants


def measured(
    model: str, batch: int, memory_format: str, dtype: str, args: argparse.Namespace
) -> tuple[list[dict], dict[str, float]]:
    """Records of all variants of one model, and the milliseconds of the passes of two engines."""
    variants = steps(model, memory_format, dtype, batch, args.device)
    if args.variants:
        chosen = ["plain", "forward", "passes", "ghost_passes", *args.variants.split(",")]
        variants = {name: step for name, step in variants.items() if name in chosen}
    times: dict[str, list[float]] = {name: [] for name in variants}
    for round_number in range(args.repeats + 4):
        for name, step in variants.items():
            per_call = 10 if name == "forward_interval10" else 1
            value = timed(step, args.device) / per_call
            if round_number >= 4:  # the first rounds warm up; a graph is recorded in the fourth
                times[name].append(value)
    plain = statistics.median(times["plain"])
    kinds = {"passes": "forward", "ghost_passes": "ghost"}
    passes = {of: statistics.median(times.pop(kind)) for kind, of in kinds.items() if kind in times}
    records = []
    for name, values in times.items():
        own = [sys.executable, "-m", "benchmarks.step_time", "--memory-of", name]
        own += ["--models", model, "--formats", memory_format, "--dtypes", dtype]
        own += ["--batch", str(batch), "--device", args.device]
        runs = (subprocess.run(own, check=True, capture_output=True) for _ in range(5))
        peak = statistics.median(float(run.stdout) for run in runs)
        median = statistics.median(values)
        records.append(
            {
                "model": model,
                "batch": batch,
                "variant": name,
                "memory_format": memory_format,
                "dtype": dtype,
                "device": args.device,
                "ms": median,
                "ratio_to_plain": median / plain,
                "peak_mib": peak,
            }
        )
    return records, passes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", default="mlp2,resnet32,wrn-16-4")
    parser.add_argument("--formats", default="contiguous,channels_last")
    parser.add_argument("--dtypes", default="float32")
    parser.add_argument("--variants", help="fewer than all; plain and forward are always there")
    parser.add_argument(
        "--default-malloc", action="store_true", help="let glibc return freed memory"
    )
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--batch", type=int, default=100)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--memory-of", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if not args.default_malloc:
        keep_freed_memory()  # as train.py does
    models, formats, dtypes = (getattr(args, n).split(",") for n in ("models", "formats", "dtypes"))
    if args.memory_of:
        variants = steps(models[0], formats[0], dtypes[0], args.batch, args.device)
        print(peak_memory(variants[args.memory_of], args.device))
        return
    records = []
    for model, memory_format, dtype in itertools.product(models, formats, dtypes):
        model, _, size = model.partition(":")
        batch = int(size or args.batch)
        print(f"\n{model}, batches of {batch} + {batch}, {memory_format}, {dtype}\n")
        print("| variant | ms | plain steps | floor | peak MiB |")
        print("|---|---|---|---|---|")
        these, passes = measured(model, batch, memory_format, dtype, args)
        records += these
        for record in these:
            floor = FLOOR.get(record["variant"])
            cells = [
                record["variant"],
                f"{record['ms']:.1f}",
                f"{record['ratio_to_plain']:.2f}",
                f"{floor / FLOOR['plain']:.2f}" if floor else "",
                f"{record['peak_mib']:.0f}",
            ]
            print(f"| {' | '.join(cells)} |", flush=True)
        of = {record["variant"]: record["ms"] for record in these}
        for engine in passes.keys() & of.keys():
            rest = of[engine] - passes[engine]
            print(
                f"\noutside the passes: {rest:.2f} ms, {rest / of[engine]:.0%} of a {engine} step"
            )
        if model.startswith(("resnet", "wrn")):
            share = batches_time(batch, args.device) / of["plain"]
            print(f"two batches with crop and flip: {share:.1%} of a plain step")
    print(f"\nmedians of {args.repeats} interleaved rounds,")
    print(f"{torch.get_num_threads()} CPU threads, torch {torch.__version__}, {args.device}")
    if args.json:
        args.json.write_text(json.dumps(records, indent=2))


if __name__ == "__main__":
    main()
