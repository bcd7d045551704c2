"""How large is a sample's gradient in the logits, as a function of its label's probability?"""

import math
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from scipy.integrate import quad
from scipy.optimize import minimize_scalar, root_scalar
from torch import Tensor

from mwnet.losses import LOSSES, OF_BATCH, STATEFUL
from mwnet.reproduce.claims.base import LI, Analysis, Finding, Runs, verdict
from mwnet.reproduce.document import markdown_table
from mwnet.runs.canvas import NEUTRAL, RIGHT, WRONG, figure

CLASSES = 10
"""In the picture and in the comparison of losses; the closed forms hold for any number."""

PURE = tuple(n for n in LOSSES if n not in OF_BATCH | (STATEFUL.keys() - {"truncated-gce"}))
"""Losses that are functions of one sample's logits and label, and need nothing else."""
LEFT_OUT = (
    f"Left out: {', '.join(n for n in LOSSES if n in OF_BATCH)} (of a whole batch) and "
    f"{', '.join(n for n in LOSSES if n not in PURE and n not in OF_BATCH)} (which need a "
    "transition matrix, a memory of the training set or a second draw)."
)
"""The other shipped losses, for legends."""

Magnitude = Callable[[float], float]


def ce(p: float) -> float:
    """Compute the L1 norm of cross-entropy's gradient in the logits, 2 (1 - p); eq. 9."""
    return 2 * (1 - p)


def mae(p: float) -> float:
    """Compute the L1 norm of the gradient of MAE = 2 (1 - p), 4 p (1 - p), in [0, 1]; eq. 10."""
    return 4 * p * (1 - p)


def imae(p: float, steepness: float) -> float:
    """Compute the L1 norm of IMAE's gradient, exp(T p) (1 - p), with steepness T from 0; eq. 13."""
    return math.exp(steepness * p) * (1 - p)


IMAE = partial(imae, steepness=2.0)
"""With the steepness that the shipped loss has by default."""


def moments(magnitude: Magnitude) -> tuple[float, float]:
    """Compute mean and variance (equation 11) for p uniform in [0, 1], by numerical integration."""
    first = quad(magnitude, 0, 1)[0]
    return first, quad(lambda p: magnitude(p) ** 2, 0, 1)[0] - first**2


def relative_deviation(magnitude: Magnitude) -> float:
    """Compute standard deviation / mean for uniform p; a factor on the loss cancels."""
    mean, variance = moments(magnitude)
    return math.sqrt(variance) / mean


def peak(magnitude: Magnitude) -> float:
    """Find the p in [0, 1] at which the norm is largest."""
    ends = minimize_scalar(lambda p: -magnitude(p), bounds=(0, 1), options={"xatol": 1e-10}).x
    return float(max((0.0, 1.0, float(ends)), key=magnitude))


def logit_gradients(loss: Callable[[Tensor, Tensor], Tensor], z: Tensor, y: Tensor) -> Tensor:
    """Compute ``(n, K)`` gradients of ``(n,)`` losses, each in its own sample's logits."""
    z = z.detach().requires_grad_()
    return torch.autograd.grad(loss(z, y).sum(), z)[0]


def logits_at(p: Tensor, *, even: bool, classes: int = CLASSES) -> Tensor:
    """Build ``(n, K)`` logits whose softmax gives class 0 the ``(n,)`` probabilities p in (0, 1).

    The other classes share 1 - p evenly, or one of them has nearly all of it (99.9 %).
    """
    shares = torch.full((classes - 1,), 1 / (classes - 1), dtype=p.dtype)
    if not even and classes > 2:
        shares[:] = 1e-3 / (classes - 2)
        shares[0] = 1 - 1e-3
    return torch.cat([p[:, None], (1 - p)[:, None] * shares], 1).log()


def measured(name: str, p: Tensor, *, even: bool = True) -> Tensor:
    """Compute ``(n,)`` L1 norms of a shipped loss's gradient in the logits, by autograd."""
    labels = torch.zeros(len(p), dtype=torch.int64)
    return logit_gradients(LOSSES[name], logits_at(p, even=even), labels).abs().sum(1)


def of_p_alone(name: str) -> bool:
    """Say whether the norm depends on p alone, not on how the other classes share the rest."""
    p = torch.linspace(0.005, 0.995, 100, dtype=torch.float64)
    even, uneven = measured(name, p), measured(name, p, even=False)
    return bool((even - uneven).abs().max() < 1e-9 * even.max())


