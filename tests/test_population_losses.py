"""The gradients of many losses at once are those of each: in closed form or by autograd."""

import pytest
import torch
from torch import Tensor

from mwnet.losses import LOSSES
from mwnet.losses.taylor import CROSS_ENTROPY
from mwnet.training.population import EachLoss, TaylorLosses

LOSS_OF = [LOSSES["ce"], LOSSES["gce"], LOSSES["mae"]]
MEMBERS = len(LOSS_OF)


def taylor_problem(
    classes: int, *, shared: bool
) -> tuple[list[tuple], list[float], Tensor, Tensor]:
    rng = torch.Generator().manual_seed(classes)
    random = [tuple(torch.randn(12, generator=rng).double().tolist()) for _ in range(3)]
    few = (*[0.0] * 6, -1.0, *[0.0] * 5)  # -p y, the mean absolute error
    thetas, etas = [CROSS_ENTROPY, few, *random], [1.0, 0.3, 1.0, 5.0, 20.0]
    logits = 2 * torch.randn(len(thetas), classes, 7, generator=rng)
    size = (7,) if shared else (len(thetas), 7)
    return thetas, etas, logits, torch.randint(0, classes, size, generator=rng)


@pytest.mark.parametrize("shared", [True, False], ids=["shared", "own"])
@pytest.mark.parametrize("classes", [2, 3, 10])
def test_the_closed_form_is_the_gradient_of_the_taylor_loss(classes: int, shared: bool) -> None:
    thetas, etas, logits, labels = taylor_problem(classes, shared=shared)
    gradient, means = TaylorLosses(thetas, etas, classes).gradient(logits, labels)
    assert means is None
    assert gradient.dtype == torch.float32
    for member, (theta, eta) in enumerate(zip(thetas, etas, strict=True)):
        own = logits[member].double().mT.requires_grad_()
        given = labels if shared else labels[member]
        LOSSES["taylor"](own, given, theta=theta, eta=eta).mean().backward()
        assert own.grad is not None
        largest = float(own.grad.abs().max())
        assert largest > 0
        want = own.grad.mT.float()
        torch.testing.assert_close(gradient[member], want, rtol=0, atol=3e-6 * largest)


@pytest.mark.parametrize("theta", [(0.0,) * 12, (0.3, 0.2, *[0.0] * 10)])
def test_a_constant_polynomial_is_refused(theta: tuple) -> None:
    with pytest.raises(ValueError, match="no range"):
        TaylorLosses([CROSS_ENTROPY, theta], [1.0, 1.0], 3)


@pytest.mark.parametrize("shared", [True, False], ids=["shared", "own"])
def test_each_loss_has_the_gradient_and_the_mean_of_its_own(shared: bool) -> None:
    _, _, logits, labels = taylor_problem(3, shared=shared)
    logits = logits[:MEMBERS]
    gradient, means = EachLoss(LOSS_OF).gradient(logits, labels)
    for member, loss in enumerate(LOSS_OF):
        own = logits[member].mT.clone().requires_grad_()
        mean = loss(own, labels if shared else labels[member]).mean()
        mean.backward()
        assert own.grad is not None
        torch.testing.assert_close(gradient[member], own.grad.mT)
        assert float(means[member]) == pytest.approx(mean.item())
    assert len(set(means.tolist())) == MEMBERS


def test_every_loss_needs_a_range_of_its_own() -> None:
    for etas in ([1.0], [1.0, 1.0, 1.0]):
        with pytest.raises(ValueError, match="2 losses need as many ranges"):
            TaylorLosses([CROSS_ENTROPY, CROSS_ENTROPY], etas, 3)
