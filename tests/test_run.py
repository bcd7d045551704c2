"""Whole runs: what they leave behind, how they stop and go on."""

import csv
import errno
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from sklearn.datasets import load_digits
from sklearn.metrics import roc_auc_score

import train
from mwnet import checkpoint
from mwnet.data.load import load
from mwnet.methods import MWNet

ROOT = Path(train.__file__).parent
QUICK = ["--epochs", "3", "--no-tensorboard", "--no-figures", "--device", "cpu", "--threads", "1"]
ROBUST = ["--meta-loss", "mae", "--meta-noisy"]


def run(out: Path, *argv: str) -> dict:
    assert train.main([*QUICK, "--out", str(out), *argv]) == 0
    return json.loads((out / "summary.json").read_text())


def fails(capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    """Exit code 2 and one line on stderr, which is returned."""
    capsys.readouterr()
    assert train.main([*QUICK, *argv]) == 2
    message = capsys.readouterr().err
    assert message.startswith("train.py: ")
    assert message.count("\n") == 1
    assert "Traceback" not in message
    return message


def test_a_run_leaves_everything_that_is_promised(tmp_path: Path) -> None:
    out = tmp_path / "run"
    arguments = ["--epochs", "2", "--device", "cpu", "--threads", "1", "--out", str(out), *ROBUST]
    assert train.main(arguments) == 0
    names = {path.name for path in out.iterdir()}
    assert {
        "config.yaml",
        "metrics.jsonl",
        "summary.json",
        "label_quality.csv",
        "label_quality_heldout.csv",
        "noise_matrix.csv",
        "pred_probs.npy",
        "labels.npy",
        "last.pt",
        "best.pt",
        "figures",
    } <= names
    assert any(name.startswith("events.out.tfevents") for name in names)
    assert not any(name.endswith(".tmp") for name in names)
    figures = {path.name for path in (out / "figures").iterdir()}
    assert figures == {
        "weight_curve.png",
        "label_quality.png",
        "detection.png",
        "training.png",
        "labels.png",
    }
    assert all((out / "figures" / name).read_bytes()[:4] == b"\x89PNG" for name in figures)

    summary = json.loads((out / "summary.json").read_text())
    assert summary["mode"] == "train"
    assert (summary["method"], summary["meta_loss"], summary["meta_noisy"]) == (
        "mwnet",
        "mae",
        True,
    )
    assert (summary["dataset"], summary["model"], summary["seed"]) == ("digits", "mlp2", 0)
    assert summary["epochs"] == 2
    assert summary["noise"].keys() == {"name", "rate", "realised_rate"}
    assert summary["test_accuracy"].keys() == {"last", "best", "best_epoch"}
    assert summary["detection_auc"].keys() == {"own", "loss", "probability"}
    assert {"last", "best"} <= summary["detection_auc"]["own"].keys()
    assert {"total", "per_step"} <= summary["seconds"].keys()
    assert {"engine", "device", "versions"} <= summary.keys()

    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in lines] == [1, 2]
    assert lines[-1]["test_accuracy"] == summary["test_accuracy"]["last"]
    assert lines[-1]["weights"].keys() == {
        "min", "mean", "max", "effective_share", "slope", "collapse"
    }  # fmt: skip


def test_label_quality_reads_as_cleanlab_wants_it_and_gives_the_reported_auc(
    tmp_path: Path,
) -> None:
    summary = run(tmp_path / "run", *ROBUST)
    with (tmp_path / "run" / "label_quality.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == [
        "sample_id", "given_label", "predicted_label", "label_quality", "weight", "loss",
        "is_label_issue",
    ]  # fmt: skip
    labels = np.load(tmp_path / "run" / "labels.npy")
    probabilities = np.load(tmp_path / "run" / "pred_probs.npy")
    assert len(rows) == len(labels) == len(probabilities) == summary["samples"]["train"]
    np.testing.assert_allclose(probabilities.sum(1), 1, atol=1e-5)
    assert [int(row["given_label"]) for row in rows] == labels.tolist()
    assert [int(row["predicted_label"]) for row in rows] == probabilities.argmax(1).tolist()
    loss = np.array([float(row["loss"]) for row in rows])
    np.testing.assert_allclose(
        loss, -np.log(probabilities[np.arange(len(labels)), labels]), atol=1e-4
    )
    issues = [row["is_label_issue"] == "True" for row in rows]
    assert issues == (probabilities.argmax(1) != labels).tolist()
    truth = load_digits().target[[int(row["sample_id"]) for row in rows]]
    quality = np.array([float(row["label_quality"]) for row in rows])
    auc = roc_auc_score(labels == truth, quality)
    assert auc == pytest.approx(summary["detection_auc"]["own"]["last"], abs=1e-6)
    assert summary["noise"]["realised_rate"] == pytest.approx((labels != truth).mean())


