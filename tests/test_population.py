"""Many networks trained at once take the steps that each would take alone."""

import copy
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.optim import SGD, Adam, Optimizer
from torch.optim.lr_scheduler import LambdaLR

from mwnet import models
from mwnet.data import Batches, Pixels
from mwnet.losses import LOSSES
from mwnet.methods.stacks import GROUP, Kind
from mwnet.training.population import (
    EachLoss,
    Group,
    Stack,
    Together,
    accuracy,
    kind_for,
    stacked,
)

CPU = torch.device("cpu")
CLASSES = 4
MEMBERS = 3
STEPS = 20
LOSS_OF = [LOSSES["ce"], LOSSES["gce"], LOSSES["mae"]]
NETWORKS: dict[str, tuple[str, int, dict[str, int]]] = {
    "mlp2": ("mlp2", 4, {"width": 6}),
    "mlp3": ("mlp3", 4, {"width": 6}),
    "mlp1": ("mlp2", 4, {"depth": 1}),
    "tabm": ("tabm", 4, {"width": 6, "members": 4, "dropout": 0}),
    "convolutions": ("cnn4", 16, {"width": 6}),
    "batch norm": ("resnet32", 8, {"depth": 8, "width": 2}),
}
WAYS: list[tuple[str, Kind]] = [
    ("mlp1", "perceptron"),
    ("mlp2", "perceptron"),
    ("mlp3", "perceptron"),
    ("mlp2", "mapped"),
    ("tabm", "tabm"),
    ("tabm", "mapped"),
    ("tabm", "looped"),
    ("convolutions", "mapped"),
    ("convolutions", "looped"),
    ("batch norm", "mapped"),
    ("batch norm", "looped"),
]


def networks(name: str) -> list[nn.Module]:
    """Members with initial weights of their own."""
    builder, side, options = NETWORKS[name]
    torch.manual_seed(1)
    built = [
        models.find(builder)(num_classes=CLASSES, in_channels=1, image_size=side, **options)
        for _ in range(MEMBERS)
    ]
    assert not torch.equal(*(next(network.parameters()) for network in built[:2]))
    return built


def batches(name: str, *, shared: bool) -> list[Batches]:
    """Training samples of each member: with order and labels of its own unless they are shared."""
    side = NETWORKS[name][1]
    rng = torch.Generator().manual_seed(0)
    x = torch.randn(40, 1, side, side, generator=rng)
    pixels = Pixels.of(x, torch.arange(40), CPU)
    labels = torch.randint(0, CLASSES, (MEMBERS, 40), generator=rng)
    members = [0] * MEMBERS if shared else range(MEMBERS)
    return [Batches(pixels, labels[m], torch.arange(m, 40), 8, m, "train") for m in members]


def sgd(module: nn.Module) -> Optimizer:
    return SGD(module.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-2)


def adam(module: nn.Module) -> Optimizer:
    return Adam(module.parameters(), lr=1e-3, weight_decay=1e-2)


def falling(of: Optimizer) -> LambdaLR:
    return LambdaLR(of, lambda step: 0.95**step)


def alone(
    network: nn.Module, loss: Callable, own: Batches, optimizer: Callable[[nn.Module], Optimizer]
) -> tuple[dict[str, Tensor], list[float]]:
    """State and losses of one network after plain training."""
    network = copy.deepcopy(network)
    by = optimizer(network)
    schedule = falling(by)
    losses = []
    for step in range(STEPS):
        batch = own[step]
        by.zero_grad()
        value = loss(network(batch.x), batch.y).mean()
        value.backward()
        by.step()
        schedule.step()
        losses.append(value.item())
    return network.state_dict(), losses


