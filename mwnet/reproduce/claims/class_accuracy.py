"""Accuracy of every class: how far classes are apart, and what noise costs which of them."""

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

Array = NDArray[np.float64]


def by_class(predicted: Tensor, truth: Tensor, classes: int) -> dict[str, list[int]]:
    """How many samples of each class there are (``all``), and how many are ``right``.

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
    """Best less worst class of ``(K,)`` accuracies; NaN is a class without samples."""
    return float(np.nanmax(accuracies) - np.nanmin(accuracies))


def chance_gap(accuracy: float, counts: Array, draws: int = 2000) -> float:
    """Expected gap of classes that are all alike, from the finite number of samples alone.

    Args:
        accuracy: of every class, in [0, 1].
        counts: ``(K,)`` samples of each class; those with none are left out.
        draws: of the binomial numbers of right predictions.
    """
    counts = counts[counts > 0]
    right = np.random.default_rng(0).binomial(
        counts.astype(np.int64), accuracy, (draws, len(counts))
    )
    return float(np.ptp(right / counts, axis=1).mean())


def lost(clean: Array, noisy: Array) -> tuple[float, float]:
    """What the mean of ``(K,)`` accuracies loses with noise, and what the worst class loses."""
    mean = float(np.nanmean(clean) - np.nanmean(noisy))
    return mean, float(np.nanmin(clean) - np.nanmin(noisy))


def lost_by_hard(clean: list[Array], noisy: list[Array]) -> list[float]:
    """For each seed, what the class loses that is worst on clean labels over the other seeds.

    Args:
        clean: for each seed, ``(K,)`` accuracies; with one seed there are no others.
        noisy: the same with noise.
    """
    out = []
    for seed in range(len(clean)) if len(clean) > 1 else ():
        others = [values for other, values in enumerate(clean) if other != seed]
        hard = int(np.nanargmin(np.mean(others, axis=0)))
        out.append(float(clean[seed][hard] - noisy[seed][hard]))
    return out
