"""Learning-rate schedules: the factor on the initial rate as a function of the time in epochs."""

import math
from collections.abc import Callable, Sequence

Factor = Callable[[float], float]


def constant() -> Factor:
    """1 throughout."""
    return lambda epoch: 1.0


def cosine(epochs: int) -> Factor:
    """From 1 to 0 along half a cosine: (1 + cos(pi t / T)) / 2."""
    return lambda epoch: 0.5 * (1 + math.cos(math.pi * min(epoch / epochs, 1.0)))


def multistep(milestones: Sequence[int], gamma: float = 0.1) -> Factor:
    """Multiplied by ``gamma`` once each of the milestones, in epochs, has passed."""
    return lambda epoch: gamma ** sum(epoch >= milestone for milestone in milestones)
