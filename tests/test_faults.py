"""What a campaign against the program found: each fault, and the right answer."""

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from commands import QUICK, ROBUST, ROOT, fails, outcome, run

import mwnet
import train
from mwnet.config.checks import validate
from mwnet.config.recipes import load_yaml
from mwnet.core import files
from mwnet.core.commands import guarded
from mwnet.core.errors import UserError
from mwnet.training import checkpoint

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("epochs", 10**30), ("seed", 2**63), ("seeds", 10**9), ("threads", 10**6),
        ("lr_milestones", [10**30]), ("lr", float("inf")), ("unfreeze_lr", float("nan")),
        ("epochs", True), ("lr", False), ("noise_seed", True), ("model", True),
    ],
)  # fmt: skip
def test_numbers_that_no_machine_holds_and_truth_values_are_refused(name: str, value: Any) -> None:
    with pytest.raises(UserError, match=f"^`{name}` got"):
        validate({name: value})


def test_the_largest_numbers_are_options() -> None:
    assert validate({"seed": 2**63 - 1, "epochs": 1_000_000}).seed == 2**63 - 1
    assert validate({"nesterov": True, "amp": False}).amp == "off"


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {"a": 1}, [1]])
def test_a_hyper_parameter_of_no_use_is_named(value: Any) -> None:
    with pytest.raises(UserError, match=r"^`loss\.q` got .* finite number or a word"):
        validate({"loss": "gce", "loss_options": {"q": value}})


def test_features_of_a_data_set_that_has_none(capsys: pytest.CaptureFixture[str]) -> None:
    assert "--features is for your own --data and the sets of torchvision" in fails(
        capsys, "--features", "tfidf"
    )


def test_a_flag_without_a_value(capsys: pytest.CaptureFixture[str]) -> None:
    assert "--lag/--no-lag takes no value: leave 'maybe' out" in fails(capsys, "--lag=maybe")


def recipe(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "recipe.yaml"
    path.write_text(text)
    return path


def test_a_key_that_stands_there_twice(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="the key 'lr' stands there twice"):
        load_yaml(recipe(tmp_path, "lr: 1\nepochs: 2\nlr: 2\n"))


def test_options_that_are_a_list(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = recipe(tmp_path, "dataset: digits\nmodel_options: [1]\n")
    assert "--model-options" in fails(capsys, "--config", str(path))


def test_the_message_about_a_yaml_bomb_is_short() -> None:
    bomb: Any = "x"
    for _ in range(60):
        bomb = [bomb, bomb]
    with pytest.raises(UserError, match="`lr` got") as caught:
        validate({"lr": bomb})
    assert len(str(caught.value)) < 300


def test_no_memory_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    def hungry() -> int:
        raise MemoryError

    assert guarded("mwnet train", hungry) == 2
    assert "there is not enough memory" in capsys.readouterr().err


def test_any_bit_of_a_checkpoint(tmp_path: Path) -> None:
    state = {"weights": torch.arange(300.0), "progress": {"step": 7, "name": "word"}}
    checkpoint.save(tmp_path, state, best=True)
    path = tmp_path / "last.pt"
    whole = path.read_bytes()
    refused = 0
    for place in range(0, len(whole), 7):
        flipped = bytearray(whole)
        flipped[place] ^= 1 << (place % 8)
        path.write_bytes(flipped)
        try:
            found = checkpoint.load(path, CPU)
        except UserError as error:
            refused += 1
            found, said = state, str(error)
        else:  # a byte that says nothing, such as padding
            said = f"{tmp_path / 'best.pt'} is whole: copy it to {path}"
        assert f"{tmp_path / 'best.pt'} is whole: copy it to {path}" in said
        assert torch.equal(found["weights"], state["weights"])
        assert found["progress"] == state["progress"]
    assert refused > len(whole) // 7 // 2


def test_a_run_goes_on_from_the_checkpoint_before(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    run(out, *ROBUST)
    before = outcome(out)
    content = (out / "last.pt").read_bytes()
    (out / "last.pt").write_bytes(content[: len(content) // 2])
    assert train.main(["--resume", str(out)]) == 2
    assert f"{out / 'best.pt'} is whole" in capsys.readouterr().err
    (out / "best.pt").replace(out / "last.pt")
    assert train.main(["--resume", str(out)]) == 0
    assert outcome(out) == before


def test_a_changed_byte_of_a_network(tmp_path: Path) -> None:
    out = tmp_path / "run"
    run(out, *ROBUST, "--epochs", "1")
    opened = mwnet.load(out)
    assert np.isfinite(opened.predict_proba(np.zeros((1, 8, 8)))).all()
    path = out / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"model\.safetensors is damaged, or of another run"):
        mwnet.load(out).predict_proba(np.zeros((1, 8, 8)))


@pytest.mark.skipif(files.fcntl is None, reason="the system has no such locks")
def test_a_run_folder_has_one_process(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "run"
    argv = [*QUICK, "--epochs", "100000", "--method", "erm", "--out", str(out)]
    first = subprocess.Popen(
        [sys.executable, "train.py", *argv], cwd=ROOT, stdout=subprocess.DEVNULL
    )
    try:
        started = time.monotonic()
        while not (out / "last.pt").exists():
            assert first.poll() is None
            assert time.monotonic() - started < 120
            time.sleep(0.05)
        assert train.main(["--resume", str(out)]) == 2
        assert f"another process works in {out}" in capsys.readouterr().err
        assert first.poll() is None
    finally:
        first.send_signal(signal.SIGKILL)
        first.wait()
    with files.held(out):
        pass


def test_a_disk_without_locks_holds_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(*arguments: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    assert files.fcntl is not None
    monkeypatch.setattr(files.fcntl, "flock", missing)
    with files.held(tmp_path), files.held(tmp_path):
        pass


def test_a_resumed_run_removes_leftovers_at_any_depth(tmp_path: Path) -> None:
    out = tmp_path / "run"
    run(out, *ROBUST)
    (out / "figures").mkdir()
    (out / "figures" / ".training.png.abc.tmp").write_bytes(b"half")
    (out / ".folder.abc.tmp").mkdir()
    assert train.main(["--resume", str(out)]) == 0
    assert not list(out.rglob("*.tmp"))
