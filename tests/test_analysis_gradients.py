"""What is said of the size, the order and the signs of gradients in the logits."""

import math
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from analyses import report
from commands import run
from torch import nn

from mwnet.losses import LOSSES, mae
from mwnet.methods.base import predict
from mwnet.reproduce.claims import gradient_magnitude, gradient_ranking, gradient_sign
from mwnet.reproduce.claims.base import of_folders
from mwnet.reproduce.claims.command import main
from mwnet.reproduce.claims.gradient_magnitude import Magnitude, logit_gradients, moments

QUICK = ["--seeds", "1", "--jobs", "1", "--epochs", "2", "--model.width", "8", "--device", "cpu"]
Capture = pytest.CaptureFixture[str]
GEN = torch.Generator().manual_seed(0)
LOGITS = 3 * torch.randn(8, 5, generator=GEN, dtype=torch.float64)
LABELS = torch.tensor([0, 1, 2, 3, 4, 0, 1, 2])
TRUTH = torch.tensor([0, 1, 3, 3, 1, 2, 1, 2])


def test_moments_are_those_of_the_exact_integrals() -> None:
    assert moments(gradient_magnitude.ce) == pytest.approx((1, 1 / 3), abs=1e-12)
    assert moments(gradient_magnitude.mae) == pytest.approx((2 / 3, 4 / 45), abs=1e-12)
    for t in (0.5, 2.0, 4.0):
        first = (math.exp(t) - 1 - t) / t**2
        a = 2 * t
        second = (2 * math.exp(a) - 2 - 2 * a - a**2) / a**3
        form = partial(gradient_magnitude.imae, steepness=t)
        assert moments(form) == pytest.approx((first, second - first**2), rel=1e-9)


def test_the_norm_is_largest_where_the_derivative_vanishes_or_at_an_end() -> None:
    assert gradient_magnitude.peak(gradient_magnitude.ce) == 0
    assert gradient_magnitude.peak(gradient_magnitude.mae) == pytest.approx(0.5, abs=1e-6)
    form = partial(gradient_magnitude.imae, steepness=4.0)
    assert gradient_magnitude.peak(form) == pytest.approx(1 - 1 / 4, abs=1e-6)


def test_imae_spreads_as_little_as_mae_at_two_steepnesses() -> None:
    for bracket in ((0, 2), (2, 8)):
        form = partial(gradient_magnitude.imae, steepness=gradient_magnitude.crossing(*bracket))
        assert gradient_magnitude.relative_deviation(form) == pytest.approx((1 / 5) ** 0.5)


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("ce", gradient_magnitude.ce),
        ("mae", gradient_magnitude.mae),
        ("imae", gradient_magnitude.IMAE),
    ],
)
def test_closed_forms_are_the_norms_of_the_shipped_losses(name: str, form: Magnitude) -> None:
    p = LOGITS.softmax(1).gather(1, LABELS[:, None]).squeeze(1)
    norms = logit_gradients(LOSSES[name], LOGITS, LABELS).abs().sum(1)
    assert norms.tolist() == pytest.approx([form(value) for value in p.tolist()], rel=1e-9)


def test_which_norms_depend_on_p_alone() -> None:
    alone = {name for name in gradient_magnitude.PURE if gradient_magnitude.of_p_alone(name)}
    assert {"ce", "mae", "imae", "gce", "sce", "truncated-gce", "gjs"} <= alone
    assert not alone & {"mse", "label-smoothing", "nce", "taylor", "bootstrap-hard"}


def test_gradient_magnitude_reports(tmp_path: Path) -> None:
    text = report(tmp_path, "gradient-magnitude")
    assert "| MAE | 0.6667 | 0.0889 | 0.4472 | 0.5000 |" in text
    assert "| CE | 1.0000 | 0.3333 | 0.5774 | 0.0000 |" in text
    assert main(["gradient-magnitude", "--seeds", "2", "--out", str(tmp_path)]) == 2


def small() -> nn.Sequential:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        layers = [nn.Flatten(), nn.Linear(3, 6), nn.ReLU(), nn.Linear(6, 5)]
        return nn.Sequential(*layers).double().eval()


