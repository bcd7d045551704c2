"""D2L: dimensionality-driven learning."""

import copy
import math
from typing import Any, final

import torch
from torch import Tensor, nn

from mwnet.core import seeding
from mwnet.core.errors import UserError
from mwnet.data.batches import Batch, Batches
from mwnet.losses.targets import bootstrap_hard
from mwnet.methods.base import Context, Method, Phase
from mwnet.methods.hidden import hidden, last_linear
from mwnet.methods.learner import Parts

NEIGHBOURS = 20
SAMPLES = 1280


@final
class D2L(Method):
    """Train until the dimensionality of the features rises, then mix labels with predictions.

    1. Train with cross-entropy. After every epoch measure the local intrinsic dimensionality (LID)
    of
       the penultimate features, from the 20 nearest neighbours among 1,280 training samples. It
       falls while the network learns, and rises when the network begins to memorise wrong labels.
    2. The turning point is the first epoch, after ``warmup`` and the window, whose LID is more than
    2
       standard deviations above the mean of the last ``window`` epochs. There the network goes back
       to its state one epoch earlier.
    3. From there on the target is alpha y + (1 - alpha) (the predicted class), with
       alpha = exp(-(t / T) LID_t / (lowest LID before)) in epoch t of T.

    The label-quality score is the probability of the given label. A step costs 3 forward passes.
    The LID costs one more for each of the 1,280 samples, once an epoch.

    Args:
        parts: what to build from.
        warmup: epochs without a turning point, as a share of all in [0, 1); 40 of 120 in the paper.
        window: epochs that the LID is compared with, at least 2.

    Raises:
        ValueError: warmup or window outside its range.

    Source: Ma et al., ICML 2018. Where the authors' code differs: to go back it restores the
    checkpoint that it has just written, and since 2019 it trains with another loss than
    cross-entropy before the turning point. Momentum and learning-rate schedule are not turned back.
    """

    stays_frozen = "which goes back to earlier weights, and those are of the head alone"

    def __init__(self, parts: Parts, *, warmup: float = 1 / 3, window: int = 5) -> None:
        if not (0 <= warmup < 1 and window >= 2):
            raise ValueError(
                f"d2l needs warmup in [0, 1) and window from 2, got {warmup} and {window}"
            )
        super().__init__(Phase("training", parts.epochs))
        self.parts = parts
        self.learner = parts.learner()
        self.first = round(warmup * parts.epochs) + window + 1
        self.window = window
        self.dimensions: list[float] = []
        self.alpha = 1.0
        self.turned = False
        self.earlier: dict[str, Any] | None = None

    def begin_epoch(self, context: Context) -> None:
        if self.epoch == 0:
            return
        rng = seeding.generator(self.parts.seed, "dimensionality", self.epoch)
        lid = dimensionality(penultimate(self.learner.network, context.train, rng))
        if not self.turned and self.epoch >= self.first:
            recent = torch.tensor(self.dimensions[-self.window :], dtype=torch.float64)
            if lid > float(recent.mean() + 2 * recent.std(unbiased=False)):
                self.turned = True
                assert self.earlier is not None
                self.learner.network.load_state_dict(self.earlier)
                self.earlier = None
                lid = self.dimensions[-1]
        if not self.turned:
            self.earlier = copy.deepcopy(self.learner.network.state_dict())
        self.dimensions.append(lid)
        if self.turned:
            share = self.epoch / self.parts.epochs
            lowest = min((d for d in self.dimensions[:-1] if d > 0), default=lid)
            self.alpha = math.exp(-share * lid / lowest) if lowest > 0 else math.exp(-share)

    def step(self, batch: Batch, meta_batch: Batch | None = None) -> dict[str, Tensor]:
        losses = bootstrap_hard(self.learner(batch.x), batch.y, beta=self.alpha)
        return {**self.learner.update(losses.mean()), "alpha": losses.new_full((), self.alpha)}

    def get_extra_state(self) -> dict[str, Any]:
        names = ("dimensions", "alpha", "turned", "earlier")
        return {name: getattr(self, name) for name in names}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        for name, value in state.items():
            setattr(self, name, value)


def penultimate(network: nn.Module, samples: Batches, rng: torch.Generator) -> Tensor:
    """Compute ``(m, d)`` inputs of the last linear layer for at most 1,280 random samples.

    Raises:
        UserError: (a ValueError) a network without a linear layer.
    """
    if last_linear(network) is None:
        raise UserError("`method='d2l'` needs a network with a linear layer at its end")
    ids = samples.ids[torch.randperm(len(samples.ids), generator=rng)[:SAMPLES]]
    return hidden(network, samples.pixels, ids)


def dimensionality(features: Tensor, neighbours: int = NEIGHBOURS) -> float:
    """Estimate the mean local intrinsic dimensionality of ``(m, d)`` features.

    The estimate is by maximum likelihood:

    LID(x) = -1 / mean_j log(r_j(x) / r_k(x)),   r_1 <= ... <= r_k distances to neighbours

    Samples that coincide with all their neighbours have no dimensionality and are left out. The
    result is 0 if none is left.
    """
    k = min(neighbours, len(features) - 1)
    features = features.double()
    apart = torch.cdist(features, features)
    rounding = 1e-6 * features.norm(dim=1).max()  # what cdist leaves between copies
    apart = torch.where(apart > rounding, apart, 0.0)
    nearest = apart.topk(k + 1, largest=False).values[:, 1:]
    logs = (nearest / nearest[:, -1:]).log().mean(1)
    valid = logs.isfinite() & (logs < 0)
    return float((-1 / logs[valid]).mean()) if bool(valid.any()) else 0.0
