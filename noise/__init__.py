"""Label noise. This package imports nothing of mwnet and can be used alone.

Noise is a matrix and a draw. ``NOISES[name](num_classes, rate, generator, dataset=...)`` builds a
row-stochastic ``(num_classes, num_classes)`` float64 matrix ``T`` with ``T[i, j] = Pr(given label j
| true label i)``. ``corrupt(labels, T, generator)`` draws given labels from it.

``instance`` and ``pmd`` make one such row for each sample. ``anchor_points`` and
``confident_joint`` estimate T from predictions. ``noise.plain`` estimates it from the plainest
samples of each class, and how probable it is that a label is wrong. ``unlearnable(T)`` lists the
classes that get another label at least as often as their own.

What the rate counts differs between papers. ``uniform`` redraws from all classes, the true one
included, so fewer than ``rate`` labels end up wrong. All others never draw the true class, and
``asymmetric`` applies to half of the classes. docs/NOISE.md shows them all.

Example:
    >>> import torch
    >>> from mwnet import NOISES
    >>> from mwnet.noise import corrupt, realised_rate
    >>> truth, generator = torch.arange(10).repeat(1000), torch.Generator().manual_seed(0)
    >>> given = corrupt(truth, NOISES["uniform"](10, 0.4, generator), generator)
    >>> round(realised_rate(given, truth), 2)
    0.36
"""

from .class_maps import asymmetric, block5, hierarchical, superclass
from .corruption import COUNTS, corrupt, realised_rate
from .estimate import anchor_points, anchored_matrix, confident_joint, estimated_rate
from .from_file import array_from_file, labels_from_file
from .instance_dependent import instance
from .margin import pmd
from .matrices import (
    Builder,
    flip,
    flip2,
    none,
    pairflip,
    symmetric,
    uniform,
    unlearnable,
)

NOISES: dict[str, Builder] = {
    "none": none,
    "uniform": uniform,
    "symmetric": symmetric,
    "flip": flip,
    "flip2": flip2,
    "pairflip": pairflip,
    "asymmetric": asymmetric,
    "superclass": superclass,
    "block5": block5,
    "hierarchical": hierarchical,
}

__all__ = [
    "COUNTS",
    "NOISES",
    "anchor_points",
    "anchored_matrix",
    "array_from_file",
    "confident_joint",
    "corrupt",
    "estimated_rate",
    "instance",
    "labels_from_file",
    "pmd",
    "realised_rate",
    "unlearnable",
]
