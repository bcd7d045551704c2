"""Folds of the training samples, and weights by what was said out of fold."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mwnet.bilevel.weighting import Normalise
from mwnet.core.seeding import generator
from mwnet.core.world import world
from mwnet.data.batches import Batch, Batches
from mwnet.methods.base import log_margin
from mwnet.methods.committee import woven
from mwnet.methods.learner import Parts
from mwnet.noise.plain import plain_matrix, posterior

FEATURES = 3
"""Inputs of the weight net."""
DIRECTIONS = (1.0, 1.0, -1.0)
"""Whether a weight may rise or fall with each of them, where it is to be monotone."""
NEAR_ZERO = 1e-3
"""First outer weights of a monotone perceptron: at 0 their absolute value would have no slope."""
UNSURE = 0.01
"""Probability of being right that no label is below, and of being wrong likewise."""
OUTSIDE = -1
"""Fold of a sample that is alone in its class: all networks train on it, and none judges it."""


class OutOfFoldWeights(nn.Module):
    """Map what those that never saw a sample say about its label to its weight.

    v = sigmoid(slope * z + f(z, r, c)) with the margin z of ``features_of``, its rank r in [0, 1]
    and the share c of looks in which the networks predicted another class; f is a perceptron of 100
    units that begins at zero (monotone: near zero), so that weights begin as a gently falling
    function of doubt.

    Args:
        slope: of the first curve.
        monotone: take the absolute values of the perceptron's weights, so that v never falls with z
            and r and never rises with c.
        hidden: units of the perceptron.
    """

    def __init__(self, slope: float, monotone: bool = False, hidden: int = 100) -> None:
        super().__init__()
        self.slope, self.monotone = slope, monotone
        # A buffer, so that no step copies it from the host.
        self.register_buffer("directions", torch.tensor(DIRECTIONS), persistent=False)
        self.directions: Tensor
        self.hidden = nn.Linear(FEATURES, hidden)
        self.out = nn.Linear(hidden, 1)
        nn.init.constant_(self.out.weight, NEAR_ZERO if monotone else 0.0)
        nn.init.zeros_(self.out.bias)

    def forward(self, features: Tensor, labels: Tensor | None = None) -> Tensor:
        """``(n, 3)`` margin, rank and share -> ``(n,)`` weights in (0, 1)."""
        inner, outer = self.hidden.weight, self.out.weight
        if self.monotone:
            inner, outer = inner.abs() * self.directions, outer.abs()
        units = torch.relu(F.linear(features, inner, self.hidden.bias))
        more = F.linear(units, outer, self.out.bias).squeeze(1)
        return torch.sigmoid(self.slope * features[:, 0] + more)


def features_of(said: Tensor, labels: Tensor, wrong: Tensor) -> Tensor:
    """Compute what the weight net is told of each sample: margin, rank and share.

    The margin is the mean of the log margin and of the log odds that the label is right. Under
    heavy noise a log margin is near zero even where a label is surely wrong; the odds depend on an
    estimate of the noise, which may fail.

    Args:
        said: ``(n, C)`` log probabilities of the given labels, by what has not seen the sample.
        labels: ``(n,)`` given labels.
        wrong: ``(n,)`` share of looks in which another class was predicted.

    Returns:
        ``(n, 3)``.
    """
    q, given = said.double().exp().cpu().numpy(), labels.cpu().numpy()
    right = torch.from_numpy(1 - posterior(given, q, plain_matrix(given, q))[0]).to(said)
    margin = (log_margin(said, labels) + torch.logit(right, UNSURE)) / 2
    rank = margin.argsort().argsort().to(said.dtype) / max(1, len(labels) - 1)
    return torch.stack([margin, rank, wrong], 1)


def of_each(normalise: Normalise, networks: int) -> Normalise:
    """Normalise the weights of each network's samples, the i-th of which is of i mod networks."""

    def normalised(weights: Tensor) -> Tensor:
        return woven([normalise(weights[k::networks]) for k in range(networks)])

    return normalised


def for_all(batch: Batch, fold: Tensor, networks: int) -> Batch:
    """Take each sample once for each network, with weight 0 for the one that shall not see it.

    Args:
        batch: n training samples.
        fold: of each sample id.
        networks: K.

    Returns:
        n * K samples; the i-th is for network i mod K.
    """
    index, y = (each.repeat_interleave(networks) for each in (batch.index, batch.y))
    x = batch.x.repeat_interleave(networks, 0)
    network = torch.arange(len(index), device=index.device) % networks
    weight = (fold[index] != network).float()
    if batch.weight is not None:
        weight = weight * batch.weight.repeat_interleave(networks)
    return Batch(index, x, y, weight=weight)


def from_folds(train: Batches, members: Sequence[Tensor], seed: int, step: int) -> Batch:
    """Draw samples of its fold for each network, with their given labels.

    Args:
        train: the training samples.
        members: ids of each fold; all samples stand in for a fold without any.
        seed: of the run.
        step: of the training.

    Returns:
        A batch for each network, of which the i-th sample is for network i mod K.
    """
    rng, size = generator(seed, "meta", step), train.batch_size
    used = [ids if len(ids) else train.ids for ids in members]
    drawn = [ids[torch.randint(len(ids), (size,), generator=rng)] for ids in used]
    mine = torch.stack(drawn, 1)[world().share(size)]
    ids = mine.flatten().to(train.labels.device)
    return Batch(ids, train.pixels.take(ids), train.labels[ids])


def folds_of(parts: Parts, folds: int) -> Tensor:
    """Draw ``(n,)`` int64 folds by sample id, stratified by given label.

    A class with one sample is ``OUTSIDE``: without it no network would know the class.
    """
    train = parts.train
    labels = train.labels.cpu()[train.ids]
    fold = torch.full((parts.num_samples,), OUTSIDE)
    rng = generator(parts.seed, "folds")
    start = 0
    for label in range(parts.num_classes):
        ids = train.ids[labels == label]
        if len(ids) < 2:
            continue
        order = ids[torch.randperm(len(ids), generator=rng)]
        fold[order] = (torch.arange(len(ids)) + start) % folds
        start += len(ids)
    return fold
