"""Many small networks at once against one after another: the same steps, in one run.

    python -m benchmarks.population --json population.json

64 two-layer perceptrons with 64 Taylor losses, as stacked parameters (mwnet.training.population)
and as 64 plain loops of autograd through the loss; SGD with momentum 0.9, batches of 100 (digits)
or 128 (28x28 pixels of noise: the time does not depend on them). Both train the same number of
steps from the same weights; what they end with is compared.
"""

import argparse
import copy
import functools
import json
import time
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch import nn
from torch.optim import SGD
from torch.optim.lr_scheduler import LambdaLR

from mwnet.core.memory import keep_freed_memory
from mwnet.data import Batch
from mwnet.losses import LOSSES
from mwnet.losses.taylor import CROSS_ENTROPY
from mwnet.methods.stacks import GROUP, Kind
from mwnet.models import MODELS
from mwnet.training.population import Group, TaylorLosses, kind_for

MEMBERS = 64
OTHERS: tuple[Kind, ...] = ("mapped", "looped")
SHAPES = {"digits": (8, 100), "mnist": (28, 128)}
"""Side of the images and samples in a batch."""


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--json", type=Path, help="file for the numbers")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=20, help="of every member, in each round")
    parser.add_argument("--device", default="cpu")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    keep_freed_memory()
    device = torch.device(args.device)
    result: dict[str, Any] = {
        name: measure("mlp2", *shape, MEMBERS, args.rounds, args.steps, device)
        for name, shape in SHAPES.items()
    }
    result["cnn4"] = measure("cnn4", 28, 128, 8, 3, 3, device)
    result |= {"torch": torch.__version__, "threads": args.threads, "device": args.device}
    for name in (*SHAPES, "cnn4"):
        print(f"{name}: ms per step of {result[name]['members']} members")
        for way, value in result[name]["ms"].items():
            print(f"  {way:28} {value:9.2f}")
    for name in SHAPES:
        print(f"{name}: {result[name]['speedup_64']:.2f} times as fast as one after another")
    if args.json:
        args.json.write_text(json.dumps(result, indent=2) + "\n")


def measure(
    model: str,
    side: int,
    samples: int,
    members: int,
    rounds: int,
    steps: int,
    device: torch.device,
) -> dict[str, Any]:
    """Median times of a step of all members, each way of computing it in every round."""
    rng = torch.Generator().manual_seed(0)
    thetas = [
        tuple(a + 0.1 * float(torch.randn((), generator=rng)) for a in CROSS_ENTROPY)
        for _ in range(members)
    ]
    torch.manual_seed(0)
    networks = [
        MODELS[model](num_classes=10, in_channels=1, image_size=side).to(device)
        for _ in range(members)
    ]
    batch = Batch(
        torch.arange(samples, device=device),
        torch.randn(samples, 1, side, side, generator=rng).to(device),
        torch.randint(0, 10, (samples,), generator=rng).to(device),
    )
    chosen = kind_for(networks[0], device)
    kinds: list[Kind] = [chosen, *(kind for kind in OTHERS if kind != chosen)]
    ways: dict[str, list[Any]] = {kind: groups(networks, kind, thetas, device) for kind in kinds}
    if "perceptron" in ways:
        ways["perceptron, bfloat16"] = groups(
            networks, "perceptron", thetas, device, torch.bfloat16
        )
    plain = [Plain(network, theta) for network, theta in zip(networks, thetas, strict=True)]
    ways = {"one after another": plain, **ways}
    times: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(rounds):
        for way, parts in ways.items():
            started = time.perf_counter()
            for part in parts:
                for _ in range(steps):
                    part.step(batch)
            if device.type == "cuda":
                torch.cuda.synchronize()
            times[way].append((time.perf_counter() - started) / steps)
    reference = plain[-1].network.state_dict()
    last = ways[chosen][-1].stack
    reached = last.state(last.size - 1)
    apart = max(float((reached[name] - value).abs().max()) for name, value in reference.items())
    ms = {way: 1e3 * median(values) for way, values in times.items()}
    return {
        "members": members,
        "ms": ms,
        "way": chosen,
        f"speedup_{members}": ms["one after another"] / ms[chosen],
        "largest_difference_of_a_parameter": apart,
    }


class Plain:
    """A network that is trained alone, as plain PyTorch does it."""

    def __init__(self, network: nn.Module, theta: tuple[float, ...]) -> None:
        self.network = network
        self.loss = functools.partial(LOSSES["taylor"], theta=theta, eta=1.0)
        self.optimizer = SGD(network.parameters(), lr=0.01, momentum=0.9)

    def step(self, batch: Batch) -> None:
        self.optimizer.zero_grad()
        self.loss(self.network(batch.x), batch.y).mean().backward()
        self.optimizer.step()


def groups(
    networks: list[nn.Module],
    kind: Kind,
    thetas: list[tuple[float, ...]],
    device: torch.device,
    precision: torch.dtype | None = None,
) -> list[Group]:
    """The members in groups as a search has them, from the weights that they have now."""
    size = GROUP[kind]
    return [
        Group(
            copy.deepcopy(networks[first : first + size]),
            kind,
            TaylorLosses(chunk, [1.0] * len(chunk), 10, device),
            lambda module: SGD(module.parameters(), lr=0.01, momentum=0.9),
            lambda optimizer: LambdaLR(optimizer, lambda step: 1.0),
            precision,
        )
        for first in range(0, len(networks), size)
        for chunk in [thetas[first : first + size]]
    ]


if __name__ == "__main__":
    main()
