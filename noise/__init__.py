"""Label noise. This package imports nothing of mwnet and can be used alone.

Noise is a matrix and a draw: ``NOISES[name](num_classes, rate, generator)`` builds a row-stochastic
``(num_classes, num_classes)`` float64 matrix ``T`` with ``T[i, j] = Pr(given label j | true label
i)``; ``corrupt(labels, T, generator)`` draws given labels from it, each sample on its own. The word
"rate" differs between papers: ``uniform`` counts the true class among the targets, so fewer than
``rate`` labels end up wrong; all others never draw the true class.
"""

from noise.corruption import corrupt, realised_rate
from noise.from_file import labels_from_file
from noise.matrices import flip, flip2, none, pairflip, symmetric, uniform

NOISES = {
    "none": none,
    "uniform": uniform,
    "symmetric": symmetric,
    "flip": flip,
    "flip2": flip2,
    "pairflip": pairflip,
}

__all__ = ["NOISES", "corrupt", "labels_from_file", "realised_rate"]
