"""Accuracy of every class: the gap between classes, and the loss of accuracy by noise."""

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

Array = NDArray[np.float64]


def by_class(predicted: Tensor, truth: Tensor, classes: int) -> dict[str, list[int]]:
    """Count the samples of each class (``all``) and those predicted correctly (``right``).

    Args:
        predicted: ``(n,)`` int64 classes.
        truth: ``(n,)`` int64 classes.
        classes: K, the length of both lists.
    """
    right = truth[predicted == truth]
    return {
        "right": right.bincount(minlength=classes).tolist(),
        "all": truth.bincount(minlength=classes).tolist(),
    }


def gap(accuracies: Array) -> float:
    """Compute best minus worst class of ``(K,)`` accuracies; NaN is a class without samples."""
    return float(np.nanmax(accuracies) - np.nanmin(accuracies))


def chance_gap(accuracy: float, counts: Array, draws: int = 2000) -> float:
    """Estimate the gap that the finite number of samples alone gives to equally accurate classes.

    Args:
        accuracy: of every class, in [0, 1].
        counts: ``(K,)`` samples of each class; classes without samples are left out.
        draws: of the binomial numbers of correct predictions.
    """
    counts = counts[counts > 0]
    right = np.random.default_rng(0).binomial(
        counts.astype(np.int64), accuracy, (draws, len(counts))
    )
    return float(np.ptp(right / counts, axis=1).mean())


def lost(clean: Array, noisy: Array) -> tuple[float, float]:
    """Compute what noise costs the mean of ``(K,)`` accuracies and the worst class."""
    mean = float(np.nanmean(clean) - np.nanmean(noisy))
    return mean, float(np.nanmin(clean) - np.nanmin(noisy))


def lost_by_hard(clean: list[Array], noisy: list[Array]) -> list[float]:
    """Compute for each seed what noise costs the hard class.

    The hard class is the worst one on clean labels over the other seeds, so the luck of a seed does
    not choose it.

    Args:
        clean: for each seed, ``(K,)`` accuracies on clean labels; one seed gives no result.
        noisy: the same with noise.
    """
    out = []
    for seed in range(len(clean)) if len(clean) > 1 else ():
        others = [values for other, values in enumerate(clean) if other != seed]
        hard = int(np.nanargmin(np.mean(others, axis=0)))
        out.append(float(clean[seed][hard] - noisy[seed][hard]))
    return out
