"""How many labels are wrong, for methods that have to know."""

import math

import torch
from torch import Tensor, nn

import noise
from mwnet import seeding
from mwnet.data.batches import Batch, Batches
from mwnet.losses import cross_entropy
from mwnet.methods.base import Phase, predict
from mwnet.methods.learner import Parts


class NoiseRate(nn.Module):
    """The share of wrong labels: told, or estimated from the given labels before training.

    The estimate is two-fold cross-validation: two networks are trained, each on one half of the
    samples, each predicts the other half, and the confident joint of predictions and given labels
    has the estimated share of wrong labels off its diagonal. The truth is not used.

    Source of the estimate: Northcutt, Jiang and Chuang, JAIR 2021.

    Args:
        parts: what to build from; ``noise_rate`` None asks for an estimate.
        share: epochs of the two networks, as a share of a training's.
    """

    PHASE = "noise rate"

    def __init__(self, parts: Parts, share: float = 0.25) -> None:
        super().__init__()
        known = parts.noise_rate
        self.value: Tensor
        self.register_buffer("value", torch.tensor(math.nan if known is None else known))
        self.phases: tuple[Phase, ...] = ()
        self.folds = nn.ModuleList()
        if known is None:
            epochs = max(1, round(share * parts.epochs))
            self.phases = (Phase(self.PHASE, epochs),)
            self.folds.extend(parts.learner(f"fold {fold}", epochs) for fold in range(2))
            rng = seeding.generator(parts.seed, "folds")
            self.fold_of: Tensor
            fold_of = torch.randint(2, (parts.num_samples,), generator=rng)
            self.register_buffer("fold_of", fold_of)

    def step(self, batch: Batch) -> dict[str, Tensor]:
        """Both networks take a step, each on its half of the batch: together one plain step."""
        report = {}
        for fold, learner in enumerate(self.folds):
            mine = self.fold_of[batch.index] == fold
            if int(mine.sum()) > 1:  # batch norm cannot take a single sample
                losses = cross_entropy(learner(batch.x[mine]), batch.y[mine])
                report = learner.update(losses.mean())  # pyright: ignore[reportCallIssue]
        return report or {"train_loss": torch.zeros((), device=batch.x.device)}

    def logits(self, x: Tensor) -> Tensor:
        """Mean of the two networks' log-probabilities, while they are being trained."""
        logs = [learner(x).log_softmax(-1) for learner in self.folds]
        return torch.stack(logs).mean(0)

    def conclude(self, train: Batches) -> None:
        """Estimate, unless the rate was told; to be called once, after the phase."""
        if not self.folds:
            return
        ids = train.ids.to(train.labels.device)
        by_fold = torch.stack([predict(learner, train).softmax(-1) for learner in self.folds])
        other = 1 - self.fold_of[ids]
        probabilities = by_fold[other, torch.arange(len(ids), device=ids.device)]
        self.value.fill_(noise.estimated_rate(probabilities.cpu(), train.labels[ids].cpu()))

    def __float__(self) -> float:
        return float(self.value)