def test_the_last_layers_gradient_is_an_outer_product() -> None:
    network = small()
    x = torch.randn(8, 3, 1, 1, generator=GEN, dtype=torch.float64)
    found = gradient_ranking.gradient_norms(network, mae, x, LABELS, 5)
    inputs = network[:-1](x).detach()
    slopes = logit_gradients(mae, network(x), LABELS)
    l1, l2 = inputs.abs().sum(1), inputs.norm(dim=1)
    assert found["logits"] == pytest.approx(slopes.abs().sum(1).numpy())
    assert found["last layer, L1"] == pytest.approx((slopes.abs().sum(1) * l1).numpy())
    assert found["last layer, L2"] == pytest.approx((slopes.norm(dim=1) * l2).numpy())
    for place in range(8):
        network.zero_grad()
        mae(network(x[place : place + 1]), LABELS[place : place + 1]).sum().backward()
        flat = torch.cat([p.grad.flatten() for p in network.parameters() if p.grad is not None])
        assert found["all parameters, L1"][place] == pytest.approx(float(flat.abs().sum()))
        assert found["all parameters, L2"][place] == pytest.approx(float(flat.norm()))


def test_the_order_may_differ() -> None:
    """Two samples on the same ray: the longer has the smaller slope but the larger gradient."""
    layer = nn.Linear(1, 2, bias=False)
    network = nn.Sequential(nn.Flatten(), layer).double()
    layer.weight.data = torch.tensor([[0.1], [0.0]], dtype=torch.float64)
    x = torch.tensor([1.0, 4.0], dtype=torch.float64)[:, None, None, None]
    found = gradient_ranking.gradient_norms(network, LOSSES["ce"], x, torch.zeros(2).long(), 2)
    slope = [2 / (1 + math.exp(0.1 * length)) for length in (1, 4)]  # 2 (1 - p)
    assert found["logits"].tolist() == pytest.approx(slope)
    assert found["last layer, L1"].tolist() == pytest.approx([slope[0], 4 * slope[1]])
    assert slope[0] > slope[1]
    assert slope[0] < 4 * slope[1]
    assert gradient_ranking.discordant(found["logits"], found["last layer, L1"]) == 1


def test_discordant_pairs_and_rank_correlation_by_hand() -> None:
    one, two = np.array([1.0, 2.0, 3.0, 4.0]), np.array([1.0, 3.0, 2.0, 2.0])
    # the pairs (2, 3) and (2, 4) of six; the tie of (3, 4) is no disagreement
    assert gradient_ranking.discordant(one, two) == pytest.approx(2 / 6)
    # ranks 1 2 3 4 and 1 4 2.5 2.5
    ranks = np.corrcoef([1, 2, 3, 4], [1, 4, 2.5, 2.5])[0, 1]
    assert gradient_ranking.correlation(one, np.exp(two)) == pytest.approx(ranks)
    assert math.isnan(gradient_ranking.correlation(one, np.ones(4)))


def test_gradient_ranking_reports(tmp_path: Path, capsys: Capture) -> None:
    flags = [*QUICK, "--only", "column=2 epochs"]
    text = report(tmp_path / "a", "gradient-ranking", *flags, "--train-size", "300")
    assert text.count("| CE | ") == text.count("| MAE | ") == 2
    given = [f for path in (tmp_path / "a").glob("*/*/seed-0") for f in ("--run", str(path))]
    text = report(tmp_path / "b", "gradient-ranking", *given)
    for row in ("erm, mlp2, 2 epochs", "erm, mae, mlp2, 2 epochs"):
        assert text.count(f"\n| {row} | ") == 2
    assert "n = 1, seed 0" in text
    capsys.readouterr()
    argv = [
        "gradient-ranking",
        "--out",
        str(tmp_path / "c"),
        *QUICK,
        "--only",
        "row=CE,column=2 epochs",
    ]
    assert main([*argv, "--loss", "elr"]) == 2
    assert "--loss elr, which is not a function" in capsys.readouterr().err


def test_equations_15_16_and_20_hold_for_wrong_labels_too() -> None:
    p = LOGITS.softmax(1)
    for name, form in (("ce", gradient_sign.ce_gradient), ("mae", gradient_sign.mae_gradient)):
        auto = logit_gradients(LOSSES[name], LOGITS, LABELS)
        assert torch.allclose(auto, form(p, LABELS), rtol=0, atol=1e-12)
    weights = {"alpha": 0.3, "beta": 2.0}
    auto = logit_gradients(partial(LOSSES["sce"], **weights, A=-4.0), LOGITS, LABELS)
    form = gradient_sign.sl_gradient(p, LABELS, **weights, log_zero=-4.0)
    assert torch.allclose(auto, form, rtol=0, atol=1e-12)


