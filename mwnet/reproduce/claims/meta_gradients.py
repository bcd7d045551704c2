"""Meta-gradients of single meta samples, whose mean is that of a meta batch."""

import copy
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.optim import SGD

from mwnet.bilevel import Bilevel
from mwnet.core.errors import UserError
from mwnet.core.seeding import generator
from mwnet.data import Batch
from mwnet.reproduce.claims.base import Run, true_labels

CALLS = 2000
"""Meta-gradients of single samples that are computed at most for a run; 10 samples at least."""


def contributions_of(run: Run) -> tuple[Tensor, Tensor]:
    """Compute ``(n, K, d)`` meta-gradients of single samples, and ``(n,)`` true labels.

    They are those of the trained networks in float64, for one training batch. The look-ahead is the
    paper's plain gradient step at the run's first learning rate, because the schedule may have
    ended at zero. The networks are in eval mode, so that with batch norm too the meta-gradient of a
    batch is the mean over its samples.
    """
    experiment = run.experiment()
    method: Any = experiment.method
    problem = getattr(method, "problem", None)
    if not isinstance(problem, Bilevel) or not len(experiment.data.parts.meta):
        raise UserError(
            f"{run.folder}: only `method='mwnet'` with a meta set has this meta-gradient"
        )
    truth = true_labels(run, experiment)
    problem = replace(
        problem,
        classifier=copy.deepcopy(problem.classifier).double().eval(),
        weight_net=copy.deepcopy(problem.weight_net).double(),
        virtual_step="sgd",
    )
    optimizer = SGD(problem.classifier.parameters(), lr=experiment.config.lr)
    classes = experiment.data.source.num_classes
    meta = experiment.data.parts.meta
    order = torch.randperm(len(meta), generator=generator(run.seed, "meta variance", "samples"))
    ids = meta[order[: max(10, CALLS // classes)]]
    x = experiment.data.pixels.take(ids.to(experiment.device)).double()
    train = experiment.train[0]
    batch = Batch(train.index, train.x.double(), train.y)
    rows = []
    for i in range(len(ids)):
        for label in range(classes):
            given = torch.full((1,), label, device=x.device)
            alone = Batch(ids[i : i + 1], x[i : i + 1], given)
            theta = method.engine(problem, optimizer, batch, alone).theta
            rows.append(torch.cat([part.flatten() for part in theta]).cpu())
    return torch.stack(rows).reshape(len(ids), classes, -1), truth[ids]
