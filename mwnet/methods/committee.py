"""Networks, forests and a linear model that predict together."""

import copy
import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mwnet.methods.forest import Fitted, Forest
from mwnet.methods.linear import Linear
from mwnet.methods.stacks import kind_for, stacked

BATCHED = ("perceptron", "tabm")
"""Kinds of stacks that forward mode goes through and that are faster than networks in turn."""
LEAST = 1e-3
"""Probability that no judge goes below: one that is certain and wrong would outvote all others."""
SAMPLES = 20_000
"""Samples that shares are found on at most."""


class SideBySide(nn.Module):
    """Train networks of one architecture at once: the i-th sample goes through network i mod K.

    As one module they need one optimizer and one bilevel step. They share nothing, so each learns
    as it would alone. Perceptrons and ``tabm`` are computed by batched matrix products.

    Args:
        networks: K of them.
    """

    def __init__(self, networks: Sequence[nn.Module]) -> None:
        super().__init__()
        self.size = len(networks)
        kind = kind_for(networks[0], next(networks[0].parameters()).device)
        if kind in BATCHED:
            self.together = stacked(networks, kind)
            self._template = [networks[0]]  # in a list, so that it is no part of this module
        else:
            self.networks = nn.ModuleList(networks)

    def forward(self, x: Tensor) -> Tensor:
        """``(n, ...)`` samples -> ``(n, C)`` logits."""
        if "networks" in self._modules:
            parts = [network(x[k :: self.size]) for k, network in enumerate(self.networks)]
            return woven(parts)
        # Rows of zeros are cut off again. What is computed together flattens its samples.
        rows = F.pad(x.flatten(1), (0, 0, 0, -len(x) % self.size))
        own = rows.unflatten(0, (-1, self.size)).transpose(0, 1)
        logits = self.together(own[..., None, None])
        return logits.permute(2, 0, 1).flatten(0, 1)[: len(x)]

    def members(self) -> list[nn.Module]:
        """Return the K networks, in training or evaluation as this one is.

        Those that are computed together are copied.
        """
        if "networks" in self._modules:
            return list(self.networks)
        (template,) = self._template
        copies = [copy.deepcopy(template).train(self.training) for _ in range(self.size)]
        for k, network in enumerate(copies):
            network.load_state_dict(self.together.state(k))
        return copies


def woven(parts: Sequence[Tensor]) -> Tensor:
    """Put the rows of some tensors in turn: the i-th row is one of part i mod their number."""
    shortest = len(parts[-1])
    even = torch.stack([part[:shortest] for part in parts], 1).flatten(0, 1)
    return torch.cat([even, *(part[shortest:] for part in parts)])


class Committee(Fitted):
    """Predict by the geometric mean of what several judges say, with a share for each.

    Networks count as one judge, whose probabilities are the mean of theirs.

    Args:
        networks: with the same classes.
        others: more judges, perhaps none: forests, then perhaps a linear model.
        shares: ``(1 + others,)`` that sum to 1; None for networks alone.
    """

    def __init__(
        self,
        networks: Sequence[nn.Module],
        others: Sequence[Forest | Linear] = (),
        shares: Tensor | None = None,
    ) -> None:
        super().__init__()
        self.networks = nn.ModuleList(networks)
        self.others = nn.ModuleList(others)
        self.register_buffer("shares", torch.ones(1) if shares is None else shares)
        self.shares: Tensor

    @property
    def size(self) -> tuple[int, int, int]:
        """The number of networks, of forests and of linear models."""
        linear = sum(isinstance(judge, Linear) for judge in self.others)
        return len(self.networks), len(self.others) - linear, linear

    def forward(self, x: Tensor) -> Tensor:
        """``(n, ...)`` samples -> ``(n, C)`` log probabilities."""
        logs = torch.stack([F.log_softmax(network(x), -1) for network in self.networks])
        networks = logs.logsumexp(0) - math.log(len(logs))
        if not len(self.others):
            return networks
        others = [judge(x).clamp_min(LEAST).log() for judge in self.others]
        return pool([networks, *others], self.shares)


def unfitted(forests: int, linear: int) -> list[Forest | Linear]:
    """Return judges that take a saved state: forests, then linear models."""
    return [*(Forest() for _ in range(forests)), *(Linear() for _ in range(linear))]


def pool(logs: Sequence[Tensor], shares: Tensor) -> Tensor:
    """Compute the normalised geometric mean of probabilities.

    Args:
        logs: of each judge ``(n, C)`` log probabilities.
        shares: of each judge; they sum to 1.

    Returns:
        ``(n, C)`` log probabilities.

    Source: logarithmic opinion pool, Genest and Zidek, Statistical Science 1986.
    """
    bounded = torch.stack([each.clamp_min(math.log(LEAST)) for each in logs])
    return F.log_softmax(torch.einsum("j,jnc->nc", shares, bounded), -1)


def shares_of(logs: Sequence[Tensor], labels: Tensor, steps: int = 200) -> Tensor:
    """Find the shares by which the pool explains given labels best, by mean cross-entropy.

    Args:
        logs: of each judge ``(n, C)`` log probabilities of samples that it has not seen.
        labels: ``(n,)`` given labels.
        steps: of Adam on the logits of the shares.

    Returns:
        ``(judges,)`` from 0, which sum to 1.

    Source: stacking, Wolpert, Neural Networks 1992, with the pool instead of a sum.
    """
    every = max(1, len(labels) // SAMPLES)
    some, given = [each[::every] for each in logs], labels[::every]
    raw = torch.zeros(len(logs), device=labels.device, requires_grad=True)
    optimizer = torch.optim.Adam([raw], lr=0.1)
    with torch.enable_grad():
        for _ in range(steps):
            optimizer.zero_grad()
            F.nll_loss(pool(some, raw.softmax(0)), given).backward()
            optimizer.step()
    return raw.detach().softmax(0)