def test_equation_20_as_printed_is_that_of_weights_one() -> None:
    p = LOGITS.softmax(1)
    p_y, a = p.gather(1, LABELS[:, None]), -4.0
    printed = gradient_sign.ce_gradient(p, LABELS) - a * p_y * p
    at = torch.arange(8)
    printed[at, LABELS] = (p_y - 1 + a * p_y * (1 - p_y)).squeeze(1)
    one = gradient_sign.sl_gradient(p, LABELS, log_zero=a)
    assert torch.allclose(printed, one, rtol=0, atol=1e-12)
    other = gradient_sign.sl_gradient(p, LABELS, alpha=0.1, log_zero=a)
    assert float((printed - other).abs().max()) > 0.1


def test_signs_by_hand() -> None:
    gradient = torch.tensor(
        [
            [-1.0, 0.5, 0.5, 0.0],  # right label 0, usual
            [0.2, -0.6, 0.4, 0.0],  # given 1, true 2: usual
            [-0.3, 0.1, 0.2, 0.0],  # given 1, true 3: pushes the given label down
        ],
        dtype=torch.float64,
    )
    given, truth = torch.tensor([0, 1, 1]), torch.tensor([0, 2, 3])
    assert gradient_sign.usual(gradient, given).tolist() == [True, True, False]
    found = gradient_sign.signs(gradient, given, truth)
    expected = {
        "given": -0.25, "true": 0.2, "others": (0.2 + 0.0 - 0.3 + 0.2) / 4, "size": 0.9,
        "given up": 0.5, "true down": 0.5, "usual wrong": 0.5, "usual right": 1.0, "auc": 0.0,
    }  # fmt: skip
    assert found == pytest.approx(expected)


def test_signs_of_losses_of_p_alone_never_turn_and_those_of_mse_may() -> None:
    for name in gradient_magnitude.PURE:
        gradient = logit_gradients(LOSSES[name], LOGITS, LABELS)
        if gradient_magnitude.of_p_alone(name):
            assert gradient_sign.usual(gradient, LABELS).all(), name
    # p = (0, .1, .9) with label 0: dl/dz_1 = 2 p_1 (p_1 - ||p||^2 + p_0), which is below 0
    logits = torch.tensor([[1e-9, 0.1, 0.9]], dtype=torch.float64).log()
    assert not gradient_sign.usual(logit_gradients(LOSSES["mse"], logits, LABELS[:1]), LABELS[:1])


def test_gradient_sign_reports(tmp_path: Path, capsys: Capture) -> None:
    text = report(tmp_path / "a", "gradient-sign", *QUICK)
    for name in gradient_magnitude.PURE:
        assert f"| {name} | " in text
    line = next(line for line in text.splitlines() if line.startswith("| ce | "))
    assert line.count("100.0 %") == 4
    experiment = of_folders([tmp_path / "a" / "CE" / "uniform-0.4" / "seed-0"])[0].experiment()
    assert experiment.data.truth is not None
    ids = experiment.data.parts.train
    wrong = ids[experiment.data.labels[ids] != experiment.data.truth[ids]]
    p = predict(experiment.method, experiment.data.pixels, wrong).double().softmax(1)
    least = float(p.gather(1, experiment.data.labels[wrong, None]).min())
    off = 0.9 * (1 - least)  # (1 - alpha) times cross-entropy's largest derivative
    assert f"with alpha = 0.1, beta = 1 it is off by up to {off:.2f}." in text
    assert "with ce and mae, whose signs thus tell nothing, " in text
    assert "Left out: dmi (of a whole batch) and forward, backward, elr, peer, cores (" in text
    run(tmp_path / "clean", "--method", "erm", "--noise", "none", "--model.width", "8")
    capsys.readouterr()
    argv = ["--out", str(tmp_path / "b"), "--run", str(tmp_path / "clean")]
    assert main(["gradient-sign", *argv]) == 2
    assert "right and wrong labels are compared" in capsys.readouterr().err
