"""What BilevelStep refuses: one sentence in the caller's words, and nothing is changed."""

import copy
import logging
from collections.abc import Callable
from typing import Any

import pytest
import torch
from problems import CLASSES, batch, network
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import LBFGS, SGD, Adam, RMSprop

from mwnet import BilevelStep
from mwnet.bilevel.weighting import WeightNet
from mwnet.core.errors import UserError
from mwnet.losses import LOSSES, MEMORY_ONLY, OF_BATCH, STATEFUL


def build(**changes: Any) -> BilevelStep:
    torch.manual_seed(0)
    net = changes.pop("network", None) or network().double()
    optimizer = changes.pop("optimizer", None) or SGD(net.parameters(), lr=0.1)
    return BilevelStep(net, optimizer, **changes)


def of(kind: Any, **options: Any) -> Callable[[], dict[str, Any]]:
    """A network and its optimizer."""

    def both() -> dict[str, Any]:
        net = network().double()
        return {"network": net, "optimizer": kind(net.parameters(), lr=0.1, **options)}

    return both


def half_held() -> dict[str, Any]:
    net: Any = network()
    return {"network": net, "optimizer": SGD(net[0].parameters(), lr=0.1)}


def foreign() -> dict[str, Any]:
    net = network()
    return {"network": net, "optimizer": SGD([*net.parameters(), torch.zeros(1)], lr=0.1)}


def frozen() -> dict[str, Any]:
    net = network()
    optimizer = SGD(net.parameters(), lr=0.1)
    return {"network": net.requires_grad_(False), "optimizer": optimizer}


def another_net() -> dict[str, Any]:
    return {
        "weight_net": WeightNet(),
        "weight_optimizer": SGD(WeightNet().parameters(), lr=0.1),
    }


BUILT: list[tuple[Any, str]] = [
    ({"loss": "cee"}, r"`loss` got unknown 'cee' \(did you mean ce\?"),
    ({"meta_loss": "maee"}, r"`meta_loss` got unknown 'maee' \(did you mean mae\?"),
    ({"meta_loss": 3}, "`meta_loss` must be a name or a function .*, got int"),
    ({"normalisation": "summ"}, r"`normalisation` got unknown 'summ' \(did you mean sum\?"),
    ({"virtual_step": "adam"}, "`virtual_step` got unknown 'adam'"),
    ({"engine": "forwards"}, r"`engine` got unknown 'forwards' \(did you mean forward\?"),
    ({"engine": None}, "`engine` got unknown None"),
    ({"inner_steps": 0}, "`inner_steps` must be a whole number from 1, got 0"),
    ({"meta_interval": 1.5}, "`meta_interval` must be a whole number from 1, got 1.5"),
    ({"inner_steps": 2, "engine": "forward"}, "`engine='forward'` looks ahead by one step"),
    *(({"loss": name}, f"`loss` '{name}' has a memory") for name in STATEFUL),
    *(({"meta_loss": name}, f"`meta_loss` '{name}' has a memory") for name in sorted(MEMORY_ONLY)),
    *(({key: name}, f"`{key}` '{name}' is a loss of whole") for name in sorted(OF_BATCH)
      for key in ("loss", "meta_loss")),
    ({"network": 3, "optimizer": 4}, "`network` must be a torch module, got int"),
    ({"optimizer": "sgd"}, "`optimizer` must be a torch optimizer .*, got str"),
    (of(LBFGS), "whose step needs no closure, got LBFGS"),
    ({"optimizer": SGD(network().parameters(), lr=0.1)}, "`optimizer` must hold .* 4 of 4 are"),
    (half_held, "but 2 of 4 are missing, such as '2.weight'"),
    (foreign, "`optimizer` holds 1 tensors that are no parameters of `network`"),
    (frozen, "`network` has no parameter that requires a gradient"),
    (lambda: {**of(RMSprop)(), "virtual_step": "optimizer"},
     "no look-ahead formula for RMSprop.*take SGD, Adam or AdamW"),
    (lambda: {**of(Adam, amsgrad=True)(), "virtual_step": "optimizer"}, "Adam with amsgrad"),
    (lambda: {**of(SGD, maximize=True)(), "virtual_step": "optimizer"}, "SGD with maximize"),
    ({"weight_net": nn.ReLU()}, "`weight_net` must have parameters"),
    ({"weight_net": WeightNet().requires_grad_(False)}, "all must require a gradient"),
    ({"weight_net": torch.sigmoid}, "`weight_net` must be a torch module"),
    (another_net, "`weight_optimizer` must hold the parameters of `weight_net`"),
    ({"weight_net": WeightNet(), "weight_optimizer": "adam"}, "`weight_optimizer` must be a torch"),
    ({"weight_optimizer": SGD(WeightNet().parameters(), lr=1.0)},
     "`weight_optimizer` needs the `weight_net`"),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "message"), BUILT)