def at_once(
    built: Sequence[nn.Module],
    kind: Kind,
    own: Sequence[Batches],
    optimizer: Callable[[nn.Module], Optimizer],
    *,
    shared: bool,
    precision: torch.dtype | None = None,
) -> tuple[list[dict[str, Tensor]], list[list[float]]]:
    """The same for all of them, in groups of the size of the kind."""
    states, losses = [], []
    for first in range(0, MEMBERS, GROUP[kind]):
        members = slice(first, first + GROUP[kind])
        group = Group(
            copy.deepcopy(list(built[members])),
            kind,
            EachLoss(LOSS_OF[members]),
            optimizer,
            falling,
            precision,
        )
        source = own[first] if shared else Together(own[members])
        means = [group.step(source[step])["train_loss"] for step in range(STEPS)]
        states += [group.stack.state(member) for member in range(group.stack.size)]
        losses += torch.stack(means, 1).tolist()
    return states, losses


@pytest.mark.parametrize("shared", [True, False], ids=["shared", "own"])
@pytest.mark.parametrize("optimizer", [sgd, adam])
@pytest.mark.parametrize(("name", "kind"), WAYS)
def test_all_at_once_is_each_alone(
    name: str, kind: Kind, optimizer: Callable[[nn.Module], Optimizer], shared: bool
) -> None:
    built, own = networks(name), batches(name, shared=shared)
    states, losses = at_once(built, kind, own, optimizer, shared=shared)
    for member in range(MEMBERS):
        want = alone(built[member], LOSS_OF[member], own[member], optimizer)
        assert states[member].keys() == want[0].keys()
        torch.testing.assert_close(states[member], want[0], rtol=0, atol=1e-5)
        assert losses[member] == pytest.approx(want[1], abs=1e-5)
        before = built[member].state_dict()
        for entry, value in states[member].items():  # it was trained at all, statistics included
            assert not torch.allclose(value.double(), before[entry].double(), atol=1e-4), entry


@pytest.mark.parametrize("name", ["mlp2", "batch norm"])
def test_members_of_one_start_are_one_network(name: str) -> None:
    """Several losses on the same weights and batches, as in a search."""
    start, own = networks(name)[0], batches(name, shared=True)
    kind: Kind = "perceptron" if name == "mlp2" else "mapped"
    states, _ = at_once([start] * MEMBERS, kind, own, sgd, shared=True)
    for member in range(MEMBERS):
        want, _ = alone(start, LOSS_OF[member], own[0], sgd)
        torch.testing.assert_close(states[member], want, rtol=0, atol=1e-5)


@pytest.mark.parametrize(("name", "kind"), WAYS)
def test_a_state_is_a_snapshot_that_a_network_loads(name: str, kind: Kind) -> None:
    built = networks(name)[: GROUP[kind]]
    stack = stacked(copy.deepcopy(built), kind)
    x = batches(name, shared=True)[0][0].x
    states = [stack.state(member) for member in range(stack.size)]
    before = copy.deepcopy(states)
    with torch.no_grad():
        for parameter in stack.parameters():
            parameter.mul_(0.5)
        stack.train()(x)  # moves the statistics of batch norm
    torch.testing.assert_close(states, before, rtol=0, atol=0)
    moved = stack.eval()(x)
    for member, network in enumerate(built):
        network.load_state_dict(stack.state(member))
        torch.testing.assert_close(moved[member], network.eval()(x).mT)


def test_own_batches_have_a_leading_axis_of_members() -> None:
    own = batches("mlp2", shared=False)
    together = Together(own)
    for step in (0, 7):
        batch = together[step]
        for member in range(MEMBERS):
            alone = own[member][step]
            assert torch.equal(batch.index[member], alone.index)
            assert torch.equal(batch.x[member], alone.x)
            assert torch.equal(batch.y[member], alone.y)


def test_bfloat16_stays_near_float32() -> None:
    built, own = networks("mlp2"), batches("mlp2", shared=True)
    exact, _ = at_once(built, "perceptron", own, sgd, shared=True)
    rounded, _ = at_once(built, "perceptron", own, sgd, shared=True, precision=torch.bfloat16)
    for member in range(MEMBERS):
        torch.testing.assert_close(rounded[member], exact[member], rtol=0, atol=0.05)
        assert not torch.equal(rounded[member]["1.weight"], exact[member]["1.weight"])
        assert rounded[member]["1.weight"].dtype == torch.float32


