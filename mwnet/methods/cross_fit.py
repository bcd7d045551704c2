"""Cross-fitted RMNW-Net: each label is judged by a network that has not seen it."""

import math
from typing import Any, final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mwnet.bilevel import Bilevel, bilevel_step
from mwnet.core.seeding import generator
from mwnet.data.batches import Batch
from mwnet.methods.base import Context, Method, Phase, predict
from mwnet.methods.learner import Learner, Parts

FEATURES = 3
"""Inputs of the weight net."""
OUTSIDE = -1
"""Fold of a sample that is alone in its class: all networks train on it, and none judges it."""


class OutOfFoldWeights(nn.Module):
    """Map what the networks that never saw a sample say about its label to its weight.

    v = sigmoid(slope * z + f(z, r, c)) with the log margin z, its rank r in [0, 1] and the share c
    of epochs in which another class was predicted; f is a perceptron of 100 units that begins at
    zero, so that weights begin as a gently falling function of doubt.

    Args:
        slope: of the first curve.
        hidden: units of the perceptron.
    """

    def __init__(self, slope: float, hidden: int = 100) -> None:
        super().__init__()
        self.slope = slope
        self.hidden = nn.Linear(FEATURES, hidden)
        self.out = nn.Linear(hidden, 1)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)
        self.features: Tensor | None = None

    def forward(self, losses: Tensor, labels: Tensor | None = None) -> Tensor:
        """Weights in (0, 1) of the samples whose ``features`` are set; losses are not looked at."""
        assert self.features is not None
        return self.of(self.features)

    def of(self, features: Tensor) -> Tensor:
        """``(n, 3)`` margin, rank and share -> ``(n,)`` weights."""
        more = self.out(torch.relu(self.hidden(features))).squeeze(1)
        return torch.sigmoid(self.slope * features[:, 0] + more)


