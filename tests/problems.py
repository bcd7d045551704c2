"""Tiny bilevel problems, and an oracle that knows nothing of the engines."""

import copy

import torch
from torch import Tensor, nn
from torch.optim import SGD, Optimizer

from mwnet.bilevel import Bilevel
from mwnet.data import Batch
from mwnet.losses import LOSSES
from mwnet.weighting import NORMALISATIONS, WeightNet

CLASSES = 3


def network(kind: str = "plain") -> nn.Module:
    """A 4-5-3 perceptron, optionally with batch norm or dropout."""
    middle: dict[str, list[nn.Module]] = {
        "plain": [],
        "batchnorm": [nn.BatchNorm1d(5)],
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
