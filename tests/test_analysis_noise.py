"""Noise matrices, the limits of what can be learnt, and the warning beyond them."""

from pathlib import Path

import numpy as np
import pytest
import torch
from analyses import matrix, report
from commands import run

from mwnet.losses.unlearnable import warn_unlearnable
from mwnet.noise import unlearnable
from mwnet.reproduce.claims import noise_limits, noise_matrices
from mwnet.reproduce.claims.command import main

Capture = pytest.CaptureFixture[str]
LIMITS = {"flip": 1 / 2, "flip2": 2 / 3, "uniform": 1.0, "symmetric": 0.9, "pairflip": 1 / 2}
ESTIMATED = {  # where the estimate comes from, and what asks for it
    "forward-correction": ("mwnet.noise.anchored_matrix", []),
    "glc": ("mwnet.methods.glc.gold_matrix", []),
    "s-model": ("mwnet.methods.s_model.confusion", []),
    "erm": ("mwnet.noise.anchored_matrix", ["--loss", "forward", "--loss.warmup", "1"]),
}


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


def test_how_steeply_accuracy_falls() -> None:
    steps = noise_limits.falls({0.5: 0.4, 0.3: 0.8, 0.6: 0.45})
    assert steps == [(0.5, pytest.approx(0.02)), (0.6, pytest.approx(-0.005))]


def test_labels_say_nothing_where_all_rows_are_alike() -> None:
    assert noise_limits.says_nothing("uniform", 4, 1.0)
    assert not noise_limits.says_nothing("uniform", 4, 0.9)
    assert noise_limits.says_nothing("symmetric", 4, 0.75)
    assert not noise_limits.says_nothing("flip", 4, 0.5)


def test_the_interval_of_a_mean_is_students() -> None:
    # t(0.975, 2) = 4.3027, standard error 1 / sqrt(3)
    assert noise_limits.interval([1, 2, 3]) == pytest.approx((2 - 2.48414, 2 + 2.48414), abs=1e-4)


def test_noise_limits_are_reported(tmp_path: Path) -> None:
    argv = ["--seeds", "1", "--epochs", "1", "--jobs", "1", "--model.width", "8"]
    text = report(tmp_path, "noise-limits", *argv, "--only", "noise=flip2,row=plain*")
    assert text.count("| flip2 | ") == 4
    assert "| flip2 | 0.6 | below | " in text
    (at,) = [line for line in text.splitlines() if line.startswith("| flip2 | 0.67 | at | ")]
    times = float(at.split(" | ")[3].removesuffix(" |")) / 10
    assert f"mean accuracy over the methods is {times:.1f} times chance with flip2; for" in text
    assert ("Holds here" in text) == (times < 1.5)
    assert "by the true labels of test data" in text
    assert "Where labels say nothing" not in text


def test_noise_limits_of_finished_runs(tmp_path: Path, capsys: Capture) -> None:
    few = ["--method", "erm", "--epochs", "1", "--noise"]
    run(tmp_path / "one", *few, "uniform", "--noise-rate", "1.0")
    run(tmp_path / "two", *few, "uniform", "--noise-rate", "1.0", "--seed", "1")
    run(tmp_path / "half", *few, "pairflip", "--noise-rate", "0.5")
    runs = [part for name in ("one", "two", "half") for part in ("--run", str(tmp_path / name))]
    text = report(tmp_path / "out", "noise-limits", *runs)
    assert "| uniform | 1 | at | " in text
    assert "| pairflip | 0.5 | at | " in text
    assert "Where labels say nothing (digits, uniform 1) accuracy is chance, 10.0%" in text
    run(tmp_path / "none", *few, "none", "--noise-rate", "0")
    capsys.readouterr()
    argv = ["--run", str(tmp_path / "none"), "--out", str(tmp_path / "two")]
    assert main(["noise-limits", *argv]) == 2
    assert "its noise is 'none', which has no limit" in capsys.readouterr().err


# The warning


UNLESS = "cannot be learnt from given labels unless the training corrects for the noise"


def warnings(capsys: Capture) -> list[str]:
    lines = [line for line in capsys.readouterr().out.splitlines() if line.endswith(UNLESS)]
    assert all(line.startswith("warning: by ") for line in lines)
    return lines


def test_the_warning_names_the_classes(caplog: pytest.LogCaptureFixture) -> None:
    warn_unlearnable(torch.tensor([[0.4, 0.6], [0.1, 0.9]]), "this", ["cat", "dog"])
    warn_unlearnable(torch.eye(3), "this")
    warn_unlearnable(torch.full((3, 3), 1 / 3), "that")
    warn_unlearnable(torch.tensor([[0.0, 1, 0], [0, 0, 1], [0, 0, 1]]), "those")
    assert [record.levelname for record in caplog.records] == ["WARNING"] * 3
    one, every, two = caplog.messages
    assert all(message.endswith(UNLESS) for message in caplog.messages)
    assert one.startswith("by this class 'cat' gets another label at least as often as ")
    assert every.startswith("by that all 3 classes get another label ")
    assert two.startswith("by those classes 0, 1 get another label ")


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
