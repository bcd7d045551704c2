"""What noise does to the meta-gradient: in expectation over flips, and to its variance."""

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch
from analyses import matrix, report, rng
from commands import ROBUST, run
from problems import CLASSES, batch, flat, network, relative
from torch import Tensor
from torch.optim import SGD

from mwnet.bilevel import Bilevel, higher_engine
from mwnet.data import Batch
from mwnet.losses import LOSSES
from mwnet.reproduce.claims import flip_expectation, gradient_ranking, meta_gradients, meta_variance
from mwnet.reproduce.claims.base import of_folders
from mwnet.reproduce.claims.command import main
from mwnet.reproduce.claims.meta_gradients import contributions_of

Capture = pytest.CaptureFixture[str]


# Flip noise


def samples(count: int) -> tuple[torch.nn.Module, Tensor, Tensor]:
    torch.manual_seed(3)
    data = batch(count, seed=2)
    net = network().double()
    for parameter in net.parameters():
        parameter.data *= 4  # confident predictions, where the losses differ most
    return net, data.x, data.y


def test_the_expected_gradient_of_certain_labels_is_the_gradient() -> None:
    net, x, y = samples(130)  # two chunks
    rows = torch.eye(CLASSES, dtype=torch.float64)[y]
    wanted = torch.autograd.grad(LOSSES["ce"](net(x), y).mean(), list(net.parameters()))
    got = flip_expectation.expected_gradient(net, x, rows, LOSSES["ce"])
    assert relative(got, flat(wanted)) < 1e-12


@pytest.mark.parametrize("targets", [1, 2])
@pytest.mark.parametrize("classes", [3, 6])
def test_all_choices_of_targets_are_on_average_uniform(classes: int, targets: int) -> None:
    mean = flip_expectation.mean_over_targets(classes, targets)
    torch.testing.assert_close(mean, matrix("symmetric", 1.0, classes))


def test_every_flip_matrix_enumerated_gives_a_multiple_of_the_clean_gradient_for_mae() -> None:
    net, x, y = samples(12)
    rate = 0.3
    cosines = {}
    for name in ("mae", "ce"):
        loss = LOSSES[name]
        identity = torch.eye(CLASSES, dtype=torch.float64)
        clean = flip_expectation.expected_gradient(net, x, identity[y], loss)
        noisy = []
        for targets in itertools.product(*([j for j in range(3) if j != i] for i in range(3))):
            flips = (1 - rate) * identity + rate * identity[list(targets)]
            noisy.append(flip_expectation.expected_gradient(net, x, flips[y], loss))
            flipped = flip_expectation.expected_gradient(net, x, identity[list(targets)][y], loss)
            cosine, length = flip_expectation.compare(clean, flipped, CLASSES).at(rate)
            assert cosine == pytest.approx(float(torch.cosine_similarity(noisy[-1], clean, 0)))
            assert length == pytest.approx(float(noisy[-1].norm() / clean.norm()))
        expected = torch.stack(noisy).mean(0)
        apart = relative(expected, flip_expectation.shrinkage(rate, CLASSES) * clean)
        assert apart < 1e-12 if name == "mae" else apart > 1e-2
        cosines[name] = min(float(torch.cosine_similarity(one, clean, 0)) for one in noisy)
    assert cosines["mae"] < 0.999  # a fixed target biases it


def test_shrinkage_ends_where_labels_say_nothing() -> None:
    assert flip_expectation.shrinkage(0.9, 10) == pytest.approx(0)
    assert flip_expectation.shrinkage(0.3, 3) == pytest.approx(0.55)


def test_flip_expectation_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setattr(flip_expectation, "DRAWS", 2)
    argv = ["--seeds", "1", "--epochs", "2", "--jobs", "1", "--model.width", "8"]
    text = report(tmp_path / "a", "flip-expectation", *argv)
    line = next(line for line in text.splitlines() if "| MAE | flip, expectation |" in line)
    assert "1.0000, length 0.8333 | 1.0000, length 0.6667 | 1.0000, length 0.5000 |" in line
    assert "1 - ηK/(K - 1) times the clean gradient" in text
    np.savez(tmp_path / "no_truth.npz", x=np.random.default_rng(0).normal(size=(60, 3)),
             y=np.arange(60) % 3)  # fmt: skip
    data = ["--dataset", "arrays", "--data", str(tmp_path / "no_truth.npz")]
    run(tmp_path / "run", "--method", "erm", "--epochs", "1", *data)
    refused = ["flip-expectation", "--run", str(tmp_path / "run"), "--out", str(tmp_path / "b")]
    assert main(refused) == 2
    assert "its data has no true labels" in capsys.readouterr().err


