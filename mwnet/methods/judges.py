"""Those beside the networks that judge labels which they have not seen.

They are forests, a linear model and neighbours.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from mwnet.core.seeding import derive
from mwnet.methods.forest import Forest, Kind
from mwnet.methods.linear import LARGEST, Linear

KINDS: tuple[Kind, ...] = ("random", "extra")
WIDEST = 2048
"""Numbers in a sample up to which they judge: pixels of photos tell a tree little."""
NEIGHBOURS = 50
MOST_WORK = 4e12
"""Products of numbers up to which all pairs of samples are compared: a minute on two cores."""
PAIRS = 50_000_000
"""Pairs that are in memory at once."""


def judgements(
    x: Tensor,
    labels: Tensor,
    num_classes: int,
    fold: Tensor,
    weights: Tensor | None,
    seed: int,
    purpose: str,
) -> tuple[list[Forest | Linear], list[Tensor]]:
    """Grow a random forest and one of extra trees, fit a linear model, and let neighbours vote.

    The linear model is there up to ``LARGEST``. Neighbours vote where all pairs of samples can be
    compared in about a minute.

    Args:
        x: ``(n, ...)`` samples, which are flattened.
        labels: ``(n,)`` given labels.
        num_classes: K.
        fold: ``(n,)`` of the linear model, see ``Linear.fit``.
        weights: ``(n,)``; None for 1 each.
        seed: of the run.
        purpose: what the forests are for; another one gives other trees.

    Returns:
        The forests, then the linear model; ``(n, K)`` log probabilities of each judge in this
        order, then of the neighbours.
    """
    models: list[Forest | Linear] = []
    logs: list[Tensor] = []
    for kind in KINDS:
        own = derive(seed, f"{kind} {purpose}")
        forest, unseen = Forest.fit(kind, x, labels, num_classes, weights=weights, seed=own)
        models.append(forest)
        logs.append(unseen.clamp_min(1e-12).log())
    if x.numel() * num_classes <= LARGEST:
        linear, unseen = Linear.fit(x, labels, num_classes, fold, weights=weights)
        models.append(linear)
        logs.append(unseen)
    if len(x) * x.numel() <= MOST_WORK:
        logs.append(votes(x, labels, num_classes, weights))
    return models, logs


def votes(x: Tensor, labels: Tensor, num_classes: int, weights: Tensor | None = None) -> Tensor:
    """Let the 50 samples with the most similar direction vote about each sample's label.

    A sample has no vote about itself. One more vote is shared by all classes.

    Args:
        x: ``(n, ...)`` samples, which are flattened; similarity is the cosine.
        labels: ``(n,)`` given labels.
        num_classes: K.
        weights: ``(n,)`` of the votes; None for 1 each.

    Returns:
        ``(n, K)`` log probabilities.

    Source: with noisy labels, Bahri et al., "Deep k-NN for noisy labels", ICML 2020.

    Examples:
        >>> x = torch.eye(2).repeat_interleave(60, 0)
        >>> given = torch.arange(120) // 60
        >>> given[0] = 1  # a wrong label
        >>> votes(x, given, 2)[0].exp()
        tensor([0.9902, 0.0098])
    """
    vote = F.one_hot(labels, num_classes).to(x.dtype)
    if weights is not None:
        vote = vote * weights[:, None]
    return of_neighbours(x, vote).log()


def of_neighbours(x: Tensor, vote: Tensor) -> Tensor:
    """Sum the votes of the 50 samples with the most similar direction, and one vote for all.

    Args:
        x: ``(n, ...)`` samples, which are flattened; similarity is the cosine.
        vote: ``(n, K)`` of each sample, from 0.

    Returns:
        ``(n, K)`` probabilities.
    """
    direction = F.normalize(x.flatten(1), dim=1)
    vote = vote.to(direction.dtype)
    nearest = min(NEIGHBOURS, len(x) - 1)
    rows = max(1, PAIRS // len(x))
    parts = []
    for start in range(0, len(x), rows):
        similar = direction[start : start + rows] @ direction.T
        own = torch.arange(len(similar), device=x.device)
        similar[own, own + start] = -torch.inf
        parts.append(vote[similar.topk(nearest, 1).indices].sum(1))
    counted = torch.cat(parts) + 1 / vote.shape[1]
    return counted / counted.sum(1, keepdim=True)
