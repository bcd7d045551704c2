"""The rules of the tangent pass against torch's own forward mode, in float64."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.func import jvp
from torch.nn import functional as F

from mwnet.bilevel.tangents import Primals, tangent

Function = Callable[[dict[str, Tensor]], Tensor]


RNG = torch.Generator().manual_seed(0)


def data(*shape: int) -> Tensor:
    return torch.randn(shape, dtype=torch.float64, generator=RNG)


X1, X2, X3 = data(2, 4, 7), data(2, 4, 7, 6), data(2, 4, 5, 4, 3)
W1, W2, W3 = data(6, 2, 3), data(4, 4, 3, 3), data(3, 4, 2, 2, 2)
PARAMETERS = {"a": data(4), "b": data(4), "c": data(5), "l": data(5, 6)}
PARAMETERS |= {"w1": W1, "w": W2, "w3": W3}
CONSTANT = data(5, 6)


def normed(x: Tensor, **named: Tensor) -> Tensor:
    return F.batch_norm(x, None, None, training=True, **named)


CASES: dict[str, Function] = {
    "linear": lambda p: F.linear(X2, p["l"], p["c"]),
    "linear by keywords": lambda p: F.linear(weight=p["l"], input=X2, bias=p["c"]),
    "linear twice": lambda p: F.linear(F.linear(X2, p["l"], p["c"]), p["l"][:, :5]),
    "constant weight": lambda p: F.linear(X2 * p["a"][:, None, None], CONSTANT),
    "only the bias": lambda p: F.linear(X2, CONSTANT, p["c"]),
    "bias and input": lambda p: F.linear(X2 * p["a"][:, None, None], CONSTANT, p["c"]),
    "nothing": lambda p: F.linear(X2, CONSTANT).sum((1, 2)) * p["c"],
    "conv1d": lambda p: F.conv1d(X1, p["w1"], groups=2),
    "conv2d": lambda p: F.conv2d(X2, p["w"], p["a"], 2, 1),
    "conv2d by keywords": lambda p: F.conv2d(X2, p["w"], padding="same", bias=p["b"]),
    "conv2d of a conv2d": lambda p: F.conv2d(F.conv2d(X2, p["w"], p["a"]), p["w"], p["b"]),
    "conv3d": lambda p: F.conv3d(X3, p["w3"], stride=2),
    "batch norm": lambda p: normed(X2 * p["a"][:, None, None] + 9, weight=p["a"], bias=p["b"]),
    "batch norm of two axes": lambda p: normed(X1[:, :, 0] * p["b"], weight=p["a"], bias=p["b"]),
    "batch norm of a constant": lambda p: normed(X2, weight=p["a"], bias=p["b"]),
    "batch norm, weight only": lambda p: normed(X1, weight=p["a"]),
    "batch norm, bias only": lambda p: normed(X1, bias=p["b"]),
    "batch norm without parameters": lambda p: normed(X2 * p["a"][:, None, None]),
    "batch norm by running statistics": lambda p: F.batch_norm(
        X2 * p["a"][:, None, None], torch.zeros_like(X1[0, :, 0]), torch.ones_like(X1[0, :, 0])
    ),
}


@pytest.mark.parametrize("name", sorted(CASES))
@pytest.mark.parametrize("reuse", [False, True])
def test_rule_equals_torchs_forward_mode(name: str, reuse: bool) -> None:
    function = CASES[name]
    direction = {key: data(*value.shape) for key, value in PARAMETERS.items()}
    with Primals() as primals:
        function(PARAMETERS)
    want = jvp(function, (PARAMETERS,), (direction,))[1]
    got = tangent(function, PARAMETERS, direction, primals.outputs if reuse else ())
    torch.testing.assert_close(got, want, rtol=1e-10, atol=1e-10)


def test_a_network_that_ignores_its_parameters_has_no_slope() -> None:
    assert torch.equal(tangent(lambda p: X1, PARAMETERS, PARAMETERS), torch.zeros_like(X1))


def squares(p: dict[str, Tensor]) -> Tensor:
    return F.linear(X2, p["l"], p["c"]) ** 2


def test_noted_outputs_are_taken() -> None:
    """Shown by an output that was noted wrong."""
    with Primals() as primals:
        squares(PARAMETERS)
    right = tangent(squares, PARAMETERS, PARAMETERS)
    doubled = [entry._replace(value=2 * entry.value, version=0) for entry in primals.outputs]
    torch.testing.assert_close(tangent(squares, PARAMETERS, PARAMETERS, doubled), 2 * right)


def test_noted_outputs_that_changed_or_do_not_fit_are_not_taken() -> None:
    right = tangent(squares, PARAMETERS, PARAMETERS)
    with Primals() as primals:
        squares(PARAMETERS)
    primals.outputs[0].value.mul_(2)
    assert torch.equal(tangent(squares, PARAMETERS, PARAMETERS, primals.outputs), right)
    with Primals() as primals:
        F.linear(X2[:1], PARAMETERS["l"], PARAMETERS["c"])
    assert torch.equal(tangent(squares, PARAMETERS, PARAMETERS, primals.outputs), right)


def test_batch_norm_moves_no_running_statistics() -> None:
    layer = nn.BatchNorm1d(4).double()
    before = layer.running_mean.clone()
    tangent(
        lambda p: F.batch_norm(X1, layer.running_mean, layer.running_var, p["a"], p["b"], True),
        PARAMETERS,
        PARAMETERS,
    )
    assert torch.equal(layer.running_mean, before)
