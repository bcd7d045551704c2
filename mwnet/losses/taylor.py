"""The Taylor loss: a polynomial in prediction and label with twelve coefficients.

A search finds the coefficients (``mwnet search``). Source: Gao, Gouk and Hospedales, "Searching for
robustness", 2021; eq. 4 is the polynomial, eq. 5 its normalisation.
"""

from collections.abc import Sequence
from functools import cache, lru_cache

import numpy as np
from numpy.polynomial import Polynomial
from torch import Tensor

from mwnet.losses._probabilities import log_p, of_label

# The fourth-order expansion of -y log p around p = y = 1/2, but for terms in y alone.
CROSS_ENTROPY = (0.5, 0.5, -1.0, 2.0, -8.0, 48.0, -2.0, 0.0, 4.0, -16.0, 0.0, 0.0)

# configs/losses/ar_sym80.yaml: found on MNIST with two perceptrons and 80 % symmetric noise.
GENERAL = (
    0.8715059789634697,
    2.8429424452912877,
    1.1096558670512955,
    2.8899714585961345,
    -8.117132119585474,
    51.681758586989055,
    0.8114339068339532,
    -3.2428190146783553,
    5.718228334822875,
    -3.3269484211963185,
    -8.578002940891594,
    1.454191004115292,
)

LARGEST = 1e9
"""Of a coefficient: the fourth power of more would overflow float32."""


def taylor(
    logits: Tensor, labels: Tensor, *, theta: Sequence[float] = GENERAL, eta: float = 1.0
) -> Tensor:
    """Compute a fourth-order polynomial in p_k and y_k, averaged over classes and normalised.

    l = eta (f - f_min) / (f_max - f_min),  f = 1/K sum_k L(p_k, y_k),

    L(p, y) = theta_2 (p - theta_0) + ... + theta_11/4 (p - theta_0)^2 (y - theta_1)^2  (eq. 4)

    f_min and f_max are the exact extremes over all predictions and labels.

    Args:
        logits: ``(n, K)`` float.
        labels: ``(n,)`` int64 in 0..K-1.
        theta: twelve finite numbers, by default those of the most general loss that was found. A
            positive factor on the last ten does not change the loss.
        eta: range of the loss, above 0; the paper leaves it open. It acts like the learning rate.

    Returns:
        ``(n,)`` losses in [0, eta], without unit; 0 everywhere if the polynomial is constant.

    Raises:
        ValueError: not twelve finite numbers of at most 1e9, or an eta that is not above 0.

    Terms in y alone (theta_12 to theta_15 of the appendix) do not change training and are left out.

    Source: eqs. 4 and 5 of Gao, Gouk and Hospedales, 2021. The paper estimates f_min and f_max from
    random points, which see 52 % of the range at 10 classes and 6 % at 100. The meaning of eta
    would then change with K.

    Examples:
        >>> import torch
        >>> from mwnet import LOSSES
        >>> logits = torch.tensor([[0.8, 0.1, 0.1]] * 2).log()
        >>> LOSSES["taylor"](logits, torch.tensor([0, 1]))
        tensor([0.1988, 0.8699])
    """
    theta = _checked(theta)
    if not 0 < eta < float("inf"):
        raise ValueError(f"taylor needs an eta above 0, got {eta}")
    lowest, highest = taylor_range(theta, logits.shape[-1])
    p = log_p(logits).exp()
    z, z_y = p - theta[0], of_label(p, labels) - theta[0]
    on, off = coefficients(theta, 1), coefficients(theta, 0)
    total = _horner(z, off).sum(-1) + _horner(z_y, on) - _horner(z_y, off)
    width = highest - lowest
    return eta * (total / logits.shape[-1] - lowest) / (width if width > 0 else 1.0)


@lru_cache(maxsize=4096)
def taylor_range(theta: tuple[float, ...], num_classes: int) -> tuple[float, float]:
    """Compute (f_min, f_max) over all predictions of ``num_classes`` classes and all labels.

    Examples:
        >>> taylor_range((*[0.0] * 6, 1.0, *[0.0] * 5), num_classes=4)
        (0.0, 0.25)
    """
    on, off = (
        Polynomial([0.0, *coefficients(theta, y)])(Polynomial([-theta[0], 1.0])) for y in (1, 0)
    )
    lowest = _lowest(on, off, num_classes) / num_classes
    highest = -_lowest(-on, -off, num_classes) / num_classes
    return lowest, highest