def examine(_: Runs, path: Path) -> Finding:
    """Compare the closed forms, and their variance, with autograd of the shipped losses."""
    p = torch.linspace(0.002, 0.998, 250, dtype=torch.float64)
    forms = {"ce": ce, "mae": mae, "imae": IMAE}
    wrong = max(
        float((measured(name, p) - p.new_tensor([form(x) for x in p.tolist()])).abs().max())
        for name, form in forms.items()
    )
    depends = {name: of_p_alone(name) for name in PURE}
    _draw(path, p, [name for name in ("mse", "label-smoothing", "taylor") if not depends[name]])
    rows = {"CE": ce, "MAE": mae}
    rows |= {f"IMAE, T = {T}": partial(imae, steepness=float(T)) for T in (0, 1, 2, 3, 4, 8)}
    lines = [["loss", "mean", "variance", "deviation / mean", "largest at p ="]]
    for name, form in rows.items():
        mean, variance = moments(form)
        numbers = (mean, variance, relative_deviation(form), peak(form))
        lines.append([name, *(f"{number:.4f}" for number in numbers)])
    alone, not_alone = (", ".join(n for n in PURE if depends[n] is flag) for flag in (True, False))
    return Finding(
        _sentence(wrong),
        f"For p uniform in [0, 1]:\n\n{markdown_table(lines)}\n\n"
        f"The norm depends on p alone for {alone}; for {not_alone} it also depends on how the "
        f"other classes share the rest ({CLASSES} classes, default hyper-parameters). {LEFT_OUT} "
        "A constant factor on the loss, such as the 2 of MAE, multiplies the variance by its "
        "square and acts like the learning rate; deviation / mean does not change with it.",
    )


def _sentence(wrong: float) -> str:
    of = {"CE": ce, "MAE": mae, "IMAE (T = 2)": IMAE}
    ratios = ", ".join(f"{name} {relative_deviation(form):.3f}" for name, form in of.items())
    checks = [wrong < 1e-9, abs(peak(mae) - 0.5) < 1e-3, round(moments(mae)[1], 2) == 0.09]
    checks.append(relative_deviation(IMAE) > relative_deviation(mae))
    return (
        f"The claim {verdict(checks)} here: autograd of the shipped losses is within {wrong:.0e} "
        f"of the closed forms, MAE's norm is largest at p = {peak(mae):.2f} and its variance is "
        f"{moments(mae)[1]:.4f} (exactly 4/45; CE {moments(ce)[1]:.4f}, IMAE with T = 2 "
        f"{moments(IMAE)[1]:.4f}); relative to the mean, which takes the loss's scale out, the "
        f"standard deviations are {ratios}, so that IMAE spreads {'more' if checks[-1] else 'less'}"
        f" than MAE (it spreads less from T = {crossing(0, 2):.2f} to {crossing(2, 8):.2f})."
    )


def crossing(low: float, high: float) -> float:
    """Find the T between two others at which IMAE's relative deviation equals MAE's."""
    target = relative_deviation(mae)

    def above(steepness: float) -> float:
        return relative_deviation(partial(imae, steepness=steepness)) - target

    return float(root_scalar(above, bracket=(low, high)).root)


def _draw(path: Path, p: Tensor, others: list[str]) -> None:
    """Draw equations 9, 10 and 13 with autograd on them, and losses that have no equation there."""
    x = p.numpy()
    with figure(path, 9.6, 4.0, 2) as (_, (left, right)):
        curves = {"CE (eq. 9)": (ce, "ce", WRONG), "MAE (eq. 10)": (mae, "mae", RIGHT)}
        curves["IMAE, T = 2 (eq. 13)"] = (IMAE, "imae", NEUTRAL)
        for label, (form, name, colour) in curves.items():
            left.plot(x, [form(value) for value in x], color=colour, lw=2, label=label)
            norms = measured(name, p).numpy()
            left.plot(x[::18], norms[::18], "o", ms=5, mfc="white", mec=colour)
        left.plot([], [], "o", ms=5, mfc="white", mec="black", label="autograd")
        left.set_title("functions of p alone")
        for name, colour in zip(others, (RIGHT, NEUTRAL, WRONG), strict=False):
            even, uneven = (measured(name, p, even=flag).numpy() for flag in (True, False))
            highest = max(np.max(even), np.max(uneven))
            right.plot(x, even / highest, color=colour, lw=2, label=name)
            right.plot(x, uneven / highest, "--", color=colour, lw=2)
        right.plot([], [], "-", color="black", label="rest shared evenly")
        right.plot([], [], "--", color="black", label="rest on one class")
        right.set_title(f"not functions of p alone ({CLASSES} classes)")
        left.set_ylabel("L1 norm of the gradient in the logits")
        right.set_ylabel("the same, as a share of its maximum")
        for axis in (left, right):
            axis.set_xlabel("probability p of the given label")
            axis.set_ylim(0, None)
            axis.legend(fontsize=9)


ANALYSIS = Analysis(
    title="Size of the gradient in the logits",
    source=f"{LI}, equations 9 to 13",
    claim=(
        "The L1 norm of a sample's gradient in the logits is 2(1 - p) for cross-entropy and "
        "4p(1 - p) for MAE, so MAE emphasises uncertain samples (p near 0.5); for uniform p its "
        "variance is only 0.09, too small to fit the training data, which IMAE's exp(Tp)(1 - p) is "
        "to mend."
    ),
    examine=examine,
)
