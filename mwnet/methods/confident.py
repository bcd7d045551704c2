"""A meta set without clean data: the training samples with the most probable given labels."""

import torch
from torch import Tensor, nn

from mwnet.data.batches import Batch, Batches
from mwnet.losses import TrainingSet


class ConfidentBatches(nn.Module):
    """Batches of the most confident training samples, which are chosen again before every epoch.

    Each sample has a running mean over epochs of the probability of its given label. The meta set
    consists of the samples with the highest means of each given class. Every class has the same
    number, as far as it has enough samples. In the first ``warmup`` epochs there is no meta batch.

    Args:
        train: the training samples.
        size: samples in the meta set.
        batch_size: samples in a meta batch.
        memory: share of the old mean that is kept each epoch, in [0, 1).
        warmup: epochs before the first choice.

    Source: the queue that replaces clean data in FSR (Zhang and Pfister, ICCV 2021), whose authors
    rank by a margin of meta losses. The smallest loss within each class is the choice of CMW-Net's
    code.
    """

    def __init__(
        self,
        train: Batches,
        size: int,
        batch_size: int,
        memory: float = 0.8,
        warmup: int = 1,
    ) -> None:
        super().__init__()
        self.train_batches = train
        self.size, self.batch_size = size, batch_size
        self.memory, self.warmup = memory, warmup
        device = train.labels.device
        self.confidence: Tensor
        self.register_buffer("confidence", torch.zeros(len(train.ids), device=device))
        self.chosen: Tensor
        self.register_buffer("chosen", torch.full((size,), -1, device=device))
        self._batches: Batches | None = None
        self.register_load_state_dict_post_hook(ConfidentBatches._forget)

    def refresh(self, epoch: int, samples: TrainingSet) -> None:
        """Choose the meta set by a pass over all samples, before each epoch (counted from 0)."""
        if epoch < self.warmup:
            return
        p_y = samples.logits().softmax(-1).gather(-1, samples.labels[:, None]).squeeze(-1)
        kept = self.memory if epoch > self.warmup else 0.0
        self.confidence.lerp_(p_y, 1 - kept)
        # Rank within the given class first, confidence second: an even share of every class.
        order = self.confidence.argsort(descending=True, stable=True)
        grouped = order[samples.labels[order].argsort(stable=True)]
        sizes = samples.labels.bincount()
        starts = sizes.cumsum(0) - sizes
        rank = torch.empty_like(order)
        place = torch.arange(len(order), device=order.device)
        rank[grouped] = place - starts.repeat_interleave(sizes)
        best = order[rank[order].argsort(stable=True)[: self.size]]
        self.chosen.copy_(samples.index[best].sort().values)
        self._batches = None

    def __getitem__(self, step: int) -> Batch | None:
        """Return the meta batch of a step, counted from the start; None during warm-up."""
        if self._batches is None:
            if int(self.chosen[0]) < 0:
                return None
            train = self.train_batches
            ids = self.chosen.cpu()
            self._batches = Batches(
                train.pixels, train.labels, ids, self.batch_size, train.seed, "meta"
            )
        return self._batches[step]

    def _forget(self, *_: object) -> None:
        self._batches = None  # loaded: they are those of other ids
