"""Learning-rate schedules: factors on the initial rate as functions of the time in epochs."""

import math
from collections.abc import Callable, Sequence

Factor = Callable[[float], float]


def constant() -> Factor:
    """Return the factor 1 throughout."""
    return lambda epoch: 1.0


def cosine(epochs: int) -> Factor:
    """Return a factor that falls from 1 to 0 along half a cosine: (1 + cos(pi t / T)) / 2."""
    return lambda epoch: 0.5 * (1 + math.cos(math.pi * min(epoch / epochs, 1.0)))


def multistep(milestones: Sequence[int], gamma: float = 0.1) -> Factor:
    """Return a factor that each passed milestone, in epochs, multiplies by ``gamma``."""
    return lambda epoch: gamma ** sum(epoch >= milestone for milestone in milestones)
