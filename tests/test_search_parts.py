"""The space that is searched and the strategy that searches it."""

from math import factorial
from pathlib import Path

import numpy as np
import pytest
from cmaes import CMA
from searches import CONSTANT, HUGE, THETA

from mwnet.core.errors import UserError
from mwnet.losses.loss_file import TaylorLoss, write_loss
from mwnet.losses.taylor import CROSS_ENTROPY, coefficients
from mwnet.search.space import Space, degenerate
from mwnet.search.strategy import Strategy


@pytest.mark.parametrize(("order", "count"), [(2, 5), (3, 8), (4, 12)])
def test_a_polynomial_of_an_order_has_so_many_free_numbers(order: int, count: int) -> None:
    space = Space(order)
    assert len(space.free) == count
    x = np.random.default_rng(order).normal(size=count)
    theta = space.theta(x)
    assert len(theta) == 12
    assert {k for k, value in enumerate(theta) if value} == set(space.free)
    np.testing.assert_allclose(space.point(theta), x, rtol=1e-15)
    if order == 4:
        np.testing.assert_allclose(space.theta(space.point(THETA)), THETA, rtol=1e-15)


@pytest.mark.parametrize("order", [2, 3, 4])
def test_coordinates_are_the_coefficients_of_eq_4(order: int) -> None:
    """The sum of x (p - theta_0)^i (y - theta_1)^j is what the loss computes from theta."""
    powers = [(1, 0), (2, 0), (3, 0), (4, 0), (1, 1), (1, 2), (2, 1), (3, 1), (1, 3), (2, 2)]
    space = Space(order)
    x = np.random.default_rng(order).normal(size=len(space.free))
    theta = space.theta(x)
    for y in (0, 1):
        want = [0.0] * 4
        for coordinate, k in zip(x[2:], space.free[2:], strict=True):
            i, j = powers[k - 2]
            assert i + j <= order
            want[i - 1] += coordinate * (y - theta[1]) ** j
        np.testing.assert_allclose(coefficients(theta, y), want, rtol=1e-12, atol=1e-12)
    assert theta[5] == (x[5] * factorial(4) if order == 4 else 0)


def test_starts(tmp_path: Path) -> None:
    space = Space(4)
    assert not space.start("zero").any()
    assert Space(2).start("zero").shape == (5,)
    assert space.theta(space.start("ce")) == CROSS_ENTROPY
    text = ",".join(map(repr, THETA))
    for numbers in (text, f"[{text}]", text.replace(",", ", ")):
        np.testing.assert_allclose(space.theta(space.start(numbers)), THETA, rtol=1e-15)
    write_loss(tmp_path / "my.yaml", TaylorLoss(THETA, 2.0), {})
    start = space.start(str(tmp_path / "my.yaml"))
    np.testing.assert_allclose(space.theta(start), THETA, rtol=1e-15)
    few = Space(2).theta(Space(2).start(text))
    np.testing.assert_allclose([few[k] for k in Space(2).free], [THETA[k] for k in Space(2).free])


@pytest.mark.parametrize(
    ("start", "part"),
    [
        ("ec", "ec"),
        ("no.yaml", "no.yaml"),
        ("1,2,3", "got 3"),
        (",".join("1" * 13), "got 13"),
        ("1,2,x,4", "'1,2,x,4'"),
        (",".join([*"1" * 11, "nan"]), "finite"),
        ("", "cannot read"),
    ],
)
def test_bad_starts_get_one_sentence(start: str, part: str) -> None:
    with pytest.raises(UserError) as error:
        Space(4).start(start)
    assert part in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("theta", [*CONSTANT, *HUGE, tuple(1e-12 * value for value in THETA)])
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_what_has_no_range_is_degenerate(theta: tuple) -> None:
    for classes in (2, 10):
        assert degenerate(theta, classes) is True


@pytest.mark.parametrize("theta", [THETA, CROSS_ENTROPY, (*[0.0] * 6, -1.0, *[0.0] * 5)])
def test_what_has_a_range_is_not(theta: tuple) -> None:
    for classes in (2, 10, 100):
        assert degenerate(theta, classes) is False


OPTIMUM = np.array([0.5, -1.0, 2.0, 0.0, -0.7])


def quadratic(x: np.ndarray) -> float:
    return float(((x - OPTIMUM) ** 2).sum())


@pytest.mark.parametrize("failure", [None, float("inf"), float("nan")])
def test_the_strategy_finds_a_planted_optimum(failure: float | None) -> None:
    """Also when a tenth of the evaluations fail."""
    strategy = Strategy(np.zeros(5), 1.0, 20)
    rng = np.random.default_rng(0)
    for _ in range(70):
        points = strategy.ask()
        assert len(points) == 20
        values = [quadratic(x) for x in points]
        if failure is not None:
            values = [failure if rng.random() < 0.1 else value for value in values]
        strategy.tell(points, values)
    np.testing.assert_allclose(strategy.mean, OPTIMUM, atol=1e-3)
    assert strategy.earlier == []


