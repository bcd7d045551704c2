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
from mwnet.detection.noise_estimate import NoiseEstimate, estimate_noise
from mwnet.detection.trajectory import Trajectory
from mwnet.losses import cross_entropy
from mwnet.methods import Method
from mwnet.methods.base import given_probability, log_margin

SCORES = ("own", "loss", "probability", "label_quality", "weight", "margin", "out_of_fold")
"""The scores that reports measure."""


@dataclass(frozen=True)
class Scored:
    """Un-augmented samples seen by the network in eval mode; all arrays on the CPU, length n.

    Attributes:
        ids: sample ids.
        given: given labels.
        probabilities: ``(n, K)`` predicted class probabilities.
        quality: label quality in [0, 1], low = suspect: sigmoid of ``mean_margin``; of a method
            that judges out of fold, its own score.
        own: the method's own score in [0, 1], low = suspect.
        weight: how much the sample counts in training.
        loss: cross-entropy of the given label, nats.
        probability: predicted probability of the given label.
        margin: log margin of the given label, nats, in [-30, 30].
        mean_margin: its mean over the looks of the trajectory, or ``margin`` if there were none.
        wrong_share: share of looks at which another class was predicted.
        forgotten: times that the given label was predicted at one look and not at the next.
        out_of_fold: whether all this is said by networks that have not seen the sample.
        trusted: ``(n,)`` whether a reviewer vouches for the label, so that it is never called
            wrong and ``quality`` is 1; None where nobody has looked.
    """

    ids: np.ndarray
    given: np.ndarray
    probabilities: np.ndarray
    quality: np.ndarray
    own: np.ndarray
    weight: np.ndarray
    loss: np.ndarray
    probability: np.ndarray
    margin: np.ndarray
    mean_margin: np.ndarray
    wrong_share: np.ndarray
    forgotten: np.ndarray
    out_of_fold: bool = False
    trusted: np.ndarray | None = None

    @cached_property
    def predicted(self) -> np.ndarray:
        """``(n,)`` most probable classes."""
        return self.probabilities.argmax(1)

    @cached_property
    def noise(self) -> NoiseEstimate | None:
        """How many labels are wrong, and which; None where networks have seen the samples."""
        if not self.out_of_fold:
            return None
        return estimate_noise(self.given, self.probabilities, self.quality, trusted=self.trusted)

    @cached_property
    def is_issue(self) -> np.ndarray:
        """``(n,)`` whether a label is called wrong: by ``noise``, or since another is predicted."""
        if self.noise is not None:
            return self.noise.is_issue
        other = self.predicted != self.given
        return other if self.trusted is None else other & ~self.trusted

    def scores(self) -> dict[str, np.ndarray | None]:
        """The ``SCORES`` by name; high = the label is probably right. None where there is none."""
        return {
            "own": self.own,
            "loss": -self.loss,
            "probability": self.probability,
            "label_quality": self.quality,
            "weight": self.weight,
            "margin": self.margin,
            "out_of_fold": self.own if self.out_of_fold else None,
        }


@torch.no_grad()
def score(
    method: Method,
    pixels: Pixels,
    labels: Tensor,
    ids: Tensor,
    trajectory: Trajectory,
    *,
    look: bool = False,
    trusted: Tensor | None = None,
) -> Scored:
    """Score the given labels of some samples.

    Args:
        method: in any mode; it is in eval mode while it scores and as before afterwards.
        pixels: the samples.
        labels: ``(n,)`` given labels by sample id, on the samples' device.
        ids: ``(m,)`` the samples to score.
        trajectory: the looks so far.
        look: whether this is one. A method that judges out of fold has better than looks, so its
            trajectory stays empty.
        trusted: ``(n,)`` whether a reviewer vouches for the label, by sample id; None for nobody.
    """
    index = ids.to(labels.device)
    logits = method.judge(pixels, index)
    given = labels[index]
    said = method.label_quality(logits, given, index)
    probabilities, margin = logits.softmax(-1), log_margin(logits, given)
    right = probabilities.argmax(1) == given
    if look and not method.out_of_fold:
        trajectory.look(ids, margin, right)
    sums = trajectory.of(ids, margin, right)
    columns = {
        "ids": ids,
        "given": given,
        "probabilities": probabilities,
        "own": said["own"],
        "weight": said["weight"],
        "loss": cross_entropy(logits, given),
        "probability": given_probability(logits, given),
        "margin": margin,
    }
    arrays = {name: column.cpu().numpy() for name, column in columns.items()}
    quality = arrays["own"] if method.out_of_fold else 1 / (1 + np.exp(-sums.mean_margin))
    vouched = None if trusted is None else trusted[ids].numpy()
    if vouched is not None:
        quality = np.where(vouched, np.float32(1), quality)
    return Scored(
        **arrays,
        quality=quality,
        **sums._asdict(),
        out_of_fold=method.out_of_fold,
        trusted=vouched,
    )
