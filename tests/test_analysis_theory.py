"""Noise matrices, their limits, and what noise does to the meta-gradient in expectation."""

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch
from commands import ROBUST, run
from problems import CLASSES, batch, flat, network, relative
from torch import Tensor
from torch.optim import SGD

from mwnet.analysis import flip_expectation, meta_variance, noise_limits, noise_matrices
from mwnet.analysis.__main__ import main
from mwnet.analysis.base import of_folder
from mwnet.bilevel import Bilevel, higher_engine
from mwnet.data import Batch
from mwnet.losses import LOSSES
from mwnet.tracking import warn_unlearnable
from noise import NOISES, unlearnable

Capture = pytest.CaptureFixture[str]
LIMITS = {"flip": 1 / 2, "flip2": 2 / 3, "uniform": 1.0, "symmetric": 0.9, "pairflip": 1 / 2}
ESTIMATED = {  # where the estimate comes from, and what asks for it
    "forward-correction": ("noise.anchored_matrix", []),
    "glc": ("mwnet.methods.glc.gold_matrix", []),
    "s-model": ("mwnet.methods.s_model.confusion", []),
    "erm": ("noise.anchored_matrix", ["--loss", "forward", "--loss.warmup", "1"]),
}


def matrix(name: str, rate: float, classes: int = 10) -> Tensor:
    return NOISES[name](classes, rate, torch.Generator().manual_seed(5), dataset="digits")


def rng() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def report(out: Path, name: str, *argv: str) -> str:
    """Run an analysis; its report, after a look at the figure."""
    assert main([name, "--out", str(out), *argv]) == 0
    assert (out / "figure.png").read_bytes().startswith(b"\x89PNG")
    return (out / "report.md").read_text()


# Noise matrices


def test_what_the_paper_states_of_a_row() -> None:
    of = {name: noise_matrices.stated(name, 5, 0.4) for name in ("uniform", "flip", "flip2")}
    assert of["uniform"] == pytest.approx([0.68, 0.08, 0.08, 0.08, 0.08])
    assert of["flip"] == pytest.approx([0.6, 0.4, 0, 0, 0])
    assert of["flip2"] == pytest.approx([0.6, 0.2, 0.2, 0, 0])


def test_a_matrix_that_is_none_of_the_stated_ones_is_seen() -> None:
    flip2 = noise_matrices.stated("flip2", 5, 0.4)
    assert noise_matrices.off_statement(matrix("flip2", 0.4, 5), flip2) < 1e-15
    assert noise_matrices.off_statement(matrix("flip", 0.4, 5), flip2) == pytest.approx(0.2)
    assert noise_matrices.off_statement(matrix("flip2", 0.3, 5), flip2) == pytest.approx(0.1)


def test_realised_rows_are_true_classes() -> None:
    truth, given = torch.tensor([0, 0, 0, 0, 1, 1]), torch.tensor([0, 0, 0, 1, 1, 1])
    wanted = torch.tensor([[0.75, 0.25], [0.0, 1.0]], dtype=torch.float64)
    assert torch.equal(noise_matrices.realised(truth, given, 2), wanted)


def test_noise_matrices_are_drawn_and_reported(tmp_path: Path) -> None:
    text = report(tmp_path, "noise-matrices")
    assert "| uniform | 0.68 | 4 of 0.08 each | " in text
    assert "| flip2 | 0.6 | 2 of 0.2 each | " in text
    assert "| flip | 0.6 | 1 of 0.4 each | " in text


# Limits


@pytest.mark.parametrize("name", LIMITS)
def test_the_limit_is_where_the_true_class_is_no_longer_the_likeliest(name: str) -> None:
    rate = noise_limits.limit(name, 10)
    assert rate == pytest.approx(LIMITS[name], abs=1e-12)
    assert unlearnable(matrix(name, rate)) == list(range(10))
    assert unlearnable(matrix(name, rate - 0.001)) == []
    assert unlearnable(matrix(name, min(1, rate + 0.001))) == list(range(10))


def test_only_the_rows_concerned_are_unlearnable() -> None:
    some = torch.tensor([[0.5, 0.5, 0.0], [0.3, 0.4, 0.3], [0.6, 0.0, 0.4]])
    kept = some.clone()
    assert unlearnable(some) == [0, 2]
    assert torch.equal(some, kept)
    assert unlearnable(matrix("asymmetric", 0.6)) == [2, 3, 5, 6, 7]
    assert noise_limits.limit("asymmetric", 10, "digits") == 0.5


def test_a_rate_printed_with_two_digits_is_at_its_limit() -> None:
    rates = (0.6, 0.66, 0.67, 0.75)
    assert [noise_limits.side(rate, 2 / 3) for rate in rates] == ["below", "below", "at", "above"]