def coefficients(theta: Sequence[float], y: int) -> tuple[float, float, float, float]:
    """Compute the factors of (p - theta_0)^1 to ^4 in eq. 4 for a label y of 0 or 1."""
    d = y - theta[1]
    return (
        theta[2] + theta[6] * d + theta[7] / 2 * d**2 + theta[10] / 6 * d**3,
        theta[3] / 2 + theta[8] / 2 * d + theta[11] / 4 * d**2,
        theta[4] / 6 + theta[9] / 6 * d,
        theta[5] / 24,
    )


def _horner(z: Tensor, c: tuple[float, float, float, float]) -> Tensor:
    return z * (c[0] + z * (c[1] + z * (c[2] + z * c[3])))


def _lowest(on: Polynomial, off: Polynomial, num_classes: int) -> float:
    """Minimise on(p_1) + off(p_2) + ... + off(p_K) over the probability simplex.

    The problem is separable but not convex. The first step solves it exactly on a grid of
    probabilities: the best shares of m classes are the best shares of two halves, so log K steps
    are enough. The second step moves classes with about equal shares together to the exact optimum.
    """
    steps = max(256, 8 * num_classes)
    grid = np.arange(steps + 1) / steps
    shared = _shared(off(grid), num_classes - 1)
    total = on(grid) + shared.value[::-1]
    best = int(total.argmin())
    others = np.sort(shared.parts(steps - best)) / steps
    groups = np.split(others, np.flatnonzero(np.diff(others) > 1.5 / steps) + 1)
    from scipy.optimize import minimize

    sizes = np.array([1, *map(len, groups)])
    start = np.array([grid[best], *(group.mean() for group in groups)])
    slopes = (on.deriv(), *[off.deriv()] * len(groups))
    values = (on, *[off] * len(groups))

    def value(p: np.ndarray) -> float:
        return float(sum(m * f(x) for m, f, x in zip(sizes, values, p, strict=True)))

    def slope(p: np.ndarray) -> np.ndarray:
        return np.array([m * f(x) for m, f, x in zip(sizes, slopes, p, strict=True)])

    scale = max(abs(value(start)), float(np.abs(slope(start)).max()), 1e-300)
    end = minimize(
        lambda p: value(p) / scale,
        start,
        jac=lambda p: slope(p) / scale,
        bounds=[(0, 1)] * len(start),
        constraints={"type": "eq", "fun": lambda p: sizes @ p - 1, "jac": lambda p: sizes},
        method="SLSQP",
        options={"ftol": 1e-15, "maxiter": 100},
    )
    reached = np.clip(end.x, 0, 1)
    return min(value(start), value(reached / (sizes @ reached)))


class _Sharing:
    """The least sum of ``f`` over m classes for each total mass, and each class's share."""

    def __init__(self, left: "_Sharing | None", right: "_Sharing | None", f: np.ndarray) -> None:
        self.left, self.right = left, right
        if left is None or right is None:
            self.value = f
            return
        n = len(f)
        self.value, self.to_left = np.empty(n), np.empty(n, dtype=np.int64)
        for mass in range(n):
            sums = left.value[: mass + 1] + right.value[mass::-1]
            self.to_left[mass] = sums.argmin()
            self.value[mass] = sums[self.to_left[mass]]

    def parts(self, mass: int) -> list[int]:
        """Return the grid steps of each class at the optimum of a total mass."""
        if self.left is None or self.right is None:
            return [mass]
        to_left = int(self.to_left[mass])
        return self.left.parts(to_left) + self.right.parts(mass - to_left)


def _shared(f: np.ndarray, classes: int) -> _Sharing:
    """Build the sharing of m classes by halving; each size is built once."""

    @cache
    def build(m: int) -> _Sharing:
        return _Sharing(None, None, f) if m == 1 else _Sharing(build(m // 2), build(m - m // 2), f)

    return build(classes)


def _checked(theta: Sequence[float]) -> tuple[float, ...]:
    theta = tuple(float(value) for value in theta)
    if len(theta) != 12 or not np.isfinite(theta).all():
        raise ValueError(f"taylor needs 12 finite coefficients, got {len(theta)}: {theta}")
    if max(map(abs, theta)) > LARGEST:
        raise ValueError(f"taylor takes coefficients up to {LARGEST:g}, got {theta}")
    return theta
