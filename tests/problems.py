"""Tiny problems, what methods are built from, and an oracle that knows nothing of the engines."""

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import SGD, Optimizer
from torch.optim.lr_scheduler import LambdaLR

from mwnet.bilevel import Bilevel, EngineChoice
from mwnet.bilevel.weighting import NORMALISATIONS, WeightNet
from mwnet.core.seeding import seeded
from mwnet.data import Batch, Batches, Pixels
from mwnet.losses import LOSSES
from mwnet.methods import METHODS, Learner, Parts, Weighting
from mwnet.methods.committee import SideBySide

CLASSES = 3


def network(kind: str = "plain") -> nn.Module:
    """A 4-5-3 perceptron, optionally with a norm or dropout."""
    middle: dict[str, list[nn.Module]] = {
        "plain": [],
        "batchnorm": [nn.BatchNorm1d(5)],
        "layernorm": [nn.LayerNorm(5)],
        "dropout": [nn.Dropout(0.5)],
    }
    return nn.Sequential(nn.Linear(4, 5), *middle[kind], nn.Tanh(), nn.Linear(5, CLASSES))


def batch(size: int = 8, seed: int = 0) -> Batch:
    rng = torch.Generator().manual_seed(seed)
    x = torch.randn(size, 4, generator=rng, dtype=torch.float64)
    return Batch(torch.arange(size), x, torch.randint(0, CLASSES, (size,), generator=rng))


def problem(kind: str = "plain", seed: int = 0, **changes: object) -> Bilevel:
    """Networks in float64; ``changes`` are fields of Bilevel, losses and normalisation by name."""
    torch.manual_seed(seed)
    fields: dict = {"loss": "ce", "meta_loss": "mae", "normalise": "mean", **changes}
    fields["loss"] = LOSSES[fields["loss"]]
    fields["meta_loss"] = LOSSES[fields["meta_loss"]]
    fields["normalise"] = NORMALISATIONS[fields["normalise"]]
    return Bilevel(network(kind).double(), WeightNet(7).double(), **fields)


def method(name: str, hyper: dict[str, Any] | None = None, **changes: Any) -> Any:
    """An entry of METHODS for :func:`batch`, in float64; ``changes`` are fields of Parts.

    Networks have weights by their purpose; their learning rate falls with every step.
    """

    def learner(
        purpose: str = "classifier", epochs: int | None = None, copies: int | None = None
    ) -> Learner:
        net = module(purpose, network)
        if copies is not None:
            net = SideBySide([module(f"{purpose} {k}", network) for k in range(copies)])
        optimizer = SGD(net.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-2)
        return Learner(net, optimizer, LambdaLR(optimizer, lambda step: 0.95**step))

    def module(purpose: str, build: Callable[[], Any]) -> Any:
        with seeded(0, purpose):
            return build().double()

    fields = {
        "learner": learner,
        "module": module,
        "loss": LOSSES["ce"],
        "epochs": 10,
        "train": training(8),
        "num_samples": 8,
        "class_sizes": torch.tensor([3, 3, 2]),
        "weighting": weighting(),
        "noise_rate": 0.0,
        "seed": 0,
        "record": lambda update: update,
    }
    build: Any = METHODS[name]
    return build(Parts(**{**fields, **changes}), **(hyper or {})).double().train()


def training(batch_size: int) -> Batches:
    """Eight samples with labels 0 to 2."""
    pixels = Pixels(torch.zeros(8, 4), torch.zeros(4), torch.ones(4))
    labels = torch.tensor([0, 0, 0, 1, 1, 1, 2, 2])
    return Batches(pixels, labels, torch.arange(8), batch_size, 0, "train")


def stepped(network: nn.Module, objective: Callable[[nn.Module], Tensor]) -> nn.Module:
    """A copy of a network after the first optimizer step on a scalar."""
    network = copy.deepcopy(network)
    optimizer = SGD(network.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-2)
    objective(network).backward()
    optimizer.step()
    return network


def assert_equal(got: nn.Module, wanted: nn.Module, rtol: float = 1e-9) -> None:
    for a, b in zip(got.parameters(), wanted.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=rtol, atol=rtol / 100)


def weighting(engine: str = "forward") -> Weighting:
    """For methods with a meta-gradient."""
    return Weighting(
        meta_loss=LOSSES["ce"],
        optimizer=lambda net: SGD(net.parameters(), lr=1.0),
        engine=EngineChoice(engine),
        normalise=NORMALISATIONS["mean"],
        virtual_step="sgd",
        inner_steps=1,
        meta_interval=1,
        queue=None,
    )


def warmed(optimizer: Optimizer, model: nn.Module, steps: int = 2) -> Optimizer:
    """Give an optimizer some momentum, as it has in the middle of training."""
    for seed in range(steps):
        data = batch(seed=100 + seed)
        optimizer.zero_grad()
        LOSSES["ce"](model(data.x), data.y).mean().backward()
        optimizer.step()
    optimizer.zero_grad()
    return optimizer


def look_ahead(task: Bilevel, optimizer: Optimizer, data: Batch) -> nn.Module:
    """w': copies of classifier and optimizer after real steps of torch's own optimizer."""
    model = copy.deepcopy(task.classifier)
    if task.virtual_step == "sgd":
        inner: Optimizer = SGD(model.parameters(), lr=optimizer.param_groups[0]["lr"])
    else:
        inner = type(optimizer)(model.parameters(), lr=1.0)
        inner.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    for _ in range(task.inner_steps):
        losses = task.loss(model(data.x), data.y)
        with torch.no_grad():
            u = task.normalise(task.weight_net(losses.detach()))
        inner.zero_grad()
        (u @ losses).backward()
        inner.step()
    return model


def meta_loss(task: Bilevel, optimizer: Optimizer, data: Batch, meta: Batch) -> float:
    model = look_ahead(task, optimizer, data)
    with torch.no_grad():
        return float(task.meta_loss(model(meta.x), meta.y).mean())


def central_differences(
    task: Bilevel, optimizer: Optimizer, data: Batch, meta: Batch, eps: float = 1e-5
) -> Tensor:
    """dM/dTheta, flat, by two look-aheads for each parameter of the weight net."""
    slopes = []
    for parameter in task.weight_net.parameters():
        flat = parameter.data.view(-1)
        for i in range(len(flat)):
            kept = float(flat[i])
            flat[i] = kept + eps
            above = meta_loss(task, optimizer, data, meta)
            flat[i] = kept - eps
            below = meta_loss(task, optimizer, data, meta)
            flat[i] = kept
            slopes.append((above - below) / (2 * eps))
    return torch.tensor(slopes, dtype=torch.float64)


def flat(tensors: tuple[Tensor, ...]) -> Tensor:
    return torch.cat([tensor.reshape(-1) for tensor in tensors])


def relative(a: Tensor, b: Tensor) -> float:
    """Largest difference, as a share of the largest entry."""
    return float((a - b).abs().max() / b.abs().max())


def random_logits(n: int = 50, classes: int = 10, scale: float = 4.0) -> Tensor:
    rng = torch.Generator().manual_seed(n + classes)
    return torch.randn(n, classes, dtype=torch.float64, generator=rng) * scale