@pytest.mark.parametrize("failure", [float("inf"), float("nan"), -float("inf")])
def test_failures_rank_last(failure: float) -> None:
    """The distribution moves as it would for a very bad value, wherever the failures are."""
    ours = Strategy(np.zeros(5), 1.0, 8, seed=3)
    reference = Strategy(np.zeros(5), 1.0, 8, seed=3)
    for generation in range(5):
        points = ours.ask()
        np.testing.assert_array_equal(points, reference.ask())
        bad = {0, 5} if generation < 4 else set(range(8))  # all of them in the last one
        values = [quadratic(x) for x in points]
        ours.tell(points, [failure if i in bad else value for i, value in enumerate(values)])
        told = [1e9 if i in bad else value for i, value in enumerate(values)]
        reference._cma.tell(list(zip(points, told, strict=True)))
        np.testing.assert_array_equal(ours.mean, reference.mean)
        assert np.isfinite(ours.mean).all()
    assert isinstance(ours._cma, CMA)


def test_a_restart_doubles_the_population_at_the_start() -> None:
    strategy = Strategy(np.zeros(2), 0.5, 6, restarts=2, patience=2000)
    sizes = []
    for _ in range(2000):
        if strategy.finished:
            break
        points = strategy.ask()
        if not sizes or len(points) != sizes[-1]:
            sizes.append(len(points))
            assert strategy.run == len(strategy.earlier) == len(sizes) - 1
            assert not strategy.mean.any()
        strategy.tell(points, [quadratic(np.pad(x, (0, 3))) for x in points])
    assert sizes == [6, 12, 24]
    assert strategy.finished
    for mean in (*strategy.earlier, strategy.mean):  # where each run has converged
        np.testing.assert_allclose(mean, OPTIMUM[:2], atol=1e-3)
    assert Strategy(np.zeros(2), 0.5, 6).finished is False


@pytest.mark.parametrize("patience", [1, 3])
def test_a_median_that_is_not_better_for_some_generations_is_a_restart(patience: int) -> None:
    """The best value may improve all the time; a failure of fewer than half does not matter."""
    strategy = Strategy(np.zeros(2), 0.5, 5, restarts=2, patience=patience)

    def tell(median: float, best: float) -> int:
        points = strategy.ask()
        values = [best, best, median, median + 1, float("nan")]
        strategy.tell(points, values)
        return strategy.run

    for step in range(4):
        assert tell(5.0 - step, 0.0) == 0
    for step in range(patience - 1):
        assert tell(2.0, -step - 1.0) == 0
    assert tell(1.9, 0.0) == 0  # better just in time
    for step in range(patience - 1):
        assert tell(1.9, -step - 1.0) == 0
    mean = strategy.mean.copy()
    assert tell(1.95, -9.0) == 1
    assert len(strategy.ask()) == 10
    assert len(strategy.earlier) == 1
    assert not np.array_equal(strategy.earlier[0], mean)  # with the last generation in it
    assert not strategy.mean.any()


def test_noisy_quantised_values_restart_and_the_last_run_goes_on() -> None:
    def runs(patience: int) -> tuple[list[int], Strategy]:
        rng = np.random.default_rng(0)
        strategy = Strategy(np.zeros(5), 1.0, 8, restarts=2, patience=patience)
        sizes = []
        for _ in range(120):
            points = strategy.ask()
            sizes.append(len(points))
            exact = [1 / (1 + quadratic(x)) for x in points]
            strategy.tell(points, [-round(v + rng.normal(0, 0.05), 2) for v in exact])
        return sizes, strategy

    sizes, never = runs(10**6)
    assert (set(sizes), never.earlier, never.finished) == ({8}, [], False)
    sizes, strategy = runs(8)
    assert sizes == sorted(sizes)
    assert set(sizes) == {8, 16, 32}
    assert strategy.run == 2
    assert strategy.finished is False
    for mean in strategy.earlier:
        assert quadratic(mean) < quadratic(np.zeros(5)) / 4


def test_the_same_seed_asks_the_same() -> None:
    def asked(seed: int) -> list:
        strategy = Strategy(np.zeros(5), 1.0, 4, seed=seed)
        points = []
        for _ in range(3):
            points.append(strategy.ask())
            strategy.tell(points[-1], [quadratic(x) for x in points[-1]])
        return points

    np.testing.assert_array_equal(asked(1), asked(1))
    assert not np.array_equal(asked(1), asked(2))
