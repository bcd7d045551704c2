"""Tell whether the learnt weights still mean something, or have collapsed."""

from typing import Any

import numpy as np

from mwnet.detection.scores import Scored
from mwnet.methods import Method

COLLAPSE = {
    "zero": "all are near zero",
    "constant": "all are the same, so nothing is learnt about the labels",
    "rising": "they rise with the loss, so wrong labels count more than right ones",
    "harmful": "they made predictions of unseen labels worse, so the run fell back to weights of 1",
}
"""What each kind of collapse means, in words."""


def health_of(method: Method, scored: Scored) -> dict[str, float | str | None]:
    """Tell whether the weights of a method still mean something; see ``weight_health``."""
    return weight_health(scored, learnt=method.learns_weights, fell_back=method.fell_back)


def weight_health(
    scored: Scored, *, learnt: bool = True, fell_back: bool = False
) -> dict[str, float | str | None]:
    """Whether the weights still mean something.

    Args:
        scored: the training samples.
        learnt: by a weight net, which may have learnt the wrong sign.
        fell_back: whether the method has found on unseen labels that its weights did harm.

    Returns:
        Minimum, mean and maximum weight; the effective sample size (sum v)^2 / sum v^2 as a share
        of the samples; ``slope``, the rank correlation of weight and loss (negative is what one
        wants: high loss, low weight); and ``collapse``: None, "zero" (all weights under 1e-3),
        "constant" (all within 1e-3), "rising" (samples with a high loss count more; a method
        that judges out of fold measures the harm instead) or "harmful" (it fell back to weights
        of 1).
    """
    weight, loss = scored.weight.astype(np.float64), scored.loss.astype(np.float64)
    spread = float(np.ptp(weight))
    slope = _rank_correlation(weight, loss) if spread > 0 and np.ptp(loss) > 0 else 0.0
    total, square = weight.sum(), (weight**2).sum()
    collapse = "harmful" if fell_back else None
    if weight.max() < 1e-3:
        collapse = "zero"
    elif spread < 1e-3 and weight.max() < 1:  # a method that does not weight says exactly 1
        collapse = "constant"
    elif slope > 0 and learnt and not scored.out_of_fold:
        collapse = "rising"
    return {
        "min": float(weight.min()),
        "mean": float(weight.mean()),
        "max": float(weight.max()),
        "effective_share": float(total**2 / (square * len(weight))) if square > 0 else 0.0,
        "slope": slope,
        "collapse": collapse,
    }


def lasting_collapse(history: list[dict[str, Any]], epochs: int) -> str | None:
    """Return the collapse that has lasted for a fifth of the run, None if there is none.

    ``history`` has a line for each measured epoch so far, ``epochs`` is how many a whole run has.
    Less proves nothing: half of all weight nets start out rising with the loss and are turned
    around in the first epochs.
    """
    states = [(line["epoch"], line["weights"]["collapse"]) for line in history]
    if not states:
        return None
    epoch, now = states[-1]
    before = max((then for then, state in states if state != now), default=0)
    return now if epoch - before >= max(2, epochs // 5) else None


def midranks(values: np.ndarray) -> np.ndarray:
    """Rank ``(n,)`` numbers from 1; equal ones share the mean of their ranks.

    It is ``scipy.stats.rankdata``, whose import takes longer than a short training.
    """
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    return (count.cumsum() - (count - 1) / 2)[place]


def _rank_correlation(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.corrcoef(midranks(a), midranks(b))[0, 1])
