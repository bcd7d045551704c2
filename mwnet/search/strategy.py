"""CMA-ES with restarts, asked for whole generations."""

from collections.abc import Sequence

import numpy as np
from cmaes import CMA

from mwnet.core.seeding import derive


class Strategy:
    """CMA-ES (Hansen and Ostermeier 1996) through the package ``cmaes``, with IPOP restarts.

    It begins again at the start with twice the population (Auger and Hansen 2005) when restarts are
    left and the distribution has converged, or the median of a generation has not been better for
    some generations: scores are noisy, so that the distribution alone would hardly ever converge.

    Args:
        start: mean of the first distribution.
        sigma: its standard deviation in every direction.
        population: points in a generation.
        restarts: how many times at most.
        patience: generations without a better median before a restart.
        seed: what is drawn is a pure function of it and of the values told.

    Attributes:
        run: restarts so far.
        earlier: where the mean was at each restart.
        finished: converged for good.
    """

    def __init__(
        self,
        start: np.ndarray,
        sigma: float,
        population: int,
        *,
        restarts: int = 0,
        patience: int = 10,
        seed: int = 0,
    ) -> None:
        self.start, self.sigma, self.population = start, sigma, population
        self.restarts, self.patience = restarts, patience
        self.seed = seed
        self.run = 0
        self.finished = False
        self.earlier: list[np.ndarray] = []
        self._cma = self._begin()

    @property
    def mean(self) -> np.ndarray:
        """Mean of the distribution as it is now."""
        return self._cma.mean

    def ask(self) -> list[np.ndarray]:
        """The points of the next generation."""
        return [self._cma.ask() for _ in range(self._cma.population_size)]

    def tell(self, points: Sequence[np.ndarray], values: Sequence[float]) -> None:
        """What they are worth, low being good; those that failed come last in rank.

        ``cmaes`` would take a NaN without demoting it.
        """
        known = [value for value in values if np.isfinite(value)]
        worst = max(known, default=0.0) + 1.0
        finite = [value if np.isfinite(value) else worst for value in values]
        self._cma.tell(list(zip(points, finite, strict=True)))
        median = float(np.median(finite))
        self._waited = 0 if median < self._lowest else self._waited + 1
        self._lowest = min(self._lowest, median)
        converged = self._cma.should_stop()
        if self.run == self.restarts:
            self.finished = converged
        elif converged or self._waited >= self.patience:
            self.earlier.append(self.mean)
            self.run += 1
            self._cma = self._begin()

    def _begin(self) -> CMA:
        self._waited, self._lowest = 0, float("inf")
        return CMA(
            mean=self.start.copy(),
            sigma=self.sigma,
            population_size=self.population * 2**self.run,
            seed=derive(self.seed, "search", "strategy", self.run) % 2**32,
        )