def test_kind_for_knows_perceptrons_and_devices() -> None:
    cuda = torch.device("cuda")
    for name in ("mlp1", "mlp2", "mlp3"):
        assert kind_for(networks(name)[0], CPU) == kind_for(networks(name)[0], cuda) == "perceptron"
    assert kind_for(networks("tabm")[0], CPU) == kind_for(networks("tabm")[0], cuda) == "tabm"
    for name in ("convolutions", "batch norm"):
        assert kind_for(networks(name)[0], CPU) == "looped"
        assert kind_for(networks(name)[0], cuda) == "mapped"


@pytest.mark.parametrize(
    "layers",
    [
        [nn.Flatten(), nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 3)],
        [nn.Flatten(), nn.Linear(4, 3), nn.Linear(3, 3)],
        [nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 3)],
        [nn.Flatten(), nn.Linear(4, 3), nn.ReLU()],
        [nn.Flatten(), nn.Linear(4, 3, bias=False), nn.ReLU(), nn.Linear(3, 3, bias=False)],
        [],
    ],
    ids=["tanh", "no relu", "no flatten", "relu at the end", "no bias", "empty"],
)
def test_what_the_batched_product_cannot_compute_is_no_perceptron(layers: list[nn.Module]) -> None:
    assert kind_for(nn.Sequential(*layers), CPU) == "looped"


def measured(weights: Sequence[Tensor], x: Tensor, ids: Tensor, labels: Tensor) -> Tensor:
    """Accuracy of linear classifiers without bias."""
    built = []
    for weight in weights:
        network = models.find("mlp2")(num_classes=3, in_channels=3, image_size=1, depth=1)
        network.load_state_dict({"1.weight": weight, "1.bias": torch.zeros(3)})
        built.append(network)
    group = Group(built, "perceptron", EachLoss([]), sgd, falling)
    pixels = Pixels(x[:, :, None, None], torch.zeros(3, 1, 1), torch.ones(3, 1, 1))
    result = accuracy(group, pixels, ids, labels)
    assert group.stack.training
    return result


def test_accuracy_is_the_share_that_is_right_and_nan_where_weights_are_not_finite() -> None:
    classes = torch.arange(300) % 3
    ids = torch.randperm(300, generator=torch.Generator().manual_seed(0))[:250]  # several chunks
    right = classes[ids]
    labels = right.clone()
    labels[200:] = (labels[200:] + 1) % 3
    eye = torch.eye(3)
    weights = [eye, eye.roll(1, 0), eye * torch.nan, eye.roll(2, 0), eye * torch.inf]
    x = nn.functional.one_hot(classes).float()
    result = measured(weights, x, ids, labels)
    assert result.dtype == torch.float64
    assert result[:2].tolist() == [200 / 250, 50 / 250]
    assert result[2].isnan()
    assert result[3] == 0
    assert result[4].isnan()


def test_accuracy_moves_no_statistics() -> None:
    """Batch norm normalises by them, and they stay, although training goes on afterwards."""
    built, own = networks("batch norm"), batches("batch norm", shared=True)
    group = Group(built, "mapped", EachLoss(LOSS_OF), sgd, falling)
    for step in range(3):
        group.step(own[0][step])
    before = [group.stack.state(member) for member in range(MEMBERS)]
    before = copy.deepcopy(before)
    got = accuracy(group, own[0].pixels, own[0].ids, own[0].labels)
    after = [group.stack.state(member) for member in range(MEMBERS)]
    torch.testing.assert_close(after, before, rtol=0, atol=0)
    assert group.stack.training
    for member, state in enumerate(after):
        network: Any = networks("batch norm")[0]
        network.load_state_dict(state)
        with torch.no_grad():
            logits = network.eval()(own[0].pixels.take(own[0].ids))
        want = float((logits.argmax(1) == own[0].labels).double().mean())
        assert float(got[member]) == pytest.approx(want, abs=1e-9)


@pytest.mark.parametrize(("name", "kind"), WAYS)
def test_a_stack_says_how_many_members_it_has(name: str, kind: Kind) -> None:
    stack: Stack = stacked(networks(name)[: GROUP[kind]], kind)
    assert stack.size == min(MEMBERS, GROUP[kind])
