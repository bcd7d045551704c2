"""Shapes of the losses, what eq. 5 is, and the terms that the paper leaves out of eq. 4."""

import math
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from analyses import report
from problems import random_logits
from torch import Tensor

from mwnet.losses import LOSSES, taylor_range
from mwnet.losses.taylor import taylor
from mwnet.reproduce.claims.command import main
from mwnet.reproduce.claims.loss_shapes import (
    along,
    at_the_label,
    lowest_at,
    scaled,
    shipped,
    steepness,
)
from mwnet.reproduce.claims.normalisation import raw_range

CLASSES = 5


def appendix_a_2(theta: list[float], logits: Tensor, labels: Tensor) -> Tensor:
    """The 10 + 4 = 14 terms of 16 parameters as printed, averaged over the classes; ``(n,)``."""
    t = theta
    z = logits.softmax(-1) - t[0]
    d = torch.nn.functional.one_hot(labels, logits.shape[-1]).double() - t[1]
    terms = (
        t[2] * z + t[3] * z**2 / 2 + t[4] * z**3 / 6 + t[5] * z**4 / 24
        + t[6] * z * d + t[7] * z * d**2 / 2 + t[8] * z**2 * d / 2
        + t[9] * z**3 * d / 6 + t[10] * z * d**3 / 6 + t[11] * z**2 * d**2 / 4
        + t[12] * d + t[13] * d**2 / 2 + t[14] * d**3 / 6 + t[15] * d**4 / 24
    )  # fmt: skip
    return terms.mean(-1)


def drawn(seed: int, count: int) -> tuple[list[float], Tensor, Tensor]:
    theta = np.random.default_rng(seed).normal(size=count).tolist()
    return theta, random_logits(12, CLASSES).requires_grad_(), torch.arange(12) % CLASSES


def slopes(loss: Tensor, logits: Tensor) -> Tensor:
    return torch.autograd.grad(loss.sum(), logits, retain_graph=True)[0]


def close(a: Tensor, b: Tensor) -> None:
    torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("seed", range(4))
def test_the_four_terms_in_y_alone_change_the_value_and_no_gradient(seed: int) -> None:
    theta, logits, labels = drawn(seed, 16)
    lowest, highest = taylor_range(tuple(theta[:12]), CLASSES)
    # An eta of its own range undoes eq. 5, but for f_min.
    ten = taylor(logits, labels, theta=theta[:12], eta=highest - lowest) + lowest
    fourteen = appendix_a_2(theta, logits, labels)
    close(slopes(fourteen, logits), slopes(ten, logits))

    def in_y(y: int) -> float:
        d = y - theta[1]
        return sum(c * d**k / math.factorial(k) for k, c in enumerate(theta[12:], start=1))

    constant = (in_y(1) + (CLASSES - 1) * in_y(0)) / CLASSES
    assert abs(constant) > 1e-2
    close(fourteen - ten, torch.full_like(ten, constant))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("eta", [0.3, 2.0])
def test_eq_5_is_a_factor_on_every_gradient(seed: int, eta: float) -> None:
    theta, logits, labels = drawn(seed, 12)
    bare = slopes(appendix_a_2([*theta, 0, 0, 0, 0], logits, labels), logits)
    width = raw_range(theta, CLASSES)
    assert abs(width - 1) > 1e-2
    with_it = slopes(taylor(logits, labels, theta=theta, eta=eta), logits)
    close(with_it, eta / width * bare)
    without = slopes(taylor(logits, labels, theta=theta, eta=width), logits)
    close(without, bare)


def trained(factor: float, lr: float, weight_decay: float) -> Tensor:
    """Weights of a linear classifier after six steps on a Taylor loss of this range."""
    theta, x, labels = drawn(0, 12)
    weights = torch.linspace(-1, 1, CLASSES**2, dtype=torch.float64).reshape(CLASSES, CLASSES)
    weights.requires_grad_()
    optimizer = torch.optim.SGD([weights], lr, momentum=0.9, weight_decay=weight_decay)
    for _ in range(6):
        optimizer.zero_grad()
        taylor(x.detach() @ weights, labels, theta=theta, eta=factor).mean().backward()
        optimizer.step()
    return weights.detach()


def test_the_range_is_a_learning_rate_and_the_inverse_of_a_weight_decay() -> None:
    plain = trained(1.0, 0.5, 0.01)
    close(trained(4.0, 0.5 / 4, 0.04), plain)
    assert (trained(4.0, 0.5 / 4, 0.01) - plain).abs().max() > 1e-3


def test_the_others_share_the_rest_evenly() -> None:
    p = torch.tensor([0.1, 0.4, 0.7], dtype=torch.float64)
    seen = along(lambda logits, labels: logits.softmax(-1)[:, labels[0]], p, 4)
    close(seen, p)
    others = along(lambda logits, _: logits.softmax(-1)[:, 1:].prod(-1), p, 4)
    close(others, ((1 - p) / 3) ** 3)


@pytest.mark.parametrize("classes", [2, 10])
def test_steepness_of_the_hand_made_losses_in_closed_form(classes: int) -> None:
    full = -math.log(0.01)
    want = {
        "ce": 100 / full,
        "mae": 1 / 0.99,
        "gce": 0.01**-0.3 / ((1 - 0.01**0.7) / 0.7),
        "sce": (0.1 * 100 - math.log(1e-4)) / (0.1 * full - math.log(1e-4) * 0.99),
    }
    for name, value in want.items():
        assert steepness(LOSSES[name], classes) == pytest.approx(value, rel=1e-6)
    p = torch.tensor([0.01, 0.2, 0.9], dtype=torch.float64)
    values, slope = scaled(LOSSES["mae"], p, classes)
    close(slope, slope[0].expand(3))  # a straight line
    torch.testing.assert_close(values, (1 - p) / 0.99, rtol=0, atol=1e-8)


@pytest.mark.parametrize("classes", [2, 3, 10])
def test_where_losses_are_lowest(classes: int) -> None:
    for name in ("ce", "mae", "gce", "sce"):
        assert lowest_at(LOSSES[name], classes) == pytest.approx(1, abs=1e-6)
    for epsilon in (0.1, 0.4):
        smooth = partial(LOSSES["label-smoothing"], epsilon=epsilon)
        want = 1 - epsilon + epsilon / classes
        assert lowest_at(smooth, classes) == pytest.approx(want, abs=1e-5)
    # (p - 0.8)^2 for the given label alone: a Taylor loss can have a softer target.
    soft = partial(taylor, theta=(0.8, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0), eta=1.0)
    assert lowest_at(soft, classes) == pytest.approx(0.8, abs=1e-5)
    assert at_the_label(soft, classes) == pytest.approx(0.2**2 / 0.8**2, abs=1e-9)
    assert at_the_label(partial(LOSSES["ce"]), classes) == 0


def test_loss_shapes_reports_all_shipped_losses_from_any_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert {"ar_sym80", "mnist_sym80", "mnist_asym40"} <= set(shipped())
    text = report(Path("out"), "loss-shapes")
    assert text == capsys.readouterr().out
    assert "| CE | 21.71 | 21.71 | 1.000 | 1.000 |" in text
    assert "| label smoothing | 22.73 | 23.38 | 0.950 | 0.910 |" in text
    for name in shipped():
        assert f"\n| {name} | " in text
    assert "Does not hold for the losses found here" in text
    assert "3 of 3 are less steep at large errors than CE" in text
    assert main(["loss-shapes", "--out", "out", "--epochs", "2"]) == 2
    assert "trains nothing" in capsys.readouterr().err
