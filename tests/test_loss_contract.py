"""What every loss has in common: shapes, finite values and gradients, refused hyper-parameters."""

from functools import partial

import pytest
import torch
from problems import random_logits

from mwnet.losses import LOSSES, OF_BATCH

# Losses with a detached factor: the gradient is that of the loss with the factor held.
SURROGATES = {"imae", "elr"}
NOISY = torch.tensor([[0.7, 0.2, 0.1], [0.0, 0.8, 0.2], [0.3, 0.1, 0.6]], dtype=torch.float64)
VARIANTS: list[tuple[str, dict]] = [
    *((name, {}) for name in sorted(LOSSES)),
    ("focal", {"gamma": 0.5}),
    ("forward", {"matrix": NOISY}),
    ("backward", {"matrix": NOISY}),
    ("gjs", {"second_view": random_logits(6, 3), "pi": 0.3}),
    ("cores", {"prior": torch.tensor([0.5, 0.3, 0.2])}),
    ("gce", {"q": 0.1}),
    ("nce+agce", {"alpha": 10.0, "beta": 0.1, "a": 1.8, "q": 3.0}),
]


@pytest.mark.parametrize(("name", "options"), VARIANTS)
def test_contract(name: str, options: dict) -> None:
    logits = random_logits(6, 3, scale=1.0).requires_grad_()
    labels = torch.tensor([0, 1, 2, 0, 1, 2])
    values = LOSSES[name](logits, labels, **options)
    assert values.shape == (() if name in OF_BATCH else (6,))
    if name not in SURROGATES:
        assert torch.autograd.gradcheck(lambda z: LOSSES[name](z, labels, **options), logits)
        return
    at = logits.detach().clone()
    p = at.softmax(-1)
    p_y = p.gather(1, labels[:, None]).squeeze(1)
    if name == "elr":
        surrogate = partial(LOSSES["elr"], targets=p.clamp(1e-4, 1 - 1e-4))
    else:
        surrogate = lambda z, y: 0.5 * torch.exp(2 * p_y) * LOSSES["ce"](z, y)  # noqa: E731
    assert torch.autograd.gradcheck(lambda z: surrogate(z, labels), logits)
    (want,) = torch.autograd.grad(surrogate(logits, labels).sum(), logits)
    (got,) = torch.autograd.grad(values.sum(), logits)
    torch.testing.assert_close(got, want)


@pytest.mark.parametrize(("name", "options"), [*VARIANTS, ("imae", {"variant": "paper"})])
@pytest.mark.parametrize("scale", [-1e4, 1e4])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_finite_at_the_extremes(name: str, options: dict, scale: float, dtype: torch.dtype) -> None:
    """p_y = 0, p_y = 1 and in between, in float32 and under bfloat16 autocast."""
    logits = (torch.eye(3) * scale)[[0, 1, 2, 0, 1, 2]].to(dtype).requires_grad_()
    with torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
        values = LOSSES[name](logits, torch.tensor([0, 1, 0, 2, 1, 0]), **options)
    assert values.dtype in (torch.float32, torch.float64)
    values.sum().backward()
    assert logits.grad is not None
    assert values.isfinite().all()
    assert logits.grad.isfinite().all()


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("gce", {"q": 1.5}),
        ("focal", {"gamma": -1.0}),
        ("label-smoothing", {"epsilon": 3.0}),
        ("bootstrap-soft", {"beta": -2.0}),
        ("bootstrap-hard", {"beta": 2.0}),
        ("sce", {"alpha": -1.0}),
        ("imae", {"T": -5.0}),
        ("dmi", {"ridge": -1.0}),
        ("taylor", {"theta": [float("nan")] * 12}),
        ("truncated-gce", {"q": 0.0}),
        ("truncated-gce", {"k": 1.0}),
        ("rce", {"A": 1.0}),
        ("sce", {"A": 0.0}),
        ("agce", {"a": 0.0}),
        ("aul", {"a": 1.0}),
        ("ael", {"a": 0.0}),
        ("gjs", {"pi": 1.0}),
        ("imae", {"variant": "other"}),
    ],
)
def test_hyper_parameters_out_of_range_are_refused(name: str, options: dict) -> None:
    with pytest.raises(ValueError, match=name):
        LOSSES[name](random_logits(2, 3), torch.tensor([0, 1]), **options)
