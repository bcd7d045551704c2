"""Transition matrices ``T[i, j] = Pr(given label j | true label i)``, float64, rows sum to one.

All builders share one signature, so that a name from the command line is enough to call any of
them: those without a random choice ignore the generator, those that suit every data set ignore its
name. Builders that know which classes are similar are in ``class_maps``.
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
        """The ``(num_classes, num_classes)`` matrix.

        Args:
            num_classes: K, at least 2.
            rate: in [0, 1]; what it counts is said by each builder.
            generator: CPU generator for builders that draw classes.
            dataset: name of the data set, for builders with a class map.

        Raises:
            ValueError: a rate outside [0, 1], or a noise that this data set or K cannot have.
        """
        ...


def none(num_classes: int, rate: float, generator: Generator, *, dataset: str = "") -> Tensor:
    """The identity: every label stays (``rate`` must be 0)."""
    if rate:
        raise ValueError(f"noise 'none' has rate 0, got {rate}; name a noise, such as uniform")
    return torch.eye(num_classes, dtype=torch.float64)


def uniform(num_classes: int, rate: float, generator: Generator, *, dataset: str = "") -> Tensor:
    """With probability ``rate`` the label is redrawn from *all* classes, the true one included.

    A label stays with probability (1 - rate) + rate / K, so 40 % at 10 classes makes 36 % wrong.
    Source: section 2 of Ghosh and Lan, WACV 2021; also called ``unif`` in the MW-Net code.
    """
    check_rate(num_classes, rate)
    keep = (1 - rate) * torch.eye(num_classes, dtype=torch.float64)
    return keep + rate / num_classes


def symmetric(num_classes: int, rate: float, generator: Generator, *, dataset: str = "") -> Tensor:
    """With probability ``rate`` the label becomes one of the K - 1 *other* classes, evenly.

    Source: section 3 of Gao, Gouk and Hospedales, 2021 ("from the positive label to a negative").
    """
    check_rate(num_classes, rate)
    off = torch.full((num_classes, num_classes), rate / (num_classes - 1), dtype=torch.float64)
    return off.fill_diagonal_(1 - rate)


def flip(num_classes: int, rate: float, generator: Generator, *, dataset: str = "") -> Tensor:
    """With probability ``rate`` the label becomes the one other class drawn for its row.

    The rate does not count the true class. Not learnable from ``rate`` 0.5 on. Source: section 2
    of Ghosh and Lan, WACV 2021.
    """
    return _flip_to(num_classes, rate, 1, generator)


def flip2(num_classes: int, rate: float, generator: Generator, *, dataset: str = "") -> Tensor:
    """With probability ``rate`` the label becomes one of two other classes drawn for its row.

    The rate does not count the true class. Source: section 2 of Ghosh and Lan, WACV 2021 (called
    ``flip`` in Shu et al., 2019). Not learnable from ``rate`` 2/3 on. The public code draws the
    classes with a fixed seed; here the generator decides.
    """
    return _flip_to(num_classes, rate, 2, generator)


def pairflip(num_classes: int, rate: float, generator: Generator, *, dataset: str = "") -> Tensor:
    """With probability ``rate`` class i becomes class i + 1 (the last becomes the first).

    The rate does not count the true class. Not learnable from ``rate`` 0.5 on. Source: Han et al.,
    Co-teaching, NeurIPS 2018; "asymmetric (pair-flip)" in Gao, Gouk and Hospedales, 2021.
    """
    check_rate(num_classes, rate)
    keep = torch.eye(num_classes, dtype=torch.float64)
    return (1 - rate) * keep + rate * keep.roll(1, dims=1)


def unlearnable(matrix: Tensor) -> list[int]:
    """Classes that a transition matrix gives another label at least as often as their own.

    Learning from such labels is infeasible without knowing more: ``flip`` reaches it at a rate of
    1/2, ``flip2`` at 2/3, ``uniform`` at 1. Source: section 4 of Ghosh and Lan, WACV 2021.

    Args:
        matrix: ``(K, K)`` with T[i, j] = Pr(given j | true i); equal to a millionth is equal.

    Returns:
        Class ids, ascending.
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
