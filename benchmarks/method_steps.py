"""What a step of every method costs, beside the network passes that it consists of.

    python -m benchmarks.method_steps [--model resnet32] [--batch 100] [--repeats 9]
        [--device cpu] [--methods erm,mwnet]

One round takes a step of every method in its last phase, and of those that estimate the noise rate
one in that phase; medians over the rounds are compared. A plain step, by which "passes" are
measured, is 3 forward passes of one network for one batch. The images are random.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch

from mwnet.builders.experiment import Experiment, build
from mwnet.config.flags import parse_training
from mwnet.core.memory import keep_freed_memory
from mwnet.methods import METHODS, Context
from mwnet.methods.noise_rate import NoiseRate


def prepared(argv: list[str], phase: str | None) -> Experiment:
    """A method that stands at the beginning of a phase; None means its last."""
    experiment = build(parse_training(argv))
    method = experiment.method.train()
    names = [p.name for p in method.phases]
    method.epoch = 0
    method.begin_epoch(Context(experiment.train, experiment.meta))
    method.epoch = method.start_of(phase or names[-1])
    if method.epoch:
        method.begin_epoch(Context(experiment.train, experiment.meta))
    return experiment


def step(experiment: Experiment, number: int) -> float:
    """Seconds of one step, batches not counted."""
    batch = experiment.train[number]
    meta = experiment.meta[number] if experiment.meta is not None else None
    if batch.x.is_cuda:
        torch.cuda.synchronize()
    started = time.perf_counter()
    experiment.method.step(batch, meta)
    if batch.x.is_cuda:
        torch.cuda.synchronize()
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="resnet32")
    parser.add_argument("--batch", type=int, default=100)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--methods", default=",".join(METHODS))
    args = parser.parse_args()
    keep_freed_memory()
    rng = np.random.default_rng(0)
    count = 10 * args.batch
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "random.npz"
        x = rng.integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)
        y = np.arange(count) % 10
        np.savez(path, x=x, y=y, y_true=y)
        common = ["--dataset", "arrays", "--data", str(path), "--model", args.model]
        common += ["--batch-size", str(args.batch), "--meta-size", str(args.batch)]
        common += ["--device", args.device, "--lr", "1e-6"]
        variants: dict[str, Callable[[int], float]] = {}
        passes: dict[str, float] = {}
        for name in ["erm", *(m for m in args.methods.split(",") if m != "erm")]:
            argv = [*common, "--method", name]
            variants[name] = partial(step, prepared(argv, None))
            passes[name] = METHODS[name].passes
        variants["noise rate"] = partial(
            step, prepared([*common, "--method", "co-teaching"], NoiseRate.PHASE)
        )
        passes["noise rate"] = 3
        times: dict[str, list[float]] = {name: [] for name in variants}
        for number in range(args.repeats + 2):
            for name, take in variants.items():
                seconds = take(number)
                if number >= 2:
                    times[name].append(seconds)
    medians = {name: statistics.median(values) for name, values in times.items()}
    one_pass = medians["erm"] / 3
    print("| method | ms | plain steps | passes | measured / passes |")
    print("|---|---|---|---|---|")
    for name, seconds in medians.items():
        print(
            f"| {name} | {1000 * seconds:.1f} | {seconds / medians['erm']:.2f} | {passes[name]:g} "
            f"| {seconds / (passes[name] * one_pass):.2f} |"
        )
    print(
        f"\n{args.model}, batch {args.batch}, {args.device}, {torch.get_num_threads()} threads, "
        f"medians of {args.repeats} rounds, torch {torch.__version__}"
    )


if __name__ == "__main__":
    main()