def test_what_is_kept_of_two_gradients_by_hand() -> None:
    clean, flipped = torch.tensor([2.0, 0.0]), torch.tensor([-1.0, 2.0])
    pair = flip_expectation.compare(clean, flipped, 3)
    assert pair == flip_expectation.Pair(clean=4, both=-2, flipped=5, off=1)
    assert pair.at(0.5) == pytest.approx((0.25**0.5 / 1.25**0.5, 1.25**0.5 / 2))  # (0.5, 1)
    turned = flip_expectation.compare(clean, -clean, 2)  # two classes, a symmetric loss
    assert turned.off == 0
    assert turned.at(0.25) == pytest.approx((1, 0.5))
    assert np.isnan(turned.at(0.5)[0])
    assert turned.at(0.5)[1] == 0


def test_flip_expectation_of_two_classes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flip_expectation, "DRAWS", 2)
    x, y = np.random.default_rng(0).normal(size=(60, 3)), np.arange(60) % 2
    np.savez(tmp_path / "two.npz", x=x, y=y, y_true=y)
    data = ["--dataset", "arrays", "--data", str(tmp_path / "two.npz")]
    run(tmp_path / "run", "--method", "erm", "--epochs", "1", *data)
    text = report(tmp_path / "a", "flip-expectation", "--run", str(tmp_path / "run"))
    cells = "1.0000, length 0.7000 | 1.0000, length 0.4000 | 1.0000, length 0.1000 |"
    assert f"| MAE | flip, fixed | {cells}" in text
    assert "| MAE | flip2" not in text
    assert "The claim holds in part here" in text  # the only target there is changes nothing


# Variance of the meta-gradient


def cells(symmetric: bool = True) -> tuple[Tensor, Tensor]:
    """Contributions ``(4, 3, 2)``, which add to zero over labels if symmetric, and labels."""
    drawn = torch.randn(4, 3, 2, dtype=torch.float64, generator=rng())
    drawn -= drawn.mean(1, keepdim=True) * symmetric
    return drawn, torch.tensor([0, 1, 2, 1])


@pytest.mark.parametrize("size", [1, 2])
def test_moments_are_those_of_all_meta_batches_enumerated(size: int) -> None:
    contributions, truth = cells(symmetric=False)
    noise = matrix("uniform", 0.4, 3)
    values, weights = [], []
    pairs = list(itertools.product(range(4), range(3)))
    for chosen in itertools.product(pairs, repeat=size):
        values.append(torch.stack([contributions[j, k] for j, k in chosen]).mean(0))
        weights.append(np.prod([noise[truth[j], k] / 4 for j, k in chosen]))
    p, gradients = torch.tensor(np.array(weights)), torch.stack(values)
    mean = p @ gradients
    variance = float(p @ (gradients - mean).square().sum(1))
    center, single = meta_variance.moments(contributions, truth, noise)
    torch.testing.assert_close(center, mean)
    assert single / size == pytest.approx(variance, rel=1e-12)


@pytest.mark.parametrize("rate", [0.2, 0.8])
def test_the_expectation_shrinks_and_the_variance_keeps_to_the_bound(rate: float) -> None:
    contributions, truth = cells()
    clean, unit = meta_variance.moments(contributions, truth, torch.eye(3, dtype=torch.float64))
    noisy, variance = meta_variance.moments(contributions, truth, matrix("uniform", rate, 3))
    torch.testing.assert_close(noisy, (1 - rate) * clean)
    rho = float(contributions.norm(dim=-1).max())
    assert variance < meta_variance.bound(unit, rate, rho, 1)
    assert meta_variance.bound(2.0, 0.4, 3.0, 8) == pytest.approx((2 + 2 * 0.4 * 9) / 8)


def test_the_bound_is_of_symmetric_losses_only() -> None:
    """The true label's contribution is one vector and all others are its opposite."""
    contributions = -torch.ones(4, 10, 2, dtype=torch.float64)
    truth = torch.tensor([0, 1, 2, 1])
    contributions[torch.arange(4), truth] *= -1
    contributions[0] *= 0.9  # clean samples differ
    found = meta_variance.measure(contributions, truth, 0)
    assert [rate for rate, measured in found.items() if measured.above()] == [0.2, 0.4]
    symmetric = contributions - contributions.mean(1, keepdim=True)
    found = meta_variance.measure(symmetric, truth, 0)
    assert not any(measured.above() for measured in found.values())


