"""Noise that depends on the features of a sample."""

import math

import torch
from torch import Generator, Tensor

from .checks import check_labels, check_rate

SPREAD = 0.1  # standard deviation of the samples' own rates
CHUNK = 1024  # samples in float64 at a time


def instance(
    x: Tensor,
    labels: Tensor,
    rate: float,
    generator: Generator,
    num_classes: int,
    *,
    temperature: float = 1.0,
) -> Tensor:
    """Build part-dependent noise: each sample has its own rate and its own likely wrong class.

        q_i ~ N(rate, 0.1^2) truncated to [0, 1],   W[y] ~ N(0, 1)^(d, K)
        T_i[j] = q_i softmax_{j != y}(x_i W[y] / temperature)[j],   T_i[y] = 1 - q_i

    The rate does not count the true class. Truncation moves its mean near the ends: 0 gives 8 %,
    0.1 gives 13 %, and from 0.3 to 0.7 it is exact to 0.001.

    Args:
        x: ``(n, ...)`` features, flattened here to d; standardise them first.
        labels: ``(n,)`` int64 true labels y.
        rate: mean share of samples that change, in [0, 1].
        generator: CPU generator.
        num_classes: K.
        temperature: above 0. At 1, the authors' value, scores have a standard deviation of |x|, so
            the softmax is nearly one-hot and a sample has one wrong class. A temperature of sqrt(d)
            spreads it over several.

    Returns:
        ``(n, K)`` float64 rows for ``corrupt(labels, rows, generator)``.

    Raises:
        ValueError: a rate or temperature outside its range, features that are not finite or that do
            not fit the labels.

    Source: algorithm 2 of Xia et al., Part-dependent Label Noise, NeurIPS 2020.

    Examples:
        >>> import torch
        >>> generator = torch.Generator().manual_seed(0)
        >>> x, labels = torch.randn(1000, 5, generator=generator), torch.arange(4).repeat(250)
        >>> rows = instance(x, labels, 0.4, generator, num_classes=4)
        >>> own = rows.gather(1, labels[:, None])
        >>> round(1 - float(own.mean()), 2)
        0.4
    """
    check_rate(num_classes, rate)
    check_labels(labels, num_classes)
    if x.ndim < 2 or len(x) != len(labels):
        raise ValueError(
            f"features are (n, ...) for the {len(labels)} labels, got shape {tuple(x.shape)}"
        )
    if not 0 < temperature < math.inf:
        raise ValueError(f"the temperature of instance noise is positive, got {temperature}")
    features = x.flatten(1)
    rates = _truncated_normal(len(labels), rate, generator)
    rows = torch.zeros(len(labels), num_classes, dtype=torch.float64)
    # Class by class: all of W would be (K, d, K), and W of every sample (n, d, K).
    for label in range(num_classes):
        weights = torch.randn(
            features.shape[1], num_classes, generator=generator, dtype=torch.float64
        )
        for part in (labels == label).nonzero()[:, 0].split(CHUNK):
            scores = features[part].double() @ weights / temperature
            if not scores.isfinite().all():
                raise ValueError("features must be finite numbers for instance noise")
            scores[:, label] = -math.inf
            rows[part] = rates[part, None] * scores.softmax(1)
    rows[torch.arange(len(labels)), labels] = 1 - rates
    return rows


def _truncated_normal(count: int, mean: float, generator: Generator) -> Tensor:
    """Draw from N(mean, SPREAD^2) conditioned on [0, 1], by the inverse distribution function."""
    ends = torch.tensor([-mean / SPREAD, (1 - mean) / SPREAD], dtype=torch.float64)
    low, high = torch.special.ndtr(ends)
    numbers = torch.rand(count, generator=generator, dtype=torch.float64)
    return (mean + SPREAD * torch.special.ndtri(low + (high - low) * numbers)).clamp(0, 1)
