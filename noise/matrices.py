"""Build transition matrices ``T[i, j] = Pr(given label j | true label i)``; rows sum to one.

All builders share one signature, so that a name from the command line is enough to call any of
them. Builders without a random choice ignore the generator, and builders that suit every data set
ignore its name. Builders that need to know which classes are similar are in ``class_maps``.
"""

from typing import Protocol

import torch
from torch import Generator, Tensor

from .checks import check_rate


class Builder(Protocol):
    """The signature of every entry of ``NOISES``."""

    def __call__(
        self, num_classes: int, rate: float, generator: Generator, *, dataset: str = ""
    ) -> Tensor:
        """Build the ``(num_classes, num_classes)`` float64 matrix.

        Args:
            num_classes: K, at least 2.
            rate: in [0, 1]; each builder says what it counts.
            generator: CPU generator for builders that draw classes.
            dataset: name of the data set, for builders with a class map.

        Raises:
            ValueError: a rate outside [0, 1], or a noise that this data set or K cannot have.
        """
        ...


def none(num_classes: int, rate: float, generator: Generator, *, dataset: str = "") -> Tensor:
    """Build the identity: every label stays.

    Args:
        num_classes: K.
        rate: 0.
        generator: not used.
        dataset: not used.

    Returns:
        ``(K, K)`` float64.

    Raises:
        ValueError: another rate than 0.

    Examples:
        >>> import torch
        >>> from mwnet import NOISES
        >>> NOISES["none"](3, 0.0, torch.Generator()).diagonal()
        tensor([1., 1., 1.], dtype=torch.float64)
    """
    if rate:
        raise ValueError(f"noise 'none' has rate 0, got {rate}; name a noise, such as uniform")
    return torch.eye(num_classes, dtype=torch.float64)


def uniform(num_classes: int, rate: float, generator: Generator, *, dataset: str = "") -> Tensor:
    """Build noise that redraws a label from *all* classes, the true one included.

    A label is redrawn with probability ``rate``, so it stays with probability (1 - rate) + rate /
    K. A rate of 0.4 at 10 classes makes 36 % of the labels wrong.

    Args:
        num_classes: K, at least 2.
        rate: in [0, 1]; counts the true class.
        generator: not used.
        dataset: not used.

    Returns:
        ``(K, K)`` float64, rows sum to one.

    Raises:
        ValueError: a rate outside [0, 1], or fewer than two classes.

    Source: section 2 of Ghosh and Lan, WACV 2021; called ``unif`` in the MW-Net code.

    Examples:
        >>> import torch
        >>> from mwnet import NOISES
        >>> NOISES["uniform"](4, 0.4, torch.Generator())[0]
        tensor([0.7000, 0.1000, 0.1000, 0.1000], dtype=torch.float64)
    """
    check_rate(num_classes, rate)
    keep = (1 - rate) * torch.eye(num_classes, dtype=torch.float64)
    return keep + rate / num_classes


def symmetric(num_classes: int, rate: float, generator: Generator, *, dataset: str = "") -> Tensor:
    """Build noise that turns a label into one of the K - 1 *other* classes, evenly.

    Args:
        num_classes: K, at least 2.
        rate: probability of a change, in [0, 1]; does not count the true class.
        generator: not used.
        dataset: not used.

    Returns:
        ``(K, K)`` float64, rows sum to one.

    Raises:
        ValueError: a rate outside [0, 1], or fewer than two classes.

    Source: section 3 of Gao, Gouk and Hospedales, 2021 ("from the positive label to a negative").

    Examples:
        >>> import torch
        >>> from mwnet import NOISES
        >>> NOISES["symmetric"](5, 0.4, torch.Generator())[0]
        tensor([0.6000, 0.1000, 0.1000, 0.1000, 0.1000], dtype=torch.float64)
    """
    check_rate(num_classes, rate)
    off = torch.full((num_classes, num_classes), rate / (num_classes - 1), dtype=torch.float64)
    return off.fill_diagonal_(1 - rate)


