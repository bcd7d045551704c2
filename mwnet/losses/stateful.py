"""Losses with a memory: each is a small object around a pure function of this package.

They are for plain training, one call a step. A bilevel step evaluates its loss several times on the
same batch, at parameters that it then takes back, so there they are refused.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mwnet.core.errors import UserError
from mwnet.losses._probabilities import require
from mwnet.losses.generalized import gce, truncated_gce
from mwnet.losses.paired import cores, elr, peer
from mwnet.losses.targets import backward_correction, forward_correction, invertible
from mwnet.losses.unlearnable import warn_unlearnable


@dataclass(frozen=True)
class TrainingSet:
    """What a loss may look at between epochs: the samples' ids, given labels, and predictions.

    Attributes:
        index: ``(m,)`` int64 sample ids.
        labels: ``(m,)`` given labels.
        logits: makes a pass over the samples, without augmentation, in eval mode: ``(m, K)``.
    """

    index: Tensor
    labels: Tensor
    logits: Callable[[], Tensor]


class StatefulLoss(nn.Module):
    """Called with ``(n, K)`` logits, ``(n,)`` labels and ``(n,)`` sample ids; returns ``(n,)``.

    What it remembers are buffers, so that a checkpoint of the method holds it. Every one is built
    with the number of samples of the source (ids run below it) and of classes.
    """

    def begin_epoch(self, epoch: int, samples: TrainingSet) -> None:
        """Called before the first step of an epoch, counted from 0."""

    def forward(self, logits: Tensor, labels: Tensor, index: Tensor) -> Tensor:
        raise NotImplementedError


class ELR(StatefulLoss):
    """Early-learning regularisation: see ``elr``.

    t <- beta t + (1 - beta) p for each sample when it is seen; ``(num_samples, K)`` floats.

    Args:
        weight: of the regulariser; 3 for CIFAR-10, 7 for CIFAR-100.
        beta: memory; 0.7 for symmetric noise, 0.9 for asymmetric and CIFAR-100.
    """

    def __init__(
        self, num_samples: int, num_classes: int, weight: float = 3.0, beta: float = 0.7
    ) -> None:
        super().__init__()
        require(0 <= beta < 1, f"elr needs beta in [0, 1), got {beta}")
        require(weight >= 0, f"elr needs a weight from 0, got {weight}")
        self.weight, self.beta = weight, beta
        self.targets: Tensor
        self.register_buffer("targets", torch.zeros(num_samples, num_classes))

    def forward(self, logits: Tensor, labels: Tensor, index: Tensor) -> Tensor:
        p = logits.detach().float().softmax(-1).clamp(1e-4, 1 - 1e-4)
        p = p / p.sum(-1, keepdim=True)
        self.targets[index] = self.beta * self.targets[index] + (1 - self.beta) * p
        return elr(logits, labels, targets=self.targets[index].to(logits), weight=self.weight)


class Pruning(StatefulLoss):
    """Truncated generalised cross-entropy as it is trained: plain first, then without the doubtful.

    From epoch ``start`` on and every ``every`` epochs, samples with p_y <= k in a pass over the
    training set are given up until the next such pass; before, all count. The authors' code judges
    by the checkpoint of the best *test* accuracy; here it is the network as it is.

    Args:
        q, k: see ``truncated_gce``.
        start: first epoch (from 1) that may prune; 40 for CIFAR-10 and 80 for CIFAR-100, of 120.
        every: epochs between two passes.
    """

    def __init__(
        self,
        num_samples: int,
        num_classes: int,
        q: float = 0.7,
        k: float = 0.5,
        start: int = 40,
        every: int = 10,
    ) -> None:
        super().__init__()
        require(every >= 1, f"truncated-gce needs every from 1, got {every}")
        truncated_gce(torch.zeros(1, 2), torch.zeros(1, dtype=torch.int64), q=q, k=k)  # in range?
        self.q, self.k, self.start, self.every = q, k, start, every
        self.kept: Tensor
        self.register_buffer("kept", torch.ones(num_samples, dtype=torch.bool))

    def begin_epoch(self, epoch: int, samples: TrainingSet) -> None:
        if epoch + 1 >= self.start and (epoch + 1) % self.every == 0:
            p_y = samples.logits().softmax(-1).gather(-1, samples.labels[:, None])
            self.kept[samples.index] = p_y.squeeze(-1) > self.k

    def forward(self, logits: Tensor, labels: Tensor, index: Tensor) -> Tensor:
        full = gce(logits, labels, q=self.q)
        return torch.where(self.kept[index], full, (1 - self.k**self.q) / self.q)


class Peer(StatefulLoss):
    """The peer loss with random peers from the batch: see ``peer``.

    Args:
        alpha: final weight of the peer term.
        ramp: epochs over which the weight rises from 0, linearly.
    """

    def __init__(
        self, num_samples: int, num_classes: int, alpha: float = 1.0, ramp: int = 10
    ) -> None:
        super().__init__()
        self.alpha, self.ramp = alpha, ramp
        self.now: Tensor
        self.register_buffer("now", torch.zeros(()))

    def begin_epoch(self, epoch: int, samples: TrainingSet) -> None:
        self.now.fill_(self.alpha * min(1.0, epoch / max(1, self.ramp)))

    def forward(self, logits: Tensor, labels: Tensor, index: Tensor) -> Tensor:
        one, two = (torch.randperm(len(labels), device=labels.device) for _ in range(2))
        # The weight is a tensor: it becomes part of the product, not of the signature.
        plain = peer(logits, labels, alpha=0.0)
        peers = peer(logits, labels, other_logits=logits[one], other_labels=labels[two], alpha=1.0)
        return plain + self.now * (peers - plain)


class Cores(StatefulLoss):
    """CORES: the confidence regulariser, ramped up, then a sieve on the batch.

    See ``cores``. From epoch ``sieve`` on a sample counts only while its
    loss is below its mean loss over all labels, and the batch's loss is the mean over those that
    count. The prior is that of the given labels.

    Args:
        beta: final weight of the regulariser.
        begin, full: epochs between which the weight rises from 0 to ``beta``, linearly.
        sieve: first epoch, counted from 0, with the sieve.
    """

    def __init__(
        self,
        num_samples: int,
        num_classes: int,
        beta: float = 2.0,
        begin: int = 10,
        full: int = 40,
        sieve: int = 30,
    ) -> None:
        super().__init__()
        require(0 <= begin < full, f"cores needs 0 <= begin < full, got {begin} and {full}")
        self.beta, self.begin, self.full, self.sieve = beta, begin, full, sieve
        self.prior: Tensor
        self.register_buffer("prior", torch.full((num_classes,), 1 / num_classes))
        self.epoch: Tensor
        self.register_buffer("epoch", torch.zeros((), dtype=torch.int64))

    def begin_epoch(self, epoch: int, samples: TrainingSet) -> None:
        self.epoch.fill_(epoch)
        counts = torch.bincount(samples.labels, minlength=len(self.prior))
        self.prior.copy_(counts / counts.sum())

    def forward(self, logits: Tensor, labels: Tensor, index: Tensor) -> Tensor:
        epoch = int(self.epoch)
        beta = self.beta * min(1.0, max(0.0, (epoch - self.begin) / (self.full - self.begin)))
        values = cores(logits, labels, beta=beta, prior=self.prior)
        if epoch < self.sieve:
            return values
        logs = logits.detach().float().log_softmax(-1)
        clean = logs.gather(-1, labels[:, None]).squeeze(-1) > logs.mean(-1)
        return values * clean * (len(clean) / clean.sum().clamp_min(1))


class Correction(StatefulLoss):
    """Forward or backward correction with a matrix that is estimated after a warm-up.

    Cross-entropy for ``warmup`` epochs; then ``estimate`` turns the network's probabilities for the
    training set into a transition matrix, once, and training goes on with the corrected loss. (The
    authors train a second network from scratch then.)

    Args:
        kind: "forward" or "backward".
        estimate: ``(m, K)`` probabilities and ``(m,)`` given labels -> ``(K, K)`` matrix.
        warmup: epochs of cross-entropy.
    """

    def __init__(
        self,
        num_samples: int,
        num_classes: int,
        kind: str,
        estimate: Callable[[Tensor, Tensor], Tensor],
        warmup: int = 20,
    ) -> None:
        super().__init__()
        self.kind = kind
        self.correct = {"forward": forward_correction, "backward": backward_correction}[kind]
        self.estimate = estimate
        self.warmup = warmup
        self.matrix: Tensor
        self.register_buffer("matrix", torch.eye(num_classes))

    def begin_epoch(self, epoch: int, samples: TrainingSet) -> None:
        if epoch == self.warmup:
            matrix = self.estimate(samples.logits().softmax(-1), samples.labels)
            try:
                invertible(matrix, self.kind)
            except ValueError as error:
                raise UserError(
                    f"after {epoch} epochs the estimated {error}: give `loss.matrix`, or a longer "
                    "`loss.warmup`"
                ) from error
            warn_unlearnable(matrix, "the estimated matrix")
            self.matrix.copy_(matrix)

    def forward(self, logits: Tensor, labels: Tensor, index: Tensor) -> Tensor:
        return self.correct(logits, labels, matrix=self.matrix)
