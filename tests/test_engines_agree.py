"""`forward` and `higher` are one answer computed in two ways."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from problems import batch, flat, problem, relative, warmed
from torch.optim import SGD, Adam, AdamW

from mwnet.bilevel import Bilevel, EngineChoice, forward_engine, higher_engine
from mwnet.bilevel.weighting import WeightNet, by_sum
from mwnet.builders.experiment import build
from mwnet.config.flags import parse
from mwnet.data import Batch
from mwnet.losses import LOSSES
from mwnet.models import MODELS

# Without the loss of a batch, which has no weights by sample, and the one whose gradient is zero
# for most samples of an untrained network.
SMOOTH = sorted(LOSSES.keys() - {"dmi", "truncated-gce"})


@settings(deadline=None, max_examples=120, derandomize=True)
@given(
    kind=st.sampled_from(["plain", "batchnorm"]),
    virtual_step=st.sampled_from(["sgd", "optimizer"]),
    normalise=st.sampled_from(["mean", "sum"]),
    loss=st.sampled_from(SMOOTH),
    meta_loss=st.sampled_from(SMOOTH),
    size=st.integers(2, 12),
    meta_size=st.integers(2, 12),
    rate=st.floats(1e-3, 1.0),
    momentum=st.sampled_from([0.0, 0.5, 0.9]),
    nesterov=st.booleans(),
    decay=st.sampled_from([0.0, 1e-3, 1e-1]),
    warm=st.integers(0, 2),
    seed=st.integers(0, 1000),
)
def test_forward_equals_higher_for_sgd(
    kind: str,
    virtual_step: str,
    normalise: str,
    loss: str,
    meta_loss: str,
    size: int,
    meta_size: int,
    rate: float,
    momentum: float,
    nesterov: bool,
    decay: float,
    warm: int,
    seed: int,
) -> None:
    task = problem(
        kind, seed, loss=loss, meta_loss=meta_loss, normalise=normalise, virtual_step=virtual_step
    )
    optimizer = SGD(
        task.classifier.parameters(),
        lr=rate,
        momentum=momentum,
        nesterov=nesterov and momentum > 0,
        weight_decay=decay,
    )
    warmed(optimizer, task.classifier, warm)
    data, meta = batch(size, seed + 1), batch(meta_size, seed + 2)
    reference = flat(higher_engine(task, optimizer, data, meta).theta)
    assert relative(flat(forward_engine(task, optimizer, data, meta).theta), reference) < 1e-8


@pytest.mark.parametrize("kind", [Adam, AdamW])
@pytest.mark.parametrize("warm", [0, 3])
def test_forward_equals_higher_for_adam(kind: type, warm: int) -> None:
    task = problem("batchnorm", virtual_step="optimizer")
    optimizer = kind(task.classifier.parameters(), lr=0.01, eps=1e-4, weight_decay=0.1)
    warmed(optimizer, task.classifier, warm)
    data, meta = batch(seed=1), batch(seed=2)
    reference = flat(higher_engine(task, optimizer, data, meta).theta)
    assert relative(flat(forward_engine(task, optimizer, data, meta).theta), reference) < 1e-8


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_small_residual_net(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    network = MODELS["resnet32"](num_classes=3, in_channels=1, depth=8, width=4).to(dtype)
    task = Bilevel(network, WeightNet().to(dtype), LOSSES["ce"], LOSSES["mae"], by_sum)
    optimizer = SGD(network.parameters(), lr=0.05, momentum=0.9)
    data, meta = (
        Batch(torch.arange(8), torch.randn(8, 1, 8, 8, dtype=dtype), torch.randint(0, 3, (8,)))
        for _ in range(2)
    )
    reference = flat(higher_engine(task, optimizer, data, meta).theta)
    got = flat(forward_engine(task, optimizer, data, meta).theta)
    assert relative(got, reference) < (1e-8 if dtype == torch.float64 else 1e-4)


@pytest.mark.parametrize("lean", [False, True])
def test_fifty_steps_on_digits_end_at_the_same_parameters(lean: bool) -> None:
    ends = []
    for engine in (EngineChoice("higher"), EngineChoice("forward", lean=lean)):
        experiment = build(parse(["--meta-loss", "mae", "--meta-noisy", "--device", "cpu"])[0])
        method = experiment.method.double().train()
        method.engine = engine
        assert experiment.meta is not None
        for step in range(50):
            data, meta = experiment.train[step], experiment.meta[step]
            method.step(replace(data, x=data.x.double()), replace(meta, x=meta.x.double()))
        ends.append([p.detach() for p in method.parameters()])
    for a, b in zip(*ends, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-8)
