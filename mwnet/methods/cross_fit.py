"""Cross-fitted RMNW-Net: each label is judged by networks and trees that have not seen it."""

import math
from typing import Any, final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mwnet.bilevel import Bilevel, bilevel_step
from mwnet.data.batches import Batch, Pixels
from mwnet.methods.base import Context, Method, Phase, given_probability, log_margin, predict
from mwnet.methods.committee import Committee, SideBySide, pool, shares_of, unfitted
from mwnet.methods.folds import (
    FEATURES,
    OUTSIDE,
    OutOfFoldWeights,
    features_of,
    folds_of,
    for_all,
    from_folds,
    of_each,
)
from mwnet.methods.forest import Forest
from mwnet.methods.judges import KINDS, WIDEST, judgements
from mwnet.methods.learner import Learner, Parts
from mwnet.methods.linear import Linear

LOOKS = 10
"""How often in a round the networks judge."""


@final
class CrossFit(Method):
    """Judge each label by what has not seen it, weight it by that, train again, judge again.

    1. First round: K networks, network k without fold k, all weights 1. Ten times in the round
       network k judges the labels of fold k, which it has never seen. At the end a random forest
       and a forest of extra trees judge each sample by the trees that have not seen it, a linear
       model by the other folds, and its 50 nearest samples vote. The five are pooled, with the
       shares that explain the given labels best.
    2. Second round: K new networks. The weight of a sample is learnt by one weight net from what
       was said in the first round: a margin of the given label, its rank, and how often the
       networks predicted another class. The margin is the mean of the log margin and of the log
       odds that the label is right, if the labels of the plain samples of each class tell how often
       classes are mistaken. Fold k with its given, noisy labels is the meta set of network k, so no
       sample is held out. At the end the others judge again, with the learnt weights.

    Prediction pools the second networks, forests and linear model, with shares found in the first
    round. The label-quality score of a training sample is p / (p + best other p) of the given
    label, where p are what was pooled in both rounds, in the geometric mean. The others take part
    where a sample has at most 2,048 numbers, that is not for photos as pixels; the linear model and
    the neighbours as long as they need few minutes.

    Where the weights have made the mean absolute error of unseen given labels worse, the first
    round stands: its networks predict, its judgement ranks, and all weights are 1. MAE is a fair
    judge under symmetric noise (Theorem 1 of the paper below).

    From RMNW-Net (Ghosh and Lan, WACV 2021): the look-ahead step, the meta loss MAE on noisy
    labels, the weight net of 100 units. Not from the papers: folds, rounds, margins, other judges.
    Out-of-bag votes: Data-OOB (Kwon and Zou, ICML 2023). Folds: confident learning (Northcutt et
    al., JAIR 2021).

    Args:
        parts: what to build from.
        folds: K.
        slope: of the weight's first curve, see ``OutOfFoldWeights``.
        monotone: a weight never falls with the margin, see there.

    Raises:
        ValueError: fewer than 2 folds, a slope below 0.
    """

    takes_loss = "per sample"
    learns_weights = True
    weight_of_loss = False
    out_of_fold = True
    takes_sample_weight = True
    stays_frozen = "which trains ten networks"
    distributed = True
    networks = 5
    passes = 20

    FIRST, SECOND = "first round", "second round"

    def __init__(
        self, parts: Parts, *, folds: int = 5, slope: float = 1.0, monotone: bool = False
    ) -> None:
        if folds < 2 or slope < 0:
            raise ValueError(f"cross-fit needs folds from 2 and slope from 0, got {folds}, {slope}")
        half = max(1, parts.epochs // 2)
        super().__init__(Phase(self.FIRST, half), Phase(self.SECOND, half))
        weighting, self.folds = parts.weighting, folds
        assert weighting is not None  # given to every method that learns weights
        names = "judge", "classifier"
        self.first, self.second = (parts.learner(name, half, folds) for name in names)
        self.weight_net = parts.module("weight net", lambda: OutOfFoldWeights(slope, monotone))
        self.problem = Bilevel(
            self.second.network,
            self.weight_net,
            parts.loss,
            weighting.meta_loss,
            of_each(weighting.normalise, folds),
            weighting.virtual_step,
            weighting.inner_steps,
            weigh_by=self._features_of,
        )
        self.weight_optimizer = weighting.optimizer(self.weight_net)
        self.engine, self.meta_interval = weighting.engine, weighting.meta_interval
        self.train_batches, self.seed = parts.train, parts.seed
        self.narrow = parts.train.pixels.x[0].numel() <= WIDEST
        fold = folds_of(parts, folds)
        of_sample = fold[parts.train.ids]
        self.members = [parts.train.ids[of_sample == k] for k in range(folds)]
        self.register_buffer("fold", fold, persistent=False)  # follows from seed and labels
        self.fold: Tensor
        n, classes = parts.num_samples, parts.num_classes
        sums = {
            "judged": torch.zeros(n, classes),
            "wrong": torch.zeros(n),
            "looks": torch.zeros(()),
            "features": torch.zeros(n, FEATURES),
            "said": torch.zeros(n, classes),
            "shares": torch.ones(1),
            "judges": torch.ones(1),
        }
        for name, value in sums.items():
            self.register_buffer(name, value)
        self.judged: Tensor
        self.wrong: Tensor
        self.looks: Tensor
        self.features: Tensor
        self.said: Tensor
        self.shares: Tensor
        self.judges: Tensor
        self.others = nn.ModuleList()

    @property
    def learner(self) -> Learner:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The networks that train now, side by side, with their optimizer."""
        return self.first if self.phase == self.FIRST or self.fell_back else self.second

    @property
    def network(self) -> nn.Module:
        """All that predict together."""
        side = self.learner.network
        assert isinstance(side, SideBySide)
        others = [judge for judge in self.others if isinstance(judge, Forest | Linear)]
        return Committee(side.members(), others, self.shares if others else None)

    @property
    def engine_name(self) -> str | None:
        return self.engine.name

    def begin_epoch(self, context: Context) -> None:
        if self.epoch != self.start_of(self.SECOND):
            return
        ids = self.ids()
        said = self._ask_others(None)
        self.said[ids] = said
        share = self.wrong[ids] / self.looks
        self.features[ids] = features_of(said, self.train_batches.labels[ids], share)
        for sums in (self.judged, self.wrong, self.looks):
            sums.zero_()

    def ids(self) -> Tensor:
        return self.train_batches.ids.to(self.fold.device)

    def _ask_others(self, weights: Tensor | None) -> Tensor:
        """Let all others judge, and pool what they say with the networks.

        Args:
            weights: ``(m,)`` learnt weights; None in the first round, which finds the shares.

        Returns:
            ``(m, C)`` log probabilities.
        """
        train, ids = self.train_batches, self.ids()
        networks = F.log_softmax(self.judged[ids] / self.looks, -1)
        if not self.narrow:
            return networks
        labels, classes = train.labels[ids], self.judged.shape[1]
        both = None if train.weights is None else train.weights[ids]
        if weights is not None:
            both = weights if both is None else weights * both
        x = torch.cat([train.pixels.take(part) for part in ids.split(100_000)])
        models, logs = judgements(x, labels, classes, self.fold[ids], both, self.seed, self.phase)
        self.others = nn.ModuleList(models)
        logs = [networks, *logs]
        if weights is None:
            self.shares = shares_of(logs[: 1 + len(models)], labels)
            self.judges = shares_of(logs, labels)
        return pool(logs, self.judges)

    @torch.no_grad()
    def _judge(self) -> None:
        """Let each network judge the labels of its fold."""
        train, ids = self.train_batches, self.ids()
        labels, fold = train.labels[ids], self.fold[ids]
        logits = torch.zeros(len(ids), self.judged.shape[1], device=ids.device)
        side = self.learner.network
        assert isinstance(side, SideBySide)
        members = side.members()
        judges: dict[int, nn.Module] = dict(enumerate(members))
        for k, judge in {**judges, OUTSIDE: Committee(members)}.items():
            mine = fold == k
            if mine.any():
                logits[mine] = predict(judge, train.pixels, ids[mine]).float()
        logs = F.log_softmax(logits, -1)
        self.looks += 1
        self.judged[ids] += logs
        self.wrong[ids] += (logs.argmax(1) != labels).float()

    @torch.no_grad()
    def _conclude(self) -> None:
        """Ask the others with the learnt weights, and pool both rounds.

        Where the weights have made the mean absolute error of unseen given labels worse, by more
        than two standard errors, the first round stands.
        """
        ids = self.ids()
        labels, first = self.train_batches.labels[ids], self.said[ids]
        again = self._ask_others(self.weight_net(self.features[ids]))
        gain = given_probability(again, labels) - given_probability(first, labels)
        if gain.mean() < -2 * gain.std() / math.sqrt(len(ids)):
            self.fell_back = True
            self._ask_others(torch.ones_like(gain))
            return
        self.said[ids] = F.log_softmax((first + again) / 2, -1)

    def step(self, batch: Batch, meta_batch: Batch | None = None) -> dict[str, Tensor]:
        learner = self.learner
        part = for_all(batch, self.fold, self.folds)
        if self.phase == self.SECOND:
            due = learner.steps % self.meta_interval == 0
            folds = self.train_batches, self.members, self.seed
            meta = from_folds(*folds, learner.steps) if due else None
            report = bilevel_step(
                self.problem, self.engine, learner.optimizer, self.weight_optimizer, part, meta
            )
        else:
            assert part.weight is not None
            u = self.problem.normalise(part.weight)
            objective = u @ self.problem.loss(learner(part.x), part.y)
            learner.descend(objective)
            report = {"train_loss": objective.detach()}
        learner.scheduler.step()
        report["train_loss"] = report["train_loss"] / self.folds
        in_epoch = len(self.train_batches)
        total = self.phases[0].epochs * in_epoch
        every = in_epoch * math.ceil(self.phases[0].epochs / LOOKS)
        if (total - learner.steps) % every == 0:
            self._judge()
        if self.phase == self.SECOND and learner.steps == total:
            self._conclude()
        return report

    def _features_of(self, batch: Batch) -> Tensor:
        return self.features[batch.index]

    def logits(self, x: Tensor) -> Tensor:
        """``(n, C)`` log probabilities of all together."""
        return self.network(x)

    def judge(self, pixels: Pixels, ids: Tensor) -> Tensor:
        """Take what was said out of fold; of other samples, what is predicted."""
        said = self.judged[ids] / self.looks.clamp_min(1)
        if self.phase == self.SECOND:
            said = self.said[ids]
        other = ~said.any(1)
        if other.any():
            said[other] = predict(self, pixels, ids[other]).to(said.dtype)
        return said

    def label_quality(self, logits: Tensor, labels: Tensor, index: Tensor) -> dict[str, Tensor]:
        own = torch.sigmoid(log_margin(F.log_softmax(logits, -1), labels))
        features = self.features[index]
        known = features.any(1) & (not self.fell_back)
        weight = torch.where(known, self.weight_net(features), 1.0)
        return {"own": own, "weight": weight}

    def get_extra_state(self) -> dict[str, Any]:
        return {
            "weight_optimizer": self.weight_optimizer.state_dict(),
            "engine": self.engine.state_dict(),
            "fell_back": self.fell_back,
        }

    def set_extra_state(self, state: dict[str, Any]) -> None:
        self.weight_optimizer.load_state_dict(state["weight_optimizer"])
        self.engine.load_state_dict(state["engine"])
        self.fell_back = state["fell_back"]

    def load_state_dict(self, state_dict: Any, *args: Any, **kwargs: Any) -> Any:
        """Restore a checkpoint, with or without the others."""
        for name in ("shares", "judges"):
            setattr(self, name, torch.empty_like(state_dict[name], device=self.fold.device))
        others = unfitted(len(KINDS), 1)[: len(self.shares) - 1]
        self.others = nn.ModuleList(others).to(self.fold.device)
        return super().load_state_dict(state_dict, *args, **kwargs)