def test_drawn_meta_batches_have_these_moments() -> None:
    contributions, truth = cells()
    noise = matrix("uniform", 0.4, 3)
    drawn = meta_variance.drawn_gradients(contributions, truth, noise, 5, 20_000, rng())
    center, variance = meta_variance.moments(contributions, truth, noise)
    assert float(drawn.var(0).sum()) == pytest.approx(variance / 5, rel=0.03)
    assert float((drawn.mean(0) - center).norm()) < 4 * (variance / 5 / 20_000) ** 0.5
    clean = torch.eye(3, dtype=torch.float64)
    single = meta_variance.drawn_gradients(contributions, truth, clean, 1, 200, rng())
    own = contributions[torch.arange(4), truth]
    assert float(torch.cdist(single, own).amin(1).max()) < 1e-12  # only true labels


def test_contributions_add_up_to_the_meta_gradient(tmp_path: Path) -> None:
    argv = [*ROBUST, "--meta-size", "12", "--model.width", "8", "--epochs", "1"]
    run(tmp_path / "run", *argv)
    finished = of_folders([tmp_path / "run"])[0]
    contributions, truth = contributions_of(finished)
    assert contributions.shape[:2] == (12, 10)
    assert float(contributions.sum(1).abs().max()) < 1e-12 * float(contributions.abs().max()) * 10
    experiment = finished.experiment()
    problem: Bilevel = experiment.method.problem  # pyright: ignore[reportAssignmentType]
    problem.classifier.double().eval()
    problem.weight_net.double()
    ids, train = experiment.data.parts.meta, experiment.train[0]
    assert experiment.data.truth is not None
    meta = Batch(ids, experiment.data.pixels.take(ids).double(), experiment.data.truth[ids])
    optimizer = SGD(problem.classifier.parameters(), lr=experiment.config.lr)
    train = Batch(train.index, train.x.double(), train.y)
    whole = flat(higher_engine(problem, optimizer, train, meta).theta)
    mean = contributions[torch.arange(12), truth].mean(0)
    assert relative(mean, whole) < 1e-8


def test_meta_variance_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setattr(meta_variance, "DRAWN", 50)
    argv = ["--seeds", "1", "--epochs", "1", "--jobs", "1", "--model.width", "8"]
    text = report(tmp_path / "a", "meta-variance", *argv, "--meta-size", "10", "--only", "row=t*")
    contributions, truth = contributions_of(of_folders(list((tmp_path / "a").glob("t*/*/*")))[0])
    noise = matrix("uniform", 0.4)
    given = [(j, k, float(noise[truth[j], k]) / 10) for j in range(10) for k in range(10)]
    center = sum(p * contributions[j, k] for j, k, p in given)
    variance = sum(p * float((contributions[j, k] - center).square().sum()) for j, k, p in given)
    clean = contributions[torch.arange(10), truth]
    ratio = variance / float((clean - clean.mean(0)).square().sum() / 10)
    line = next(line for line in text.splitlines() if line.startswith("| trained | 0.4 |"))
    assert f"| trained | 0.4 | {ratio:.3f} |" in line
    assert f"| 0.6000 | {ratio**0.5 / 0.6:.2f} |" in line
    assert "of 4 cases with noise" in text  # without noise both are equal
    run(tmp_path / "run", "--method", "erm", "--epochs", "1")
    refused = ["meta-variance", "--run", str(tmp_path / "run"), "--out", str(tmp_path / "b")]
    assert main(refused) == 2
    assert "only --method mwnet" in capsys.readouterr().err


# With batch norm


def test_a_residual_network_goes_through(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flip_expectation, "DRAWS", 1)
    monkeypatch.setattr(gradient_ranking, "SAMPLES", 20)
    monkeypatch.setattr(meta_gradients, "CALLS", 20)
    monkeypatch.setattr(meta_variance, "DRAWN", 50)
    small = ["--model", "resnet32", "--model.depth", "8", "--model.width", "4", "--epochs", "1"]
    sizes = ["--train-size", "100", "--meta-size", "10", "--batch-size", "25"]
    run(tmp_path / "run", *ROBUST, *small, *sizes)
    for name in ("gradient-ranking", "flip-expectation", "meta-variance"):
        text = report(tmp_path / name, name, "--run", str(tmp_path / "run"))
        assert "n = 1, seed 0" in text
    assert "the expected meta-gradient is 1 - η times the clean one up to" in text