def outcome(out: Path) -> tuple:
    """What must be bit-identical between an interrupted and an uninterrupted run."""
    state = checkpoint.load(out / "last.pt", torch.device("cpu"))
    module = state["method"]["module"]
    weights = {
        name: value.numpy().tobytes() for name, value in module.items() if torch.is_tensor(value)
    }
    files = ("metrics.jsonl", "label_quality.csv", "pred_probs.npy")
    return weights, *((out / name).read_bytes() for name in files)


KILLER = """
import os, signal, sys
import torch
torch.set_num_threads(1)
import train
from mwnet.methods import METHODS
when, how = int(sys.argv[1]), getattr(signal, sys.argv[2])
steps = 0
for method in METHODS.values():
    def step(self, *batches, original=method.step):
        global steps
        steps += 1
        if steps == when:
            os.kill(os.getpid(), how)
        return original(self, *batches)
    method.step = step
sys.exit(train.main(sys.argv[3:]))
"""


def killed(when: int, how: str, out: Path, *argv: str) -> subprocess.CompletedProcess:
    """A run in a process of its own that gets a signal just before its n-th step."""
    return subprocess.run(
        [sys.executable, "-c", KILLER, str(when), how, *QUICK, "--out", str(out), *argv],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


DROPOUT = [
    "--model", "wrn-28-10", "--model.depth", "10", "--model.width", "1", "--model.dropout", "0.3",
    "--augment", "crop", "--lr-schedule", "cosine", "--max-steps", "30",
]  # fmt: skip


@pytest.mark.parametrize(
    ("when", "argv"),
    [
        (5, ROBUST),  # before the first checkpoint
        (20, [*ROBUST, *DROPOUT]),  # in the middle of the second epoch
        (36, ["--method", "erm"]),  # at the very last step
    ],
)
def test_sigkill_and_resume_equals_an_uninterrupted_run(
    tmp_path: Path, when: int, argv: list[str]
) -> None:
    run(tmp_path / "whole", *argv)
    assert killed(when, "SIGKILL", tmp_path / "cut", *argv).returncode == -signal.SIGKILL
    assert not (tmp_path / "cut" / "summary.json").exists()
    assert train.main(["--resume", str(tmp_path / "cut"), "--threads", "1"]) == 0
    assert outcome(tmp_path / "cut") == outcome(tmp_path / "whole")


@pytest.mark.parametrize(("how", "code"), [("SIGTERM", 143), ("SIGINT", 130)])
def test_signals_write_a_checkpoint_in_mid_epoch_and_say_how_to_go_on(
    tmp_path: Path, how: str, code: int
) -> None:
    argv = [*ROBUST, *DROPOUT]
    run(tmp_path / "whole", *argv)
    stopped = killed(20, how, tmp_path / "cut", *argv)
    assert stopped.returncode == code
    assert f"python train.py --resume {tmp_path / 'cut'}" in stopped.stderr
    assert "Traceback" not in stopped.stderr
    state = checkpoint.load(tmp_path / "cut" / "last.pt", torch.device("cpu"))
    assert state["progress"]["step"] == 20
    assert train.main(["--resume", str(tmp_path / "cut"), "--threads", "1"]) == 0
    assert outcome(tmp_path / "cut") == outcome(tmp_path / "whole")


def test_resume_without_the_random_state_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Negative control: were dropout's generator not restored, the comparison would fail."""
    argv = [*ROBUST, *DROPOUT]
    run(tmp_path / "whole", *argv)
    killed(20, "SIGTERM", tmp_path / "cut", *argv)
    monkeypatch.setattr("mwnet.trainer.restore_global_states", lambda *arguments: None)
    assert train.main(["--resume", str(tmp_path / "cut"), "--threads", "1"]) == 0
    assert outcome(tmp_path / "cut") != outcome(tmp_path / "whole")


def test_more_steps_than_at_first_continue_the_same_run(tmp_path: Path) -> None:
    run(tmp_path / "whole", *ROBUST, "--max-steps", "30")
    run(tmp_path / "parts", *ROBUST, "--max-steps", "20")
    lines = (tmp_path / "parts" / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [12, 20]
    assert train.main(["--resume", str(tmp_path / "parts"), "--max-steps", "30"]) == 0
    assert outcome(tmp_path / "parts") == outcome(tmp_path / "whole")


def test_resuming_a_finished_run_writes_the_same_again(tmp_path: Path) -> None:
    run(tmp_path / "run", *ROBUST)
    before = outcome(tmp_path / "run")
    (tmp_path / "run" / "label_quality.csv").unlink()
    assert train.main(["--resume", str(tmp_path / "run")]) == 0
    assert outcome(tmp_path / "run") == before


def test_seeds_differ_and_repeat(tmp_path: Path) -> None:
    for name, seed in (("a", "0"), ("b", "0"), ("c", "1")):
        run(tmp_path / name, *ROBUST, "--seed", seed)
    assert outcome(tmp_path / "a") == outcome(tmp_path / "b")
    assert outcome(tmp_path / "a") != outcome(tmp_path / "c")


def test_resume_from_another_configuration_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    run(out, *ROBUST)
    assert train.main(["--resume", str(out), "--lr", "0.5"]) == 2
    message = capsys.readouterr().err
    assert "lr" in message
    assert "0.5" in message
    values = yaml.safe_load((out / "config.yaml").read_text())
    (out / "config.yaml").write_text(yaml.safe_dump({**values, "batch_size": 50}))
    assert train.main(["--resume", str(out)]) == 2
    assert "batch_size = 100" in capsys.readouterr().err


BAD_INPUT = [
    (["--method", "mwnett"], ["mwnett", "did you mean mwnet?"]),
    (["--model", "resnet23"], ["resnet23", "did you mean resnet32?"]),
    (["--loss", "cee"], ["cee", "did you mean ce?"]),
    (["--meta-loss", "mea"], ["mea", "did you mean mae?"]),
    (["--noise", "unifrom"], ["unifrom", "did you mean uniform?"]),
    (["--dataset", "digitss"], ["digitss", "did you mean digits?"]),
    (["--device", "cuda:7"], ["cuda:7", "not available"]),
    (["--device", "warp"], ["warp", "not available"]),
    (["--model.wdith", "8"], ["wdith", "did you mean width?"]),
    (["--model.width", "wide"], ["--model.width", "wide", "no number"]),
    (["--model.depth", "0"], ["depth"]),
    (["--loss.alpha", "1"], ["alpha", "it has none"]),
    (["--model", "resnet32", "--model.depth", "9"], ["6n + 2", "9"]),
    (["--meta-size", "2000"], ["2000", "too few", "--meta-size"]),
    (["--validation-size", "1400"], ["1400", "too few"]),
    (["--meta-size", "0"], ["--meta-size above 0"]),
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
    own = [
        "--dataset",
        "arrays",
        "--data",
        str(tmp_path / "my.npz"),
        "--out",
        str(tmp_path / "run"),
    ]
    assert "--meta-noisy" in fails(capsys, *own)
    assert not (tmp_path / "run").exists()


def test_a_folder_that_holds_something_is_never_touched(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "thesis.tex").write_text("precious")
    assert "exists already" in fails(capsys, "--out", str(tmp_path))
    run(tmp_path / "run", *ROBUST)
    assert "--resume" in fails(capsys, "--out", str(tmp_path / "run"))
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
    assert f"--resume {out}" in message
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
        if self.steps == 16:
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


@pytest.mark.parametrize("kind", ["arrays", "table", "folder"])
def test_own_data_without_truth(tmp_path: Path, kind: str) -> None:
    x, y = load_digits(return_X_y=True)
    x, y = x[:400], y[:400]
    path = tmp_path / {"arrays": "my.npz", "table": "my.csv", "folder": "my"}[kind]
    extra = []
    if kind == "arrays":
        np.savez(path, x=x.astype(np.float32), y=np.array([f"number {label}" for label in y]))
    elif kind == "table":
        header = ",".join([*(f"pixel{i}" for i in range(64)), "label"])
        np.savetxt(path, np.column_stack([x, y]), "%d", ",", header=header, comments="")
    else:
        from PIL import Image

        for i, label in enumerate(y):
            (path / f"=digit {label}").mkdir(parents=True, exist_ok=True)
            image = Image.fromarray((x[i].reshape(8, 8) * 15).astype(np.uint8))
            image.save(path / f"=digit {label}" / f"{i}.png")
        extra = ["--image-size", "8", "--model", "mlp2", "--augment", "crop"]
    summary = run(tmp_path / "run", "--dataset", kind, "--data", str(path), *extra, *ROBUST)
    assert summary["detection_auc"] is None
    assert summary["noise"]["realised_rate"] is None
    assert summary["samples"] == {"train": 288, "meta": 32, "validation": 0, "test": 80}
    with (tmp_path / "run" / "label_quality.csv").open() as file:
        row = next(csv.DictReader(file))
    if kind == "folder":  # names that a spreadsheet would take for a formula are disarmed
        assert row["sample_id"].startswith("'=digit")
        assert row["given_label"].startswith("'=digit")
    with (tmp_path / "run" / "label_quality_heldout.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 80 + 32


def test_human_labels_from_a_file(tmp_path: Path) -> None:
    """The labels are those of the non-test samples, in the order of their ids."""
    y = load_digits().target
    training = np.flatnonzero(~np.isin(np.arange(len(y)), load("digits").test_ids))
    human = np.where(np.arange(len(training)) % 3 == 0, (y[training] + 1) % 10, y[training])
    np.savez(tmp_path / "labels.npz", worse=human)
    flags = ["--noise", "file", "--noise-file", f"{tmp_path / 'labels.npz'}:worse"]
    summary = run(tmp_path / "run", *flags, *ROBUST)
    assert summary["noise"]["name"] == "file"
    assert summary["noise"]["realised_rate"] == pytest.approx(1 / 3, abs=0.02)
    with (tmp_path / "run" / "label_quality.csv").open() as file:
        rows = {int(row["sample_id"]): int(row["given_label"]) for row in csv.DictReader(file)}
    given = dict(zip(training.tolist(), human.tolist(), strict=True))
    assert all(given[sample] == label for sample, label in rows.items())