def test_noise_limits_are_reported(tmp_path: Path) -> None:
    argv = ["--seeds", "1", "--epochs", "1", "--jobs", "1", "--model.width", "8"]
    text = report(tmp_path, "noise-limits", *argv, "--only", "noise=flip2,row=plain*")
    assert text.count("| flip2 | ") == 4
    assert "with flip2 (limit 0.667): plain training " in text
    assert "| flip2 | 0.6 | below | " in text
    assert "| flip2 | 0.67 | at | " in text


# The warning


def warnings(capsys: Capture) -> list[str]:
    lines = capsys.readouterr().out.splitlines()
    return [line for line in lines if "cannot be learnt from the given labels" in line]


def test_the_warning_names_the_classes(capsys: Capture) -> None:
    warn_unlearnable(torch.tensor([[0.4, 0.6], [0.1, 0.9]]), "this", ["cat", "dog"])
    warn_unlearnable(torch.eye(3), "this")
    warn_unlearnable(torch.full((3, 3), 1 / 3), "that")
    warn_unlearnable(torch.tensor([[0.0, 1, 0], [0, 0, 1], [0, 0, 1]]), "those")
    one, every, two = warnings(capsys)
    assert one.startswith("warning: by this class 'cat' gets another label at least as often as ")
    assert every.startswith("warning: by that all 3 classes get another label ")
    assert two.startswith("warning: by those classes 0, 1 get another label ")


def test_added_noise_beyond_its_limit_is_warned_of(tmp_path: Path, capsys: Capture) -> None:
    few = ["--method", "erm", "--epochs", "1", "--noise", "asymmetric", "--noise-rate"]
    run(tmp_path / "beyond", *few, "0.6")
    (warning,) = warnings(capsys)
    assert "by the matrix of the added noise classes '2', '3', '5', '6', '7' get " in warning
    run(tmp_path / "within", *few, "0.4")
    assert not warnings(capsys)


@pytest.mark.parametrize(
    ("flag", "argv"),
    [
        ("loss", ["--method", "erm", "--loss", "forward"]),
        ("meta-loss", ["--method", "mwnet", "--meta-noisy", "--meta-loss", "forward"]),
    ],
)
def test_a_given_matrix_is_warned_of(
    tmp_path: Path, capsys: Capture, flag: str, argv: list[str]
) -> None:
    rows = np.eye(10)
    rows[3, 3:5] = 0.4, 0.6
    np.save(tmp_path / "rows.npy", rows)
    run(tmp_path / "run", *argv, f"--{flag}.matrix", str(tmp_path / "rows.npy"), "--epochs", "1")
    (warning,) = warnings(capsys)
    assert f"by the matrix of --{flag}.matrix class '3' gets " in warning


@pytest.mark.parametrize("name", ESTIMATED)
def test_an_estimated_matrix_is_warned_of(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    estimator, argv = ESTIMATED[name]
    few = ["--method", name, *argv, "--epochs", "2"]
    for rate in (0.6, 0.4):
        estimate = matrix("asymmetric", rate).float()
        monkeypatch.setattr(estimator, lambda *_, estimate=estimate: estimate)
        run(tmp_path / str(rate), *few)
    (warning,) = warnings(capsys)  # of the first
    assert "by the estimated matrix classes 2, 3, 5, 6, 7 get " in warning


def test_glc_sees_noise_beyond_the_limit(tmp_path: Path, capsys: Capture) -> None:
    argv = ["--method", "glc", "--epochs", "4", "--noise", "pairflip", "--noise-rate", "0.8"]
    run(tmp_path / "run", *argv)
    added, estimated = warnings(capsys)
    assert "by the matrix of the added noise all 10 classes" in added
    assert "by the estimated matrix " in estimated


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
            cosine, length = flip_expectation.compare(clean, flipped, rate)
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
    assert "need true labels" in capsys.readouterr().err


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
    finished = of_folder(tmp_path / "run")
    contributions, truth = meta_variance.contributions_of(finished)
    assert contributions.shape[:2] == (12, 10)
    assert float(contributions.sum(1).abs().max()) < 1e-12 * float(contributions.abs().max()) * 10
    experiment = finished.experiment()
    problem: Bilevel = experiment.method.problem  # pyright: ignore[reportAssignmentType]
    problem.classifier.double().eval()
    problem.weight_net.double()
    ids, train = experiment.parts.meta, experiment.train[0]
    assert experiment.truth is not None
    meta = Batch(ids, experiment.pixels.take(ids).double(), experiment.truth[ids])
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
    line = next(line for line in text.splitlines() if line.startswith("| trained | 0.4 |"))
    assert "| 0.6000 |" in line
    assert "in 0 of 5 cases" in text
    run(tmp_path / "run", "--method", "erm", "--epochs", "1")
    refused = ["meta-variance", "--run", str(tmp_path / "run"), "--out", str(tmp_path / "b")]
    assert main(refused) == 2
    assert "only --method mwnet" in capsys.readouterr().err
