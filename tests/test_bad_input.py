"""What a user can get wrong: one sentence, exit code 2, and nothing half-written."""

import errno
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from commands import ROBUST, ROOT, fails, outcome, run

import train
from mwnet.builders.network import try_out
from mwnet.core.errors import UserError
from mwnet.methods import MWNet
from mwnet.training import checkpoint

BAD_INPUT = [
    (["--method", "mwnett"], ["mwnett", "did you mean mwnet?"]),
    (["--model", "resnet23"], ["resnet23", "did you mean resnet32?"]),
    (["--loss", "cee"], ["cee", "did you mean ce?"]),
    (["--meta-loss", "maee"], ["maee", "did you mean mae?"]),
    (["--noise", "unifrom"], ["unifrom", "did you mean uniform?"]),
    (["--dataset", "digitss"], ["digitss", "did you mean digits?"]),
    (["--device", "cuda:7"], ["cuda:7", "not available"]),
    (["--device", "warp"], ["warp", "not available"]),
    (["--device", "meta"], ["meta", "not available"]),
    (["--method", "erm", "--meta-loss", "maee"], ["maee", "did you mean mae?"]),
    (["--model.width", "2.5"], ["--model.width", "2.5", "no whole number"]),
    (["--model", "resnet32", "--model.width", "0"], ["width", "0"]),
    (["--model.wdith", "8"], ["wdith", "did you mean width?"]),
    (["--model.width", "{"], ["--model.width", "{", "no whole number"]),
    (["--model.width", "wide"], ["--model.width", "wide", "no whole number"]),
    (["--model.depth", "0"], ["depth"]),
    (["--loss.alpha", "1"], ["alpha", "it has none"]),
    (["--model", "resnet32", "--model.depth", "9"], ["6n + 2", "9"]),
    (["--meta-size", "2000"], ["2000", "too few", "--meta-size"]),
    (["--validation-size", "1400"], ["1400", "too few"]),
    (["--meta-size", "0"], ["--meta-size above 0"]),
    (["--model", "torchvision:resnt18"], ["resnt18", "did you mean torchvision:resnet18?"]),
    (["--model", "torchvision:resnet18", "--model.pretrained", "true"], ["--download"]),
    (["--noise", "superclass", "--noise-rate", "0.3"], ["superclass", "cifar100"]),
    (["--noise", "pmd1", "--noise-rate", "0.3"], ["pmd1", "--noise-file"]),
    (["--noise", "pmd1", "--noise-file", "no.npy"], ["no.npy"]),
    (["--noise", "flip", "--noise-file", "no.npy"], ["--noise-file", "flip"]),
    (["--noise", "none", "--noise-rate", "0.3"], ["none", "0.3"]),
    (["--dataset", "mnist", "--data-root", "nowhere"], ["mnist", "nowhere", "--download"]),
    (["--dataset", "arrays", "--data", "no.npz"], ["no.npz"]),
    (["--noise", "file", "--noise-file", "no.npz:a"], ["no.npz"]),
]


@pytest.mark.parametrize(("argv", "parts"), BAD_INPUT, ids=lambda value: " ".join(value)[:30])
def test_bad_input_gets_one_sentence_and_leaves_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], argv: list[str], parts: list[str]
) -> None:
    message = fails(capsys, "--out", str(tmp_path / "run"), *argv)
    for part in parts:
        assert part in message
    assert list(tmp_path.iterdir()) == []


def test_a_network_that_cannot_train_on_the_samples() -> None:
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.BatchNorm1d(5))
    for x in (torch.zeros(1, 5, 1, 1), torch.zeros(2, 4, 1, 1)):
        with pytest.raises(UserError, match=r"cannot train on samples of shape"):
            try_out(network, x, 5)
    before = torch.get_rng_state()
    try_out(network, torch.zeros(2, 5, 1, 1), 5)
    assert torch.equal(before, torch.get_rng_state())
    assert int(network[1].num_batches_tracked) == 0


def test_an_unknown_flag_needs_no_torch(tmp_path: Path) -> None:
    code = "import sys, train; train.main(['--meta-los', 'mae']); sys.exit('torch' in sys.modules)"
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0
    assert "did you mean --meta-loss?" in result.stderr


def test_a_clean_meta_set_needs_true_labels(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "my.npz", x=rng.normal(size=(100, 4)), y=np.arange(100) % 2)
    own = ["--data", str(tmp_path / "my.npz"), "--out", str(tmp_path / "run")]
    assert "give --meta-noisy" in fails(capsys, *own, "--method", "mwnet", "--no-meta-noisy")
    assert not (tmp_path / "run").exists()


