"""Which labels are probably wrong, and how well that was found out.

The truth about training labels is an argument of the functions that measure, and of no other.
Scores follow cleanlab's convention: in [0, 1], low = bad.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
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
    logits = method.judge(predict(method, pixels, ids), ids.to(labels.device))
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
