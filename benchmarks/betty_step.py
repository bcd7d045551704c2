"""The same step by Betty (`pip install betty-ml`), a general library for multilevel optimization.

    python -m benchmarks.betty_step [--model resnet32] [--repeats 15]

Betty's hypergradient is a finite difference ("darts", its default), not exact. With roll_back it
takes the three parts of a Meta-Weight-Net step; without, it moves the weight net after the actual
step, at one pass less. Its passes outside the look-ahead move batch-norm statistics too. Not a part
of the program: nothing else needs Betty.
"""

import argparse
import statistics
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn
from torch.optim import SGD

from benchmarks.step_measure import timed
from benchmarks.step_networks import SIDES
from benchmarks.step_time import steps
from mwnet.bilevel.weighting import WeightNet
from mwnet.core.memory import keep_freed_memory
from mwnet.losses import mae
from mwnet.models import MODELS


def betty_step(model: str, size: int, roll_back: bool) -> Callable[[], Any]:
    """One step of a Betty engine on networks and samples of the benchmark's shapes."""
    from betty.configs import Config, EngineConfig  # pyright: ignore[reportMissingImports]
    from betty.engine import Engine  # pyright: ignore[reportMissingImports]
    from betty.problems import ImplicitProblem  # pyright: ignore[reportMissingImports]

    torch.manual_seed(0)
    channels, side = SIDES.get(model, (3, 32))
    train, meta = (
        (torch.randn(size, channels, side, side), torch.randint(0, 10, (size,))) for _ in range(2)
    )

    class Outer(ImplicitProblem):
        def training_step(self, batch: Any) -> torch.Tensor:
            return mae(self.inner(batch[0]), batch[1]).mean()

    class Inner(ImplicitProblem):
        def training_step(self, batch: Any) -> torch.Tensor:
            losses = F.cross_entropy(self.module(batch[0]), batch[1], reduction="none")
            return (self.outer(losses.detach()) * losses).mean()

    def problem(kind: Any, name: str, module: nn.Module, rate: float, batch: Any) -> Any:
        return kind(
            name=name,
            config=Config(type="darts", unroll_steps=1, retain_graph=True),
            module=module,
            optimizer=SGD(module.parameters(), lr=rate, momentum=0.9, weight_decay=5e-4),
            train_data_loader=[batch],
            device="cpu",
        )

    network = MODELS[model](num_classes=10, in_channels=channels, image_size=side)
    outer = problem(Outer, "outer", WeightNet(), 1e-3, meta)
    inner = problem(Inner, "inner", network, 0.01, train)
    engine = Engine(
        problems=[outer, inner],
        config=EngineConfig(roll_back=roll_back),
        dependencies={"l2u": {inner: [outer]}, "u2l": {outer: [inner]}},
    )
    engine.train()
    return engine.train_step


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="resnet32")
    parser.add_argument("--repeats", type=int, default=15)
    args = parser.parse_args()
    keep_freed_memory()
    ours = steps(args.model, "contiguous", "float32", 100, "cpu")
    variants = {
        "plain": ours["plain"],
        "forward": ours["forward"],
        "betty, rolled back": betty_step(args.model, 100, roll_back=True),
        "betty": betty_step(args.model, 100, roll_back=False),
    }
    times: dict[str, list[float]] = {name: [] for name in variants}
    for _ in range(args.repeats + 2):
        for name, step in variants.items():
            times[name].append(timed(partial(step), "cpu"))
    medians = {name: statistics.median(values[2:]) for name, values in times.items()}
    print("| step | ms | plain steps |\n|---|---|---|")
    for name, value in medians.items():
        print(f"| {name} | {value:.1f} | {value / medians['plain']:.2f} |")


if __name__ == "__main__":
    main()