def flip(num_classes: int, rate: float, generator: Generator, *, dataset: str = "") -> Tensor:
    """Build noise that turns a label into one other class, which is drawn once for each true class.

    From a rate of 0.5 on, the true classes cannot be learnt.

    Args:
        num_classes: K, at least 2.
        rate: probability of a change, in [0, 1]; does not count the true class.
        generator: CPU generator that draws the classes.
        dataset: not used.

    Returns:
        ``(K, K)`` float64, rows sum to one.

    Raises:
        ValueError: a rate outside [0, 1], or fewer than two classes.

    Source: section 2 of Ghosh and Lan, WACV 2021.

    Examples:
        >>> import torch
        >>> from mwnet import NOISES
        >>> matrix = NOISES["flip"](5, 0.4, torch.Generator().manual_seed(0))
        >>> (matrix == 0.4).sum(1).tolist()
        [1, 1, 1, 1, 1]
    """
    return _flip_to(num_classes, rate, 1, generator)


def flip2(num_classes: int, rate: float, generator: Generator, *, dataset: str = "") -> Tensor:
    """Build noise that turns a label into one of two other classes, drawn once for each true class.

    Each of the two gets ``rate`` / 2. From a rate of 2/3 on, the true classes cannot be learnt.

    Args:
        num_classes: K, at least 3.
        rate: probability of a change, in [0, 1]; does not count the true class.
        generator: CPU generator that draws the classes.
        dataset: not used.

    Returns:
        ``(K, K)`` float64, rows sum to one.

    Raises:
        ValueError: a rate outside [0, 1], or fewer than three classes.

    Source: section 2 of Ghosh and Lan, WACV 2021; called ``flip`` in Shu et al., 2019. The public
    code draws the classes with a fixed seed; here the generator decides.

    Examples:
        >>> import torch
        >>> from mwnet import NOISES
        >>> matrix = NOISES["flip2"](5, 0.4, torch.Generator().manual_seed(0))
        >>> (matrix == 0.2).sum(1).tolist()
        [2, 2, 2, 2, 2]
    """
    return _flip_to(num_classes, rate, 2, generator)


def pairflip(num_classes: int, rate: float, generator: Generator, *, dataset: str = "") -> Tensor:
    """Build noise that turns class i into class i + 1; the last class becomes the first.

    From a rate of 0.5 on, the true classes cannot be learnt.

    Args:
        num_classes: K, at least 2.
        rate: probability of a change, in [0, 1]; does not count the true class.
        generator: not used.
        dataset: not used.

    Returns:
        ``(K, K)`` float64, rows sum to one.

    Raises:
        ValueError: a rate outside [0, 1], or fewer than two classes.

    Source: Han et al., Co-teaching, NeurIPS 2018; "asymmetric (pair-flip)" in Gao, Gouk and
    Hospedales, 2021.

    Examples:
        >>> import torch
        >>> from mwnet import NOISES
        >>> NOISES["pairflip"](4, 0.4, torch.Generator())[3]
        tensor([0.4000, 0.0000, 0.0000, 0.6000], dtype=torch.float64)
    """
    check_rate(num_classes, rate)
    keep = torch.eye(num_classes, dtype=torch.float64)
    return (1 - rate) * keep + rate * keep.roll(1, dims=1)


def unlearnable(matrix: Tensor) -> list[int]:
    """List the classes that a transition matrix gives another label at least as often as their own.

    Such classes cannot be learnt from the labels without further knowledge. ``flip`` reaches this
    at a rate of 1/2, ``flip2`` at 2/3, ``uniform`` at 1.

    Args:
        matrix: ``(K, K)`` with T[i, j] = Pr(given j | true i); numbers within 1e-6 count as equal.

    Returns:
        Class ids, ascending.

    Source: section 4 of Ghosh and Lan, WACV 2021.

    Examples:
        >>> import torch
        >>> unlearnable(torch.tensor([[0.4, 0.6], [0.1, 0.9]]))
        [0]
    """
    others = matrix.detach().to("cpu", torch.float64, copy=True).fill_diagonal_(-1.0)
    own = matrix.detach().diagonal().to("cpu", torch.float64)
    return (others.amax(1) >= own - 1e-6).nonzero()[:, 0].tolist()


def _flip_to(num_classes: int, rate: float, targets: int, generator: Generator) -> Tensor:
    check_rate(num_classes, rate)
    if num_classes <= targets:
        raise ValueError(f"{targets} other class(es) cannot be drawn from {num_classes} classes")
    matrix = (1 - rate) * torch.eye(num_classes, dtype=torch.float64)
    for row in range(num_classes):
        others = [column for column in range(num_classes) if column != row]
        drawn = torch.randperm(num_classes - 1, generator=generator)[:targets]
        for position in drawn.tolist():
            matrix[row, others[position]] = rate / targets
    return matrix