def test_data_that_has_changed_is_not_resumed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(200, 4)), np.arange(200) % 2
    path = tmp_path / "my.npz"
    np.savez(path, x=x, y=y)
    run(tmp_path / "run", "--dataset", "arrays", "--data", str(path), *ROBUST)
    for changed in (x + 1, x[:, :3]):
        np.savez(path, x=changed, y=y)
        capsys.readouterr()
        assert train.main(["--resume", str(tmp_path / "run")]) == 2
        assert "contents of the data" in capsys.readouterr().err


def test_a_noise_file_that_has_changed_is_not_resumed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "labels.npy"
    labels = np.arange(1437) % 10
    np.save(path, labels)
    run(tmp_path / "run", "--noise", "file", "--noise-file", str(path), *ROBUST)
    np.save(path, (labels + 1) % 10)
    capsys.readouterr()
    assert train.main(["--resume", str(tmp_path / "run")]) == 2
    assert "contents of the data" in capsys.readouterr().err


def test_a_folder_that_holds_something_is_never_touched(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "thesis.tex").write_text("precious")
    assert "exists already" in fails(capsys, "--out", str(tmp_path))
    run(tmp_path / "run", *ROBUST)
    assert f"mwnet resume {tmp_path / 'run'} continues it" in fails(
        capsys, "--out", str(tmp_path / "run")
    )
    assert (tmp_path / "thesis.tex").read_text() == "precious"


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EROFS])
@pytest.mark.parametrize("write", [1, 2, 3])
def test_a_full_or_read_only_disk(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    error: int,
    write: int,
) -> None:
    """The n-th file that the run writes fails: its configuration, metrics or first checkpoint."""
    count = 0
    original: Callable = os.fsync

    def failing(descriptor: int) -> None:
        nonlocal count
        count += 1
        if count >= 2 * write - 1:  # each file is followed by a flush of its folder
            raise OSError(error, os.strerror(error))
        original(descriptor)

    monkeypatch.setattr(os, "fsync", failing)
    message = fails(capsys, "--out", str(tmp_path / "run"), *ROBUST)
    assert os.strerror(error) in message
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_fills_up_later_keeps_the_last_checkpoint(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "run"
    original = checkpoint.save
    saved = 0

    def failing(*arguments: object, **options: bool) -> None:
        nonlocal saved
        saved += 1
        if saved == 3:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        original(*arguments, **options)

    monkeypatch.setattr(checkpoint, "save", failing)
    message = fails(capsys, "--out", str(out), *ROBUST)
    assert "No space left" in message
    assert f"continue with: mwnet resume {out}" in message
    monkeypatch.undo()
    assert train.main(["--resume", str(out)]) == 0
    run(tmp_path / "whole", *ROBUST)
    assert outcome(out) == outcome(tmp_path / "whole")


def test_a_loss_that_is_no_longer_finite_stops_the_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "run"
    original = MWNet.step

    def exploding(self: MWNet, *batches: object) -> dict:
        report = original(self, *batches)
        if self.learner.steps == 16:
            report["train_loss"] = report["train_loss"] * float("nan")
        return report

    monkeypatch.setattr(MWNet, "step", exploding)
    message = fails(capsys, "--out", str(out), *ROBUST)
    assert "train_loss" in message
    assert "epoch 2, step 16" in message
    assert str(out / "last.pt") in message
    assert checkpoint.load(out / "last.pt", torch.device("cpu"))["progress"]["step"] == 12


def test_a_loss_that_explodes_at_once_leaves_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    message = fails(capsys, "--out", str(tmp_path / "run"), "--method", "erm", "--lr", "1e30")
    assert "epoch 1" in message
    assert "there is no checkpoint" in message
    assert list(tmp_path.iterdir()) == []


def test_collapse_is_said_aloud(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """MNW-Net: cross-entropy on noisy meta labels teaches the weight net to favour high losses."""
    summary = run(tmp_path / "run", "--meta-noisy", "--weight-net-lr", "1", "--epochs", "20")
    printed = capsys.readouterr().out
    assert summary["weights"]["collapse"] == "rising"
    assert "the weights have collapsed: they rise with the loss" in printed
    assert "rank by label_quality, which does not depend on them" in printed
