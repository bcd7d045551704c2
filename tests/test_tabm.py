"""The ensemble for tables: who trains, who predicts, engines, methods, saving, export."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from experiments import config, drive, parameters, same
from problems import flat, relative
from sklearn.datasets import load_wine
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import SGD, AdamW

import mwnet
from mwnet.bilevel import Bilevel, EngineChoice, forward_engine, higher_engine
from mwnet.bilevel.weighting import WeightNet, by_sum
from mwnet.builders.experiment import build
from mwnet.core.seeding import seeded
from mwnet.data import Batch
from mwnet.losses import LOSSES
from mwnet.methods import METHODS
from mwnet.models import MODELS
from mwnet.runs.export import export_onnx
from mwnet.runs.model import load_model

MEMBERS, FEATURES, CLASSES = 4, 5, 3
SMALL = {"members": MEMBERS, "width": 8}


def network(dropout: float = 0.0, dtype: torch.dtype = torch.float64) -> Any:
    """A small one, its factors and biases moved away from where they start."""
    with seeded(0, "tabm"):
        built = MODELS["tabm"](num_classes=CLASSES, in_channels=FEATURES, dropout=dropout, **SMALL)
        for parameter in built.parameters():
            parameter.data += 0.1 * torch.randn_like(parameter)
    return built.to(dtype)


def batch(size: int, seed: int, dtype: torch.dtype = torch.float64) -> Batch:
    rng = torch.Generator().manual_seed(seed)
    x = torch.randn(size, FEATURES, 1, 1, generator=rng, dtype=dtype)
    return Batch(torch.arange(size), x, torch.randint(0, CLASSES, (size,), generator=rng))


def by_hand(built: Any, x: Tensor, member: int) -> Tensor:
    """``(n, K)`` logits of one member, as an ordinary perceptron."""
    h = x.flatten(1)
    for layer in (module for module in built.body if not isinstance(module, nn.ReLU | nn.Dropout)):
        h = (h * layer.r[member]) @ layer.shared.weight.T * layer.s[member] + layer.b[member]
        h = h.relu()
    return built.head(h)


@pytest.mark.parametrize("size", [1, 3, 8, 10])
def test_a_sample_trains_the_member_of_its_place_and_all_members_predict(size: int) -> None:
    built, x = network(), batch(size, 1).x
    each = torch.stack([by_hand(built, x, member) for member in range(MEMBERS)], 1)
    own = each[torch.arange(size), torch.arange(size) % MEMBERS]
    torch.testing.assert_close(built.train()(x), own)
    torch.testing.assert_close(built.eval()(x), each.mean(1))


def test_the_training_gradient_is_that_of_the_members_mean_loss_on_average() -> None:
    """Over all places that a sample can have in a batch."""
    built, data = network(), batch(8, 1)
    w = list(built.parameters())
    means = [F.cross_entropy(by_hand(built, data.x, member), data.y) for member in range(MEMBERS)]
    wanted = torch.autograd.grad(torch.stack(means).mean(), w)
    got = [torch.zeros_like(p) for p in w]
    for places in range(MEMBERS):
        loss = F.cross_entropy(built(data.x.roll(places, 0)), data.y.roll(places))
        for total, part in zip(got, torch.autograd.grad(loss / MEMBERS, w), strict=True):
            total += part
    torch.testing.assert_close(tuple(got), wanted)


def test_members_differ_from_the_start_and_evaluation_draws_nothing() -> None:
    built = MODELS["tabm"](num_classes=CLASSES, in_channels=FEATURES)
    x = batch(6, 1, torch.float32).x
    first, second = (by_hand(built, x, member) for member in (0, 1))
    assert not torch.allclose(first, second, atol=1e-2)
    assert not torch.equal(built(x), built(x))  # dropout
    logits = built.eval()(x)
    assert torch.equal(logits, built(x))
    torch.testing.assert_close(built(x.flip(0)[:2]), logits.flip(0)[:2])


@pytest.mark.parametrize("optimizer", [SGD, AdamW])
@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_forward_equals_higher(optimizer: type, dropout: float) -> None:
    built = network(dropout)
    task = Bilevel(
        built, WeightNet().double(), LOSSES["ce"], LOSSES["mae"], by_sum, virtual_step="optimizer"
    )
    by = optimizer(built.parameters(), lr=0.01)
    data, meta = batch(10, 1), batch(7, 2)
    found = []
    for engine in (forward_engine, higher_engine):
        with seeded(0, "dropout"):
            found.append(flat(engine(task, by, data, meta).theta))
    assert relative(*found) < 1e-10


@pytest.mark.parametrize("lean", [False, True])
@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_ghost_equals_higher(dropout: float, lean: bool) -> None:
    """With an epsilon at which Adam's first step is no mere sign of the gradient."""
    built = network(dropout)
    task = Bilevel(
        built, WeightNet().double(), LOSSES["ce"], LOSSES["mae"], by_sum, virtual_step="optimizer"
    )
    by = torch.optim.AdamW(built.parameters(), lr=0.01, eps=1e-3)
    data, meta = batch(10, 1), batch(7, 2)
    found = []
    for engine in (EngineChoice("ghost", lean=lean), higher_engine):
        with seeded(0, "dropout"):
            found.append(flat(engine(task, by, data, meta).theta))
    assert relative(*found) < 1e-10


def test_auto_takes_ghost() -> None:
    built = network(0.1, torch.float32)
    task = Bilevel(built, WeightNet(), LOSSES["ce"], LOSSES["mae"], by_sum)
    engine = EngineChoice("auto", say=pytest.fail)
    engine(task, SGD(built.parameters(), lr=0.1), *(batch(32, i, torch.float32) for i in (1, 2)))
    assert engine.name == "ghost"


@pytest.mark.parametrize("method", sorted(METHODS))
def test_every_method_trains_it(method: str) -> None:
    experiment = build(config(method, model="tabm", model_options=SMALL))
    before = parameters(experiment)
    reports = drive(experiment, 0, len(experiment.train) + 1)  # the second epoch begins too
    assert all(np.isfinite(list(report.values())).all() for report in reports)
    assert not same(before, parameters(experiment))
    assert all(p.isfinite().all() for p in experiment.method.parameters())


def test_saved_loaded_and_exported_it_predicts_the_same(tmp_path: Path) -> None:
    x, y = load_wine(return_X_y=True)
    fitted = mwnet.MWNetClassifier(model="tabm", model_options=SMALL, epochs=2).fit(x, y)
    fitted.save(tmp_path)
    model = load_model(tmp_path)
    np.testing.assert_array_equal(model.predict_proba(x), fitted.predict_proba(x))
    pytest.importorskip("onnxscript")
    assert export_onnx(model, tmp_path / "model.onnx") < 1e-5


def test_options_of_another_kind_are_refused() -> None:
    with pytest.raises(ValueError, match=r"`model.members` got 1.5, which is no whole number"):
        build(config("erm", model="tabm", model_options={"members": 1.5}))
