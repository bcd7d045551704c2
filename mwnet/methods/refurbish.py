"""Refurbished targets: given labels as far as cross-fitting trusts them, else predictions."""

from dataclasses import replace
from typing import Any, final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mwnet.core.seeding import derive, generator
from mwnet.data.batches import Batch, Pixels
from mwnet.data.views import strong_view
from mwnet.methods.averaged import Averaged
from mwnet.methods.base import Context, Method, Phase, log_margin, predict
from mwnet.methods.cross_fit import CrossFit
from mwnet.methods.hidden import hidden, last_linear
from mwnet.methods.judges import MOST_WORK, of_neighbours
from mwnet.methods.learner import Learner, Parts


@final
class Refurbish(Method):
    """Train one more network on targets that cross-fitting has mended; no label is thrown away.

    1. Both rounds of ``CrossFit``: who has not seen a sample judges its label, and a weight net
       learns from that how far the label is to be trusted.
    2. Training: a new network on soft targets.

       t_i = w_i y_i + (1 - w_i) m_i

       w_i is the learnt weight and y_i the given label. m_i is a moving average of predictions,
       m_i <- memory m_i + (1 - memory) p_i, which begins at what was said out of fold. A share of
       it is the vote of the sample's nearest neighbours, in the space of the network's last
       layer, each with its own t.

    Pairs of samples and their targets are mixed. The network that predicts, also the p_i, is a
    moving average of the trained one. Where samples are images, the network learns from a second,
    strongly changed view as well, with the same target.

    Each ingredient is an option, and a value leaves it out. The label-quality score is that of
    cross-fitting, out of fold. A step of the last phase costs 4 forward passes, 7 with two views.

    Args:
        parts: what to build from.
        folds: of cross-fitting.
        slope: of the weight's first curve, see ``OutOfFoldWeights``.
        judging: epochs of cross-fitting, as a share of those of the last phase, above 0.
        trust: share of the learnt weight in w_i, in [0, 1]; the rest is p / (p + best other p) of
            the given label, as it was said out of fold.
        memory: share of the moving average that is kept, in [0, 1]; 1 keeps what was said out of
            fold.
        vote: share of m_i that neighbours say, in [0, 1]; 0 asks none.
        mixup: both parameters of the beta distribution that shares are drawn from; 0 mixes
            nothing.
        average: share of the averaged network that a step keeps, in [0, 1); 0 predicts by the
            trained one.
        strong: how much the second view of images counts beside the first, from 0; 0 has none.

    Raises:
        ValueError: a share outside its range, a vote of neighbours for a network without a linear
            layer.

    Source: the target is that of CMW-Net-SL (Shu et al., TPAMI 2023) with its weights from
    cross-fitting; the vote is after SSR (Feng et al., BMVC 2022), where it selects samples; mixup
    (Zhang et al., ICLR 2018); views as in FixMatch (Sohn et al., NeurIPS 2020).
    """

    takes_loss = "per sample"
    learns_weights = True
    weight_of_loss = False
    out_of_fold = True
    stays_frozen = "which trains eleven networks"
    networks = 6
    passes = 20

    TRAINING = "training"

    def __init__(
        self,
        parts: Parts,
        *,
        folds: int = 5,
        slope: float = 1.0,
        judging: float = 1.0,
        trust: float = 1.0,
        memory: float = 0.9,
        vote: float = 0.5,
        mixup: float = 1.0,
        average: float = 0.99,
        strong: float = 1.0,
    ) -> None:
        shares = {"trust": trust, "memory": memory, "vote": vote}
        for name, value in shares.items():
            if not 0 <= value <= 1:
                raise ValueError(f"refurbish needs a {name} in [0, 1], got {value}")
        if not 0 <= average < 1 or min(mixup, strong) < 0 or judging <= 0:
            raise ValueError(
                "refurbish needs an average in [0, 1), mixup and strong from 0 and judging above "
                f"0, got {average}, {mixup}, {strong} and {judging}"
            )
        judged = max(1, round(judging * parts.epochs))
        cross = CrossFit(replace(parts, epochs=judged), folds=folds, slope=slope)
        super().__init__(*cross.phases, Phase(self.TRAINING, parts.epochs))
        self.cross = cross
        self.last = parts.learner("refurbished")
        self.averaged = Averaged(self.last.network, average)
        if vote and last_linear(self.last.network) is None:
            raise ValueError("a vote of neighbours needs a network with a linear layer: `vote=0`")
        self.share, self.memory, self.vote, self.mixup = trust, memory, vote, mixup
        self.train_batches, self.seed = parts.train, parts.seed
        image = parts.train.pixels.x.shape[1] in (1, 3) and parts.train.pixels.x.shape[2] > 1
        self.strong = strong if image and parts.train.pixels.x.dtype == torch.uint8 else 0.0
        n, classes = parts.num_samples, parts.num_classes
        for name, value in {
            "trust": torch.zeros(n),
            "predicted": torch.zeros(n, classes),
            "voted": torch.zeros(n, classes),
        }.items():
            self.register_buffer(name, value)
        self.trust: Tensor
        self.predicted: Tensor
        self.voted: Tensor

    @property
    def judging(self) -> CrossFit:
        """Cross-fitting, at the present epoch."""
        self.cross.epoch = self.epoch
        return self.cross

    @property
    def learner(self) -> Learner:  # pyright: ignore[reportIncompatibleVariableOverride]
        """What trains now."""
        return self.last if self.phase == self.TRAINING else self.judging.learner

    @property
    def network(self) -> nn.Module:
        """The averaged network; while labels are judged, the committee of cross-fitting."""
        return self.averaged.network if self.phase == self.TRAINING else self.judging.network

    @property
    def fell_back(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Whether cross-fitting found that its weights do harm."""
        return self.cross.fell_back

    @property
    def engine_name(self) -> str | None:
        return self.cross.engine_name

    def begin_epoch(self, context: Context) -> None:
        if self.phase != self.TRAINING:
            self.judging.begin_epoch(context)
            return
        ids = self.cross.ids()
        if self.epoch == self.start_of(self.TRAINING):
            self._take_over(ids)
        if self.vote:
            self._ask_neighbours(ids)

    @torch.no_grad()
    def _take_over(self, ids: Tensor) -> None:
        """Begin with what cross-fitting has said."""
        said, labels = self.cross.said[ids], self.train_batches.labels[ids]
        self.predicted[ids] = said.softmax(1)
        trust = torch.sigmoid(log_margin(F.log_softmax(said, 1), labels))
        if not self.fell_back:
            learnt = self.cross.weight_net(self.cross.features[ids])
            trust = self.share * learnt + (1 - self.share) * trust
        self.trust[ids] = trust

    @torch.no_grad()
    def _ask_neighbours(self, ids: Tensor) -> None:
        """Let neighbours vote, by what goes into the network's last layer.

        The untrained network of the first epoch says nothing about who they are, and pairs of very
        many samples take too long: there the vote is m itself.
        """
        self.voted[ids] = self.predicted[ids]
        if self.epoch == self.start_of(self.TRAINING):
            return
        x = hidden(self.averaged.network, self.train_batches.pixels, ids)
        if len(x) * x.numel() <= MOST_WORK:
            targets = self._targets(ids, self.train_batches.labels[ids])
            self.voted[ids] = of_neighbours(x, targets)

    def _targets(self, ids: Tensor, labels: Tensor) -> Tensor:
        """Return ``(n, K)`` targets: t = w y + (1 - w) ((1 - vote) m + vote of neighbours)."""
        given = F.one_hot(labels, self.predicted.shape[1]).to(self.predicted.dtype)
        w = self.trust[ids, None]
        others = (1 - self.vote) * self.predicted[ids] + self.vote * self.voted[ids]
        return w * given + (1 - w) * others

    def step(self, batch: Batch, meta_batch: Batch | None = None) -> dict[str, Tensor]:
        if self.phase != self.TRAINING:
            return self.judging.step(batch, meta_batch)
        moment = self.last.steps
        x, targets = batch.x, self._targets(batch.index, batch.y)
        if self.strong:
            other = strong_view(x, self.train_batches.pixels, self.seed, moment)
            x, targets = torch.cat([x, other]), targets.repeat(2, 1)
        if self.mixup:
            x, targets = mixed(x, targets, self.mixup, self.seed, moment)
        losses = F.cross_entropy(self.last(x), targets, reduction="none")
        objective = losses[: len(batch.x)].mean()
        if self.strong:
            second = losses[len(batch.x) :].mean()
            objective = (objective + self.strong * second) / (1 + self.strong)
        report = self.last.update(objective)
        self.averaged.follow(self.last.network, moment)
        if self.memory < 1:
            p = self.averaged.predict(batch.x).softmax(1).to(self.predicted.dtype)
            kept = self.predicted[batch.index]
            self.predicted[batch.index] = self.memory * kept + (1 - self.memory) * p
        return report

    def logits(self, x: Tensor) -> Tensor:
        return self.network(x)

    def judge(self, pixels: Pixels, ids: Tensor) -> Tensor:
        """Take what was said out of fold; of other samples, what is predicted."""
        if self.phase != self.TRAINING:
            return self.judging.judge(pixels, ids)
        said = self.cross.said[ids]
        other = ~said.any(1)
        if other.any():
            said[other] = predict(self, pixels, ids[other]).to(said.dtype)
        return said

    def label_quality(self, logits: Tensor, labels: Tensor, index: Tensor) -> dict[str, Tensor]:
        return self.judging.label_quality(logits, labels, index)

    def load_state_dict(self, state_dict: Any, *args: Any, **kwargs: Any) -> Any:
        """Restore a checkpoint, in which cross-fitting may have all judges or not yet."""
        own = {k.removeprefix("cross."): v for k, v in state_dict.items() if k.startswith("cross.")}
        self.cross.load_state_dict(own)
        return super().load_state_dict(state_dict, *args, **kwargs)


def mixed(
    x: Tensor, targets: Tensor, alpha: float, seed: int, moment: int
) -> tuple[Tensor, Tensor]:
    """Mix each sample and its target with those of another one of the batch.

    Args:
        x: ``(n, ...)`` samples.
        targets: ``(n, K)``.
        alpha: both parameters of the beta distribution of the share; the larger part is the
            sample's own.
        seed: of the run.
        moment: of the training.

    Source: Zhang et al., "mixup", ICLR 2018; the larger share first as in MixMatch.
    """
    drawn = np.random.default_rng(derive(seed, "mixup share", moment)).beta(alpha, alpha)
    share = float(max(drawn, 1 - drawn))
    rng = generator(seed, "mixup", moment)
    other = torch.randperm(len(x), generator=rng).to(x.device)
    return share * x + (1 - share) * x[other], share * targets + (1 - share) * targets[other]
