"""Losses with a memory: each is a module around a pure function of this package.

They are for plain training, which calls its loss once a step. A bilevel step refuses them: it
evaluates its loss several times on the same batch, at parameters that are then discarded.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mwnet.core.errors import UserError
from mwnet.core.world import world
from mwnet.losses._probabilities import require
from mwnet.losses.generalized import gce, truncated_gce
from mwnet.losses.paired import cores, elr, peer
from mwnet.losses.targets import backward_correction, forward_correction, invertible
from mwnet.losses.unlearnable import warn_unlearnable


@dataclass(frozen=True)
class TrainingSet:
    """What a loss may read between two epochs: sample ids, given labels, and predictions.

    Attributes:
        index: ``(m,)`` int64 sample ids.
        labels: ``(m,)`` int64 given labels.
        logits: makes a pass over the samples without augmentation, in eval mode, and returns their
            ``(m, K)`` logits.
    """

    index: Tensor
    labels: Tensor
    logits: Callable[[], Tensor]


class StatefulLoss(nn.Module):
    """The interface of a loss with a memory.

    Called with ``(n, K)`` logits, ``(n,)`` int64 labels and ``(n,)`` int64 sample ids, it returns
    ``(n,)`` losses. The memory consists of buffers, so checkpoints contain it. A class is built
    with the number of samples of the source, below which all ids lie, and that of classes.
    """

    def begin_epoch(self, epoch: int, samples: TrainingSet) -> None:
        """Prepare an epoch, counted from 0; called before its first step."""

    def forward(self, logits: Tensor, labels: Tensor, index: Tensor) -> Tensor:
        raise NotImplementedError


class ELR(StatefulLoss):
    """Early-learning regularisation: ``elr`` with a moving average of each sample's predictions.

    t <- beta t + (1 - beta) p for each sample of a batch; t is ``(num_samples, K)``, zero at first.

    Args:
        weight: of the regulariser, at least 0; 3 for CIFAR-10, 7 for CIFAR-100.
        beta: share of the average that is kept, in [0, 1); 0.7 for symmetric noise, 0.9 for
            asymmetric noise and CIFAR-100.

    Raises:
        ValueError: weight or beta outside its range.

    Source: Liu et al., NeurIPS 2020.

    Examples:
        >>> import torch
        >>> loss = ELR(num_samples=2, num_classes=3)
        >>> logits = torch.tensor([[0.8, 0.1, 0.1]] * 2).log()
        >>> loss(logits, torch.tensor([0, 1]), torch.tensor([0, 1]))
        tensor([-0.4388,  1.6406])
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
        mean = self.beta * self.targets[index] + (1 - self.beta) * (p / p.sum(-1, keepdim=True))
        self.targets[world().gather(index)] = world().gather(mean)
        return elr(logits, labels, targets=self.targets[index].to(logits), weight=self.weight)


class Pruning(StatefulLoss):
    """Truncated generalised cross-entropy that prunes samples after some epochs.

    Before epoch ``start`` all samples count. From then on, every ``every`` epochs, a pass over the
    training set prunes the samples with p_y <= k until the next pass. A pruned sample has a
    constant loss.

    Args:
        q, k: see ``truncated_gce``.
        start: first epoch, counted from 1, that may prune; 40 for CIFAR-10 and 80 for CIFAR-100, of
            120.
        every: epochs between two passes, at least 1.

    Raises:
        ValueError: a hyper-parameter outside its range.

    Source: Zhang and Sabuncu, NeurIPS 2018. Their code prunes by the checkpoint of the best *test*
    accuracy; this class prunes by the present network.

    Examples:
        >>> import torch
        >>> loss = Pruning(num_samples=2, num_classes=3, start=1, every=1)
        >>> logits, labels = torch.tensor([[0.8, 0.1, 0.1]] * 2).log(), torch.tensor([0, 1])
        >>> loss.begin_epoch(0, TrainingSet(torch.arange(2), labels, lambda: logits))
        >>> loss.kept
        tensor([ True, False])
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
    """The peer loss with random peers from the batch, whose weight rises during training.

    Args:
        alpha: final weight of the peer term.
        ramp: epochs over which the weight rises linearly from 0.

    Source: Liu and Guo, ICML 2020; see ``peer``.

    Examples:
        >>> import torch
        >>> loss = Peer(num_samples=2, num_classes=3)
        >>> logits, labels = torch.tensor([[0.8, 0.1, 0.1]] * 2).log(), torch.tensor([0, 1])
        >>> loss.begin_epoch(5, TrainingSet(torch.arange(2), labels, lambda: logits))
        >>> loss.now
        tensor(0.5000)
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
    """CORES: cross-entropy with a confidence regulariser that rises, then a sieve on each batch.

    The regulariser is that of ``cores``, with the shares of the given labels as prior. From epoch
    ``sieve`` on, a sample counts only while its loss is below its mean loss over all labels. The
    batch's loss is then the mean over the samples that count.

    Args:
        beta: final weight of the regulariser.
        begin, full: epochs between which the weight rises linearly from 0 to ``beta``.
        sieve: first epoch, counted from 0, with the sieve.

    Raises:
        ValueError: begin and full that are not 0 <= begin < full.

    Source: Cheng et al., ICLR 2021.

    Examples:
        >>> import torch
        >>> loss = Cores(num_samples=2, num_classes=3, begin=0, full=1, sieve=1)
        >>> logits, labels = torch.tensor([[0.8, 0.1, 0.1]] * 2).log(), torch.tensor([0, 1])
        >>> loss.begin_epoch(1, TrainingSet(torch.arange(2), labels, lambda: logits))
        >>> loss(logits, labels, torch.tensor([0, 1])).mean()
        tensor(-2.3026)
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
    """Forward or backward correction with a transition matrix that is estimated during training.

    In the first ``warmup`` epochs the loss is cross-entropy. Then ``estimate`` makes a transition
    matrix, once, from the network's probabilities for the training set. From there on the loss is
    the corrected one, on the same network; the authors train a second one from scratch.

    Args:
        kind: "forward" or "backward".
        estimate: ``(m, K)`` probabilities and ``(m,)`` given labels -> ``(K, K)`` matrix.
        warmup: epochs of cross-entropy.

    Raises:
        UserError: (a ValueError, from ``begin_epoch``) an estimate that the correction cannot use.

    Source: Patrini et al., CVPR 2017.

    Examples:
        >>> import torch
        >>> matrix = torch.tensor([[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.1, 0.1, 0.8]])
        >>> loss = Correction(2, 3, kind="forward", estimate=lambda p, labels: matrix, warmup=1)
        >>> logits, labels = torch.tensor([[0.8, 0.1, 0.1]] * 2).log(), torch.tensor([0, 1])
        >>> loss.begin_epoch(1, TrainingSet(torch.arange(2), labels, lambda: logits))
        >>> loss(logits, labels, torch.tensor([0, 1]))
        tensor([0.4155, 1.7720])
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