@final
class CrossFit(Method):
    """Train K networks without one fold of the samples each, and judge every label out of fold.

    1. First round: K networks, network k without fold k, all weights 1. After each epoch network k
       judges the labels of fold k, which it has never seen.
    2. Second round: K new networks. The weight of a sample is learnt by one weight net from what
       its judge said in the first round: the log margin of the given label, of log probabilities
       averaged over the epochs, its rank, and how often another class was predicted.
       Fold k with its given, noisy labels is the meta set of network k, so no sample is held out.

    Prediction is the mean of the second networks' probabilities. The label-quality score of a
    training sample is p / (p + best other p) of the given label, where p are the out-of-fold
    probabilities, geometric means over the epochs of the round.

    From RMNW-Net (Ghosh and Lan, WACV 2021): the look-ahead step, the meta loss MAE on noisy
    labels, the weight net of 100 units. Not from the papers: folds, rounds, and margins as input.

    Args:
        parts: what to build from.
        folds: K.
        slope: of the weight's first curve, see ``OutOfFoldWeights``.

    Raises:
        ValueError: fewer than 2 folds, a slope below 0.
    """

    takes_loss = "per sample"
    learns_weights = True
    weight_of_loss = False
    stays_frozen = "which trains ten networks"
    networks = 5
    passes = 20

    FIRST, SECOND = "first round", "second round"

    def __init__(self, parts: Parts, *, folds: int = 5, slope: float = 1.0) -> None:
        if folds < 2 or slope < 0:
            raise ValueError(f"cross-fit needs folds from 2 and slope from 0, got {folds}, {slope}")
        super().__init__(Phase(self.FIRST, parts.epochs), Phase(self.SECOND, parts.epochs))
        weighting = parts.weighting
        assert weighting is not None  # given to every method that learns weights
        self.first = nn.ModuleList(parts.learner(f"judge {k}") for k in range(folds))
        self.second = nn.ModuleList(
            parts.learner("classifier" if k == 0 else f"classifier {k}") for k in range(folds)
        )
        self.weight_net = parts.module("weight net", lambda: OutOfFoldWeights(slope))
        self.problems = [
            Bilevel(
                learner.network,
                self.weight_net,
                parts.loss,
                weighting.meta_loss,
                weighting.normalise,
                weighting.virtual_step,
                weighting.inner_steps,
            )
            for learner in learners(self.second)
        ]
        self.weight_optimizer = weighting.optimizer(self.weight_net)
        self.engine, self.meta_interval = weighting.engine, weighting.meta_interval
        self.train_batches, self.seed = parts.train, parts.seed
        fold = folds_of(parts, folds)
        of_sample = fold[parts.train.ids]
        self.members = [parts.train.ids[of_sample == k] for k in range(folds)]
        self.register_buffer("fold", fold, persistent=False)  # follows from seed and labels
        n, classes = parts.num_samples, parts.num_classes
        sums = {
            "judged": torch.zeros(n, classes),
            "wrong": torch.zeros(n),
            "looks": torch.zeros(()),
            "features": torch.zeros(n, FEATURES),
        }
        for name, value in sums.items():
            self.register_buffer(name, value)
        self.fold: Tensor
        self.judged: Tensor
        self.wrong: Tensor
        self.looks: Tensor
        self.features: Tensor

    @property
    def learner(self) -> Learner:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The first of the networks that train now, with its optimizer."""
        return self._now[0]

    @property
    def _now(self) -> list[Learner]:
        return learners(self.first if self.phase == self.FIRST else self.second)

    @property
    def network(self) -> nn.Module:
        """The mean of the networks."""
        return Mean([learner.network for learner in self._now])

    @property
    def engine_name(self) -> str | None:
        return self.engine.name

    def begin_epoch(self, context: Context) -> None:
        if self.epoch == self.start_of(self.SECOND):
            ids = self.train_batches.ids.to(self.looks.device)
            self.features[ids] = self._features(ids)
            for sums in (self.judged, self.wrong, self.looks):
                sums.zero_()

    @torch.no_grad()
    def _judge(self) -> None:
        """Let each network judge the labels of its fold, at the end of an epoch."""
        train = self.train_batches
        ids = train.ids.to(train.labels.device)
        labels, fold = train.labels[ids], self.fold[ids]
        logits = torch.zeros(len(ids), self.judged.shape[1], device=ids.device)
        judges = {k: learner.network for k, learner in enumerate(self._now)}
        for k, judge in {**judges, OUTSIDE: self.network}.items():
            mine = fold == k
            if mine.any():
                logits[mine] = predict(judge, train.pixels, ids[mine]).float()
        logs = F.log_softmax(logits, -1)
        self.looks += 1
        self.judged[ids] += logs
        self.wrong[ids] += (logs.argmax(1) != labels).float()

    def _features(self, ids: Tensor) -> Tensor:
        """``(n, 3)`` margin, rank and share of epochs with another class."""
        labels = self.train_batches.labels[ids]
        margin = log_margin(self.judged[ids] / self.looks, labels)
        rank = margin.argsort().argsort().float() / max(1, len(ids) - 1)
        return torch.stack([margin, rank, self.wrong[ids] / self.looks], 1)

    def step(self, batch: Batch, meta_batch: Batch | None = None) -> dict[str, Tensor]:
        weighted = self.phase == self.SECOND
        due = weighted and self.learner.steps % self.meta_interval == 0
        fold = self.fold[batch.index]
        reports = []
        for k, learner in enumerate(self._now):
            others = fold != k
            if not others.any():  # the schedules of all networks go on together
                learner.scheduler.step()
                continue
            part = Batch(batch.index[others], batch.x[others], batch.y[others])
            if weighted:
                self.weight_net.features = self.features[part.index]
                judged = due and len(self.members[k]) > 0
                meta = self._meta(k, learner.steps, len(batch.index)) if judged else None
                report = bilevel_step(
                    self.problems[k],
                    self.engine,
                    learner.optimizer,
                    self.weight_optimizer,
                    part,
                    meta,
                )
            else:
                objective = self.problems[k].loss(learner(part.x), part.y).mean()
                learner.descend(objective)
                report = {"train_loss": objective.detach()}
            learner.scheduler.step()
            reports.append(report)
        if self.learner.steps % len(self.train_batches) == 0:
            self._judge()
        names = reports[0].keys()
        return {name: torch.stack([report[name] for report in reports]).mean() for name in names}

    def _meta(self, k: int, step: int, size: int) -> Batch:
        """Samples of fold k with their given labels."""
        train, ids = self.train_batches, self.members[k]
        places = torch.randint(len(ids), (size,), generator=generator(self.seed, "meta", k, step))
        drawn = ids[places].to(train.labels.device)
        return Batch(drawn, train.pixels.take(drawn), train.labels[drawn])

    def logits(self, x: Tensor) -> Tensor:
        """``(n, K)`` logarithms of the networks' mean probabilities."""
        return self.network(x)

    def judge(self, logits: Tensor, index: Tensor) -> Tensor:
        """Take the mean of what was said out of fold, where something was."""
        judged = self.judged[index] / self.looks.clamp_min(1)
        return torch.where(judged.any(1, keepdim=True), judged, logits)

    def label_quality(self, logits: Tensor, labels: Tensor, index: Tensor) -> dict[str, Tensor]:
        own = torch.sigmoid(log_margin(F.log_softmax(logits, -1), labels))
        features = self.features[index]
        weight = torch.where(features.any(1), self.weight_net.of(features), 1.0)
        return {"own": own, "weight": weight}

    def get_extra_state(self) -> dict[str, Any]:
        return {
            "weight_optimizer": self.weight_optimizer.state_dict(),
            "engine": self.engine.state_dict(),
        }

    def set_extra_state(self, state: dict[str, Any]) -> None:
        self.weight_optimizer.load_state_dict(state["weight_optimizer"])
        self.engine.load_state_dict(state["engine"])


def learners(modules: nn.ModuleList) -> list[Learner]:
    """The learners in a list of modules."""
    return [module for module in modules if isinstance(module, Learner)]


class Mean(nn.Module):
    """Average the probabilities of networks; the result is their logarithm.

    Args:
        networks: with the same classes.
    """

    def __init__(self, networks: list[nn.Module]) -> None:
        super().__init__()
        self.networks = nn.ModuleList(networks)

    def forward(self, x: Tensor) -> Tensor:
        """``(n, ...)`` samples -> ``(n, K)`` logits."""
        logs = torch.stack([F.log_softmax(network(x), -1) for network in self.networks])
        return logs.logsumexp(0) - math.log(len(self.networks))


def log_margin(logs: Tensor, labels: Tensor) -> Tensor:
    """``(n,)`` log p of the given label minus that of the best other class, of ``(n, K)`` log p."""
    own = logs.gather(1, labels[:, None]).squeeze(1)
    others = logs.scatter(1, labels[:, None], -torch.inf)
    return (own - others.max(1).values).clamp(-30, 30)


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
