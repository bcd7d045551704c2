"""The space that is searched: Taylor losses of an order, in coordinates of one scale."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import factorial
from pathlib import Path

import numpy as np

from mwnet.core.errors import UserError
from mwnet.losses.loss_file import is_loss_file, read_loss
from mwnet.losses.taylor import CROSS_ENTROPY, LARGEST, taylor_range

Theta = tuple[float, ...]

# theta_2 to theta_11 of eq. 4: the power of the prediction and that of the label.
POWERS = ((1, 0), (2, 0), (3, 0), (4, 0), (1, 1), (1, 2), (2, 1), (3, 1), (1, 3), (2, 2))

SMALLEST_RANGE = 1e-9


@dataclass(frozen=True)
class Space:
    """Polynomials of eq. 4 up to an order: 5, 8 or 12 numbers for order 2, 3 or 4.

    A coordinate is the coefficient that a power really has, theta_k over its factorials, so that
    one step size fits all of them. The first two, the point of expansion, are as they are.
    """

    order: int

    @property
    def free(self) -> list[int]:
        """Which of the twelve are searched."""
        within = [k for k, powers in enumerate(POWERS, start=2) if sum(powers) <= self.order]
        return [0, 1, *within]

    def theta(self, x: Sequence[float] | np.ndarray) -> Theta:
        """The twelve numbers of a point."""
        theta = np.zeros(12)
        theta[self.free] = np.asarray(x) * _SCALE[self.free]
        return tuple(map(float, theta))

    def point(self, theta: Sequence[float]) -> np.ndarray:
        """The point of twelve numbers; those beyond the order are dropped."""
        return (np.asarray(theta, dtype=float) / _SCALE)[self.free]

    def start(self, name: str) -> np.ndarray:
        """Where a search starts: "zero", "ce", a file with theta, or twelve numbers.

        Of a theta of a higher order the terms beyond this one are dropped.

        Raises:
            UserError: no such file, numbers that are no theta.
        """
        if name == "zero":
            return np.zeros(len(self.free))
        if name == "ce":
            return self.point(CROSS_ENTROPY)
        numbers = name.strip("[]()").split(",")
        if is_loss_file(name):
            return self.point(read_loss(Path(name)).theta)
        try:
            theta = [float(number) for number in numbers]
        except ValueError:
            raise UserError(f"`search_start` got '{name}': zero, ce, a file, or numbers") from None
        if len(theta) != 12 or not all(abs(number) <= LARGEST for number in theta):
            raise UserError(
                f"`search_start` needs 12 finite numbers, none above {LARGEST:g}, got "
                f"{len(theta)}: {name}"
            )
        return self.point(theta)


def degenerate(theta: Theta, num_classes: int) -> bool:
    """Whether a polynomial has no range to normalise by: constant, or beyond floating point."""
    if not all(abs(number) <= LARGEST for number in theta):
        return True
    lowest, highest = taylor_range(theta, num_classes)
    width = highest - lowest
    return not (SMALLEST_RANGE < width < float("inf"))


_SCALE = np.array([1.0, 1.0, *(factorial(p) * factorial(y) for p, y in POWERS)])
