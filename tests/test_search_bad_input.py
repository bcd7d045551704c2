"""What a user of the search can get wrong: one sentence, exit code 2, and nothing left behind."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from commands import fails, run
from searches import THETA, refused, scored, search

import train
from mwnet.losses.loss_file import TaylorLoss, write_loss
from mwnet.search.space import Space
from mwnet.search.tasks import Task

Capture = pytest.CaptureFixture[str]
Patch = pytest.MonkeyPatch


def test_nothing_trainable_is_one_sentence(
    tmp_path: Path, monkeypatch: Patch, capsys: Capture
) -> None:
    scored(monkeypatch, lambda *arguments: None)
    message = refused(capsys, "--out", str(tmp_path / "run"))
    assert "not one of the losses" in message


BAD: list[tuple[list[str], list[str]]] = [
    (["--search-start", "1,2,3"], ["--search-start", "12", "got 3"]),
    (["--search-start", "ec"], ["ec"]),
    (["--search-start", ",".join(["1e308"] * 12)], ["--search-start"]),
    (["--search-start", "1,2,x"], ["--search-start", "1,2,x"]),
    (["--search-tasks", "digits/mlp2,mlp3"], ["--search-tasks", "mlp3"]),
    (["--search-tasks", "arr"], ["--search-tasks", "arr", "ar, dr, joint"]),
    (["--search-tasks", "digits/mlp9"], ["mlp9", "mlp2"]),
    (["--search-tasks", "digitss/mlp2"], ["digitss", "did you mean digits?"]),
    (["--search-tasks", "digits/cnn4"], ["cnn4", "16x16"]),
    (["--search-tasks", "digits/mlp2,mnist/mlp2", "--data-root", "nowhere"], ["mnist", "nowhere"]),
    (["--search-tasks", "arrays/mlp2"], ["arrays", "--data"]),
    (["--search-tasks", "digits/mlp2,table/mlp2"], ["table", "--data"]),
    (["--search-population", "1"], ["--search-population", "1", "4"]),
    (["--search-population", "3"], ["--search-population", "3", "4"]),
    (["--search-patience", "0"], ["--search-patience", "0"]),
    (["--search-generations", "0"], ["--search-generations", "0"]),
    (["--search-order", "5"], ["--search-order", "5"]),
    (["--search-sigma", "0"], ["--search-sigma", "0"]),
    (["--search-eta", "0"], ["--search-eta", "0"]),
    (["--search-eta", "inf"], ["--search-eta", "inf"]),
    (["--search-eta", "nan"], ["--search-eta", "nan"]),
    (["--loss", "gce"], ["a search trains with the losses it tries: leave --loss out"]),
    (["--loss.q", "0.5"], ["a search trains with the losses it tries: leave --loss out"]),
    (["--method", "erm"], ["a search trains with the losses it tries: leave --method out"]),
    (["--max-steps", "3"], ["a search trains with the losses it tries: leave --max-steps out"]),
    (["--seeds", "2"], ["a search trains with the losses it tries: leave --seeds out"]),
    (["--train-size", "100"], ["--train-size", "--search-samples"]),
    (["--compile"], ["--mode loss-search", "--compile"]),
    (["--cuda-graphs"], ["--mode loss-search", "--cuda-graphs"]),
    (["--search-compare", "ce,maee"], ["maee", "did you mean mae?"]),
    (["--search-compare", "elr"], ["elr"]),
    (["--search-compare", ""], ["loss to compare with"]),
    (["--search-samples", "2000"], ["--search-samples", "2000", "training samples of digits"]),
    (["--validation-size", "1500"], ["1500"]),
    (["--workers", "0"], ["--workers", "0"]),
    (["--noise", "unifrom", "--noise-rate", "0.2"], ["unifrom", "did you mean uniform?"]),
    (["--device", "warp"], ["warp"]),
    (["--mode", "losssearch"], ["--mode", "losssearch"]),
    (["--model.wdith", "8"], ["wdith", "did you mean width?"]),
]


@pytest.mark.parametrize(("argv", "parts"), BAD, ids=lambda value: " ".join(value)[:40])
def test_bad_input_gets_one_sentence_and_leaves_nothing(
    tmp_path: Path, capsys: Capture, argv: list[str], parts: list[str]
) -> None:
    message = refused(capsys, "--out", str(tmp_path / "run"), *argv)
    for part in parts:
        assert part in message
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "argv", "part"),
    [
        ("theta: [1, 2]\n", [], "needs 12 numbers, got 2"),
        ("eta: 1\n", [], "no theta"),
        (f"theta: {list(range(12))}\neta: 0\n", [], "above 0, got 0"),
        (f"theta: {list(range(12))}\n", ["--loss.eta", "0"], "eta above 0"),
        ("theta: [" + ", ".join(["1.0e+308"] * 12) + "]\n", [], "theta"),
        (None, [], "cannot read"),
    ],
)
def test_bad_files_of_losses_get_one_sentence(
    tmp_path: Path, capsys: Capture, text: str | None, argv: list[str], part: str
) -> None:
    path = tmp_path / "my.yaml"
    if text is not None:
        path.write_text(text)
    out = ["--out", str(tmp_path / "run")]
    erm = ["--method", "erm", "--loss", "taylor", "--loss.theta", str(path)]
    assert part in fails(capsys, *out, *erm, *argv)
    if not argv:
        assert part in refused(capsys, *out, "--search-start", str(path))
    assert not (tmp_path / "run").exists()


def own_data(path: Path, **arrays: np.ndarray) -> list[str]:
    rng = np.random.default_rng(0)
    y = np.arange(300) % 3
    np.savez(path, x=rng.normal(size=(300, 4)) + 2 * y[:, None], y=y, **arrays)
    few = ["--search-samples", "100", "--validation-size", "50"]
    return ["--dataset", "arrays", "--data", str(path), "--model", "mlp2", *few]


def test_a_path_with_a_comma_is_a_file(tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "a,b" / "taylor.yaml"
    erm = ["--method", "erm", "--loss", "taylor", "--loss.theta", str(path)]
    out = ["--out", str(tmp_path / "run")]
    for message in (
        fails(capsys, *out, *erm),
        refused(capsys, *out, "--search-start", str(path)),
    ):
        assert f"cannot read the loss {path}" in message
    path.parent.mkdir()
    write_loss(path, TaylorLoss(THETA, 2.0), {})
    numbers = ["--loss.theta", ",".join(map(repr, THETA)), "--loss.eta", "2.0"]
    for name, argv in (("file", erm), ("numbers", [*erm[:4], *numbers])):
        run(tmp_path / name, *argv, "--epochs", "1", "--model.width", "8")
    metrics = [(tmp_path / name / "metrics.jsonl").read_text() for name in ("file", "numbers")]
    assert metrics[0] == metrics[1]
    assert train.main(["--resume", str(tmp_path / "file")]) == 0
    np.testing.assert_allclose(Space(4).theta(Space(4).start(str(path))), THETA, rtol=1e-15)


def test_own_data_needs_true_labels_or_noise(tmp_path: Path, capsys: Capture) -> None:
    argv = own_data(tmp_path / "my.npz")
    message = refused(capsys, *argv, "--out", str(tmp_path / "run"))
    assert "y_true" in message
    assert "--noise" in message
    assert not (tmp_path / "run").exists()
    noisy = ["--noise", "symmetric", "--noise-rate", "0.4"]
    assert search(tmp_path / "noisy", *argv, *noisy)["tasks"] == ["arrays/mlp2"]


def test_own_noisy_labels_are_trained_on_and_the_true_ones_measured(
    tmp_path: Path, monkeypatch: Patch
) -> None:
    from mwnet.search import tasks

    truth = (np.arange(300) + 1) % 3
    argv = own_data(tmp_path / "my.npz", y_true=truth)
    original = tasks.accuracy

    def spied(group: Any, pixels: Any, ids: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        assert labels.tolist() == truth[ids].tolist()
        return original(group, pixels, ids, labels)

    batches = Task.batches

    def given(self: Task, seed: int) -> Any:
        built = batches(self, seed)
        assert built.labels.tolist() == [k % 3 for k in range(300)]
        return built

    monkeypatch.setattr(tasks, "accuracy", spied)
    monkeypatch.setattr(Task, "batches", given)
    assert search(tmp_path / "run", *argv)["evaluations"] > 12
