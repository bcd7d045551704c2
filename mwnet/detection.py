"""Which labels are probably wrong, and how well that was found out.

The truth about training labels is an argument of the functions that measure, and of no other.
Scores follow cleanlab's convention: in [0, 1], low = bad.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from scipy.stats import rankdata
from torch import Tensor

from mwnet.data.batches import Pixels
from mwnet.losses import cross_entropy
from mwnet.methods import Method
from mwnet.methods.base import given_probability, predict

SCORES = ("own", "loss", "probability")


@dataclass(frozen=True)
class Scored:
    """Un-augmented samples seen by the network in eval mode; all arrays on the CPU, length n.

    Attributes:
        ids: sample ids.
        given: given labels.
        probabilities: ``(n, K)`` predicted class probabilities.
        quality: the method's own score in [0, 1], low = suspect.
        weight: how much the sample counts in training.
        loss: cross-entropy of the given label, nats.
        probability: predicted probability of the given label.
    """

    ids: np.ndarray
    given: np.ndarray
    probabilities: np.ndarray
    quality: np.ndarray
    weight: np.ndarray
    loss: np.ndarray
    probability: np.ndarray

    @cached_property
    def predicted(self) -> np.ndarray:
        """``(n,)`` most probable classes."""
        return self.probabilities.argmax(1)

    @cached_property
    def is_issue(self) -> np.ndarray:
        """The network, trained to distrust bad labels, predicts another class than the given."""
        return self.predicted != self.given

    def clean_scores(self) -> dict[str, np.ndarray]:
        """The scores whose AUC is reported; high = the label is probably right."""
        return {"own": self.quality, "loss": -self.loss, "probability": self.probability}


@torch.no_grad()
def score(method: Method, pixels: Pixels, labels: Tensor, ids: Tensor) -> Scored:
    """Score the given labels of some samples.

    Args:
        method: in any mode; it is in eval mode while it scores and as before afterwards.
        pixels: the samples.
        labels: ``(n,)`` given labels by sample id, on the samples' device.
        ids: ``(m,)`` the samples to score.
    """
    logits = predict(method, pixels, ids)
    given = labels[ids.to(labels.device)]
    quality = method.label_quality(logits, given, ids.to(labels.device))
    columns = {
        "ids": ids,
        "given": given,
        "probabilities": logits.softmax(-1),
        "quality": quality["own"],
        "weight": quality["weight"],
        "loss": cross_entropy(logits, given),
        "probability": given_probability(logits, given),
    }
    return Scored(**{name: column.cpu().numpy() for name, column in columns.items()})


def detection_auc(scored: Scored, truth: np.ndarray) -> dict[str, float | None]:
    """Area under the ROC curve of "the label is right" for each score.

    Args:
        scored: scores of n samples.
        truth: ``(n,)`` their true labels.

    Returns:
        AUC in [0, 1] by score name, ties counted half; None where all labels are right or all are
        wrong, or a score is not finite.
    """
    clean = scored.given == truth
    return {name: _auc(clean, values) for name, values in scored.clean_scores().items()}


def precision_at_noise(scored: Scored, truth: np.ndarray) -> float | None:
    """Share of wrong labels among the k most suspect samples, k = number of wrong labels."""
    wrong = scored.given != truth
    k = int(wrong.sum())
    suspects = np.argsort(scored.quality, kind="stable")[:k]
    return float(wrong[suspects].mean()) if k else None


def auc_per_class(scored: Scored, truth: np.ndarray, classes: tuple[str, ...]) -> dict:
    """AUC of the method's own score among the samples of each given class."""
    clean = scored.given == truth
    return {
        name: _auc(clean[scored.given == label], scored.quality[scored.given == label])
        for label, name in enumerate(classes)
    }


def weight_health(scored: Scored, *, learnt: bool = True) -> dict[str, float | str | None]:
    """Whether the weights still mean something.

    Args:
        scored: the training samples.
        learnt: by a weight net, which may have learnt the wrong sign.

    Returns:
        Minimum, mean and maximum weight; the effective sample size (sum v)^2 / sum v^2 as a share
        of the samples; ``slope``, the rank correlation of weight and loss (negative is what one
        wants: high loss, low weight); and ``collapse``: None, "zero" (all weights under 1e-3),
        "constant" (all within 1e-3) or "rising" (samples with a high loss count more).
    """
    weight, loss = scored.weight.astype(np.float64), scored.loss.astype(np.float64)
    spread = float(np.ptp(weight))
    slope = _rank_correlation(weight, loss) if spread > 0 and np.ptp(loss) > 0 else 0.0
    total, square = weight.sum(), (weight**2).sum()
    collapse = None
    if weight.max() < 1e-3:
        collapse = "zero"
    elif spread < 1e-3 and weight.max() < 1:  # a method that does not weight says exactly 1
        collapse = "constant"
    elif slope > 0 and learnt:
        collapse = "rising"
    return {
        "min": float(weight.min()),
        "mean": float(weight.mean()),
        "max": float(weight.max()),
        "effective_share": float(total**2 / (square * len(weight))) if square > 0 else 0.0,
        "slope": slope,
        "collapse": collapse,
    }


def _auc(clean: np.ndarray, values: np.ndarray) -> float | None:
    if clean.all() or not clean.any() or not np.isfinite(values).all():
        return None
    # Mann and Whitney's U; scikit-learn's function takes ten times as long to check its input.
    right = int(clean.sum())
    u = rankdata(values)[clean].sum() - right * (right + 1) / 2
    return float(u / (right * (len(clean) - right)))


def _rank_correlation(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.corrcoef(rankdata(a), rankdata(b))[0, 1])