def test_arguments_that_do_not_fit_are_refused(changes: Any, message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        build(**(changes() if callable(changes) else changes))
    assert isinstance(caught.value, ValueError)
    assert "\n" not in str(caught.value)


def test_every_other_loss_is_taken() -> None:
    data, meta = batch(seed=1), batch(seed=2)
    for name in sorted(LOSSES.keys() - STATEFUL.keys() - OF_BATCH):
        report = build(loss=name, meta_loss=name)(data.x, data.y, meta.x, meta.y)
        assert report.losses.isfinite().all(), name


def test_an_optimizer_without_formula_does_for_the_plain_look_ahead() -> None:
    data, meta = batch(seed=1), batch(seed=2)
    assert build(**of(RMSprop)())(data.x, data.y, meta.x, meta.y).engine == "ghost"


def reduced(logits: Tensor, labels: Tensor) -> Tensor:
    return F.cross_entropy(logits, labels)


LOSSES_REFUSED: list[tuple[Any, str]] = [
    (reduced, r"one loss for each sample, shape \(\d+,\), got a torch.float64 tensor of shape "
     r"\(\): build it with reduction='none'"),
    (nn.CrossEntropyLoss(), r"shape \(\): build it with reduction='none'"),
    (lambda logits, labels: logits, r"one loss for each sample, .* of shape \(\d+, 3\)$"),
    (lambda logits, labels: 1.0, "one loss for each sample, .*, got float"),
    (lambda logits, labels: logits.detach()[:, 0], "returns losses without a gradient"),
]  # fmt: skip


@pytest.mark.parametrize("argument", ["loss", "meta_loss"])
@pytest.mark.parametrize("engine", ["auto", "forward", "higher"])
@pytest.mark.parametrize(("loss", "message"), LOSSES_REFUSED)
def test_losses_that_are_not_per_sample_are_refused(
    loss: Any, message: str, engine: str, argument: str, caplog: pytest.LogCaptureFixture
) -> None:
    step = build(engine=engine, **{argument: loss})
    data, meta = batch(20, seed=1), batch(seed=2)
    with caplog.at_level(logging.INFO), pytest.raises(UserError, match=f"`{argument}` .*{message}"):
        step(data.x, data.y, meta.x, meta.y)
    assert not caplog.records  # no misleading word about engines
    assert step.engine.name == (None if engine == "auto" else engine)


def test_an_unreduced_loss_of_torch_is_the_built_in() -> None:
    data, meta = batch(seed=1), batch(seed=2)
    ours = build(loss=nn.CrossEntropyLoss(reduction="none"))(data.x, data.y, meta.x, meta.y)
    torch.testing.assert_close(ours.losses, build()(data.x, data.y, meta.x, meta.y).losses)


X, Y = batch(seed=1).x, batch(seed=1).y
SAMPLES: list[tuple[Any, Any, str]] = [
    ((X, Y), (X, Y), r"must be a tensor of labels, got tuple: the call is step\(x, y, x_meta"),
    (X, Y.tolist(), "must be a tensor of labels, got list"),
    (X, Y.double(), r"int64 class numbers, got torch.float64: call .long\(\)"),
    (X, Y.int(), "int64 class numbers, got torch.int32"),
    (X, Y[:, None], r"one label for each sample, shape \(n,\), got .* \(8, 1\)"),
    (X, F.one_hot(Y), r"one label for each sample, shape \(n,\), got .* \(8, 3\)"),
    (X[:0], Y[:0], "has no samples: leave empty batches out"),
    (X[:5], Y, r"as many samples, got a torch.float64 tensor of shape \(5, 4\) for 8 labels"),
    ({"input": X[:5]}, Y, "as many samples"),
    ((X, X[:5]), Y, "as many samples"),
    (torch.zeros(()), Y, "as many samples"),
    ("words", Y, "must be a tensor, a tuple, a list or a mapping of tensors, got str"),
    ({}, Y, "must be a tensor, a tuple, a list or a mapping of tensors, got dict"),
    (X, Y + 1, "must have labels from 0 to 2, as `network` has 3 outputs, got 3"),
    (X, Y - 100, r"must have labels from 0 to 2, as `network` has 3 outputs, got -100"),
]


@pytest.mark.parametrize("meta", [False, True])
@pytest.mark.parametrize(("x", "y", "message"), SAMPLES)
def test_samples_that_do_not_fit_are_refused(x: Any, y: Any, message: str, meta: bool) -> None:
    step = build()
    if "labels from" in message:
        y = Y.clone()
        y[3] = 3 if "got 3" in message else -100
    before = copy.deepcopy((step.problem.classifier.state_dict(), step.state_dict()))
    name = "_meta`" if meta else "`"
    with pytest.raises(UserError, match=f"{name}.*{message}"):
        step(X, Y, x, y) if meta else step(x, y, X, Y)
    after = (step.problem.classifier.state_dict(), step.state_dict())
    torch.testing.assert_close(after, before, rtol=0, atol=0)


class Returns(nn.Module):
    """A network whose output goes through a function."""

    def __init__(self, change: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.inner, self.change = network(), change

    def forward(self, x: Tensor) -> Any:
        return self.change(self.inner(x))


OUTPUTS: list[tuple[Any, str]] = [
    (lambda logits: (logits, None), "got tuple: give a module whose forward returns the tensor"),
    (lambda logits: {"logits": logits}, "got dict"),
    (lambda logits: logits[:, 0], r"got a torch.float64 tensor of shape \(\d+,\)"),
    (lambda logits: logits[:, None], r"of shape \(\d+, 1, 3\)"),
    (lambda logits: logits[1:], r"of shape \(\d+, 3\)"),
    (lambda logits: logits.argmax(1, keepdim=True), "got a torch.int64 tensor"),
]


@pytest.mark.parametrize("engine", ["auto", "forward", "higher"])
@pytest.mark.parametrize(("change", "message"), OUTPUTS)
def test_outputs_that_are_no_logits_are_refused(
    change: Any, message: str, engine: str, caplog: pytest.LogCaptureFixture
) -> None:
    step = build(network=Returns(change).double(), engine=engine)
    with caplog.at_level(logging.INFO), pytest.raises(UserError, match=rf"\d+, K\), .*{message}"):
        step(X, Y, X, Y)
    assert not caplog.records


class TwoDimensional(WeightNet):
    def forward(self, losses: Tensor, labels: Tensor | None = None) -> Tensor:
        return super().forward(losses)[:, None]


def test_weights_of_another_shape_are_refused() -> None:
    with pytest.raises(UserError, match=r"`weight_net` must return one weight .* \(8, 1\)"):
        build(weight_net=TwoDimensional().double())(X, Y, X, Y)


def test_half_a_meta_batch_is_refused() -> None:
    with pytest.raises(UserError, match="`x_meta` and `y_meta` go together"):
        build()(X, Y, X)
    with pytest.raises(UserError, match="`x_meta` and `y_meta` go together"):
        build()(X, Y, None, Y)


def test_contexts_that_change_the_step_are_refused() -> None:
    with torch.no_grad(), pytest.raises(UserError, match=r"outside torch\.no_grad"):
        build()(X, Y, X, Y)
    with torch.autocast("cpu"), pytest.raises(UserError, match=r"outside torch\.autocast"):
        build()(X, Y, X, Y)


def test_parameters_that_appear_later_are_refused() -> None:
    net: Any = network().double()
    step = build(network=net)
    net[2] = nn.Linear(5, CLASSES).double()
    with pytest.raises(UserError, match="2 of 4 are missing"):
        step(X, Y, X, Y)


@pytest.mark.parametrize("engine", ["auto", "forward", "higher"])
def test_what_the_network_raises_comes_as_it_is(
    engine: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Samples of a wrong width are no reason to speak of engines."""
    step = build(engine=engine)
    with caplog.at_level(logging.INFO):
        for arguments in ((X[:, :3], Y, X, Y), (X, Y, X[:, :3], Y)):
            with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
                step(*arguments)
    assert not caplog.records
