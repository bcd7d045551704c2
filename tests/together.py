"""What several processes compute together; torchrun runs this file, and tests run it alone."""

import sys
from dataclasses import replace
from itertools import product

import torch
from problems import batch, flat, problem
from torch import Tensor
from torch.optim import SGD, AdamW

from mwnet.bilevel import ENGINES, bilevel_step
from mwnet.bilevel.batch_norm import share_batch_norms
from mwnet.core.world import together, world
from mwnet.data import Batch

STEPS, SIZE, META_SIZE = 20, 11, 6
Case = tuple[str, str, str, str]
"""Engine, normalisation, optimizer, network."""
ALL: list[Case] = [
    case
    for case in product(
        ("forward", "ghost", "higher"), ("mean", "sum"), ("momentum", "adamw"), ("plain", "batchnorm")
    )
    if case[::3] != ("ghost", "batchnorm")
]
SOME: list[Case] = [
    ("forward", "sum", "adamw", "batchnorm"),
    ("ghost", "sum", "momentum", "plain"),
    ("higher", "mean", "momentum", "batchnorm"),
]


def share_of(whole: Batch) -> Batch:
    part = world().share(len(whole.y))
    return replace(whole, index=whole.index[part], x=whole.x[part], y=whole.y[part])


def steps(case: Case) -> dict[str, Tensor]:
    """dM/dTheta of the first step, and both networks after 20 steps on uneven shares."""
    engine, normalise, kind, network = case
    task = problem(network, normalise=normalise, virtual_step="optimizer")
    share_batch_norms(task.classifier)
    w, theta = list(task.classifier.parameters()), list(task.weight_net.parameters())
    optimizer = (
        SGD(w, lr=0.1, momentum=0.9, weight_decay=1e-2)
        if kind == "momentum"
        else AdamW(w, lr=0.01, eps=1e-4)
    )
    weight_optimizer = SGD(theta, lr=1.0, momentum=0.9)
    first = None
    reports = []
    for step in range(STEPS):
        data, meta = share_of(batch(SIZE, step)), share_of(batch(META_SIZE, 1000 + step))
        report = bilevel_step(task, ENGINES[engine], optimizer, weight_optimizer, data, meta)
        reports += world().report(report).values()
        if first is None:
            first = flat(tuple(p.grad.clone() for p in theta if p.grad is not None))
    assert first is not None
    return {
        "gradient": first,
        "theta": flat(tuple(p.detach() for p in theta)),
        "w": flat(tuple(v.double() for v in task.classifier.state_dict().values())),
        "reports": torch.stack(reports).detach(),
    }


def outcomes(cases: list[Case]) -> dict[Case, dict[str, Tensor]]:
    torch.set_num_threads(1)
    return {case: steps(case) for case in cases}


if __name__ == "__main__":
    out, which = sys.argv[1:]
    with together() as processes:
        found = outcomes({"all": ALL, "some": SOME}[which])
        torch.save(found, f"{out}/{which}-{processes.rank}.pt")
