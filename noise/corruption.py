"""Draw given labels from transition probabilities."""

import math

import torch
from torch import Generator, Tensor

from .checks import check_labels

COUNTS = ("sample", "exact", "exact-per-class")
UNIT = 2**32  # probabilities are counted in steps of 1 / UNIT, so that their sums are exact


def corrupt(labels: Tensor, matrix: Tensor, generator: Generator, counts: str = "sample") -> Tensor:
    """Draw a given label for each sample.

    Each draw reads the labels that were passed in, never labels that are already changed. With 3
    <-> 5 no sample goes there and back.

    Args:
        labels: ``(n,)`` int64 class ids, the labels before corruption.
        matrix: ``(K, K)`` transition matrix, or ``(n, K)`` with one row for each sample; all rows
            sum to one. A square one is read as a transition matrix, even if n = K.
        generator: CPU generator; no global random state is read or changed.
        counts: how many labels change. ``sample`` draws each sample on its own from its row, with
            one random number, so the number of wrong labels varies. ``exact`` changes exactly the
            expected number, rounded half up: it selects samples without replacement, each with
            probability 1 - T[y, y] up to that rounding, and draws one of the *other* classes in
            proportion to the row. ``exact-per-class`` does the same within each class.

    Returns:
        ``(n,)`` int64 given labels.

    Raises:
        ValueError: unknown ``counts``, rows that are no distributions, or rows that do not fit the
            labels.

    Examples:
        >>> import torch
        >>> truth, generator = torch.arange(10).repeat(10), torch.Generator().manual_seed(0)
        >>> matrix = torch.full((10, 10), 0.3 / 9, dtype=torch.float64).fill_diagonal_(0.7)
        >>> given = corrupt(truth, matrix, generator, counts="exact")
        >>> int((given != truth).sum())
        30
    """
    if counts not in COUNTS:
        raise ValueError(f"counts is one of {', '.join(COUNTS)}, got '{counts}'")
    rows = _row_of_each(labels, matrix)
    if counts == "sample" or not len(labels):
        return _draw(rows, generator)
    others = rows.scatter(1, labels[:, None], 0.0)
    change = others.sum(1).clamp(max=1)
    if counts == "exact":
        groups = [torch.arange(len(labels))]
    else:
        groups = [(labels == label).nonzero()[:, 0] for label in labels.unique()]
    chosen = torch.cat([group[_select(change[group], generator)] for group in groups])
    given = labels.clone()
    given[chosen] = _draw(others[chosen] / others[chosen].sum(1, keepdim=True), generator)
    return given


def realised_rate(given: Tensor, truth: Tensor) -> float:
    """Compute the share of samples whose given label differs from the true one, in [0, 1].

    Args:
        given: ``(n,)`` given labels.
        truth: ``(n,)`` true labels.

    Examples:
        >>> import torch
        >>> realised_rate(torch.tensor([0, 1, 1, 0]), torch.tensor([0, 1, 0, 0]))
        0.25
    """
    return float((given != truth).double().mean()) if len(given) else 0.0


def _row_of_each(labels: Tensor, matrix: Tensor) -> Tensor:
    """Return ``(n, K)`` float64 rows, one for each sample."""
    matrix = matrix.to(torch.float64)
    if matrix.ndim != 2 or matrix.shape[0] not in (matrix.shape[1], len(labels)):
        raise ValueError(
            f"a transition matrix is (K, K), or (n, K) with a row for each of the {len(labels)} "
            f"labels, got {tuple(matrix.shape)}"
        )
    sums = matrix.sum(1)
    if bool((matrix < 0).any()) or not torch.allclose(sums, torch.ones_like(sums), atol=1e-8):
        raise ValueError("each row of a transition matrix is non-negative and sums to 1")
    check_labels(labels, matrix.shape[1])
    return matrix[labels] if matrix.shape[0] == matrix.shape[1] else matrix


def _draw(rows: Tensor, generator: Generator) -> Tensor:
    """Draw ``(n,)`` classes from ``(n, K)`` distributions, with one random number each."""
    numbers = torch.rand(len(rows), generator=generator, dtype=torch.float64)
    drawn = (numbers[:, None] >= rows.cumsum(1)).sum(1)
    # Rounding may leave the last threshold just under 1: such a draw belongs to the last class
    # that the row allows at all.
    last = rows.shape[1] - 1 - (rows > 0).flip(1).to(torch.int8).argmax(1)
    return torch.minimum(drawn, last)


def _select(change: Tensor, generator: Generator) -> Tensor:
    """Select exactly round(sum of ``change``) samples, each with its probability.

    The result is their indices. This is systematic sampling in a random order. The probabilities
    are laid end to end, and a sample is taken if one of the points u, u + 1, u + 2, ... falls into
    its interval. u is uniform over the offsets that give the wanted number of points.
    """
    order = torch.randperm(len(change), generator=generator)
    ends = (change[order] * UNIT).round().to(torch.int64).cumsum(0)
    total, wanted = int(ends[-1]), math.floor(float(change.sum()) + 0.5 + 1e-9)
    lowest = max(0, total - wanted * UNIT)
    highest = min(UNIT, total - (wanted - 1) * UNIT)
    offset = torch.randint(lowest, highest, (1,), generator=generator)
    points = (ends - offset + UNIT - 1) // UNIT  # how many points lie before each end
    return order[points.diff(prepend=torch.zeros(1, dtype=torch.int64)) > 0]
