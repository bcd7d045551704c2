"""A run whose files are missing, cut off or something else: one sentence names the file."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from commands import ROBUST, run

import mwnet
import train
from mwnet.__main__ import main
from mwnet.runs.folder import RunFolder
from mwnet.training import checkpoint

Damage = Callable[[Path], Any]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("whole") / "run"
    run(out, *ROBUST, "--epochs", "1", "--model.width", "4")
    return out


@pytest.fixture
def damaged(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "run"))


def missing(path: Path) -> None:
    path.unlink()


def empty(path: Path) -> None:
    path.write_bytes(b"")


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def noise(path: Path) -> None:
    path.write_bytes(bytes(range(256)) * 4)


def other_json(path: Path) -> None:
    path.write_text("[1, 2]")


def other_table(path: Path) -> None:
    path.write_text("name,score\na,1\n")


def a_word_for_a_number(path: Path) -> None:
    header, first, *rest = path.read_text().splitlines()
    cells = first.split(",")
    cells[3] = "high"
    path.write_text("\n".join([header, ",".join(cells), *rest]) + "\n")


def one_line_less(path: Path) -> None:
    path.write_text("\n".join(path.read_text().splitlines()[:-1]) + "\n")


def other_array(path: Path) -> None:
    np.save(path, np.zeros((3, 2, 2), dtype=complex))


def short_array(path: Path) -> None:
    np.save(path, np.load(path)[:5])


def far_classes(path: Path) -> None:
    np.save(path, np.load(path) + 90)


def no_classes(path: Path) -> None:
    summary = json.loads(path.read_text())
    del summary["classes"]
    path.write_text(json.dumps(summary))


def said(act: Callable[[], Any], name: str) -> None:
    with pytest.raises(ValueError, match=name) as caught:
        act()
    assert type(caught.value).__name__ == "UserError"
    assert str(caught.value).count("\n") == 0


BYTES = (missing, empty, cut, noise)


@pytest.mark.parametrize("damage", [*BYTES, other_json, no_classes])
def test_summary(damaged: Path, damage: Damage) -> None:
    damage(damaged / "summary.json")
    if damage is missing:
        said(lambda: mwnet.load(damaged), "is not finished")
    else:
        said(lambda: mwnet.load(damaged), r"summary\.json")


@pytest.mark.parametrize(
    "damage", [*BYTES, other_json, other_table, a_word_for_a_number, one_line_less]
)
def test_label_quality(damaged: Path, damage: Damage) -> None:
    damage(damaged / "label_quality.csv")
    said(lambda: mwnet.load(damaged).label_issues, r"label_quality\.csv")


@pytest.mark.parametrize("damage", [*BYTES, other_json, other_array, short_array])
@pytest.mark.parametrize("name", ["pred_probs.npy", "labels.npy"])
def test_predictions(damaged: Path, damage: Damage, name: str) -> None:
    damage(damaged / name)
    said(lambda: mwnet.load(damaged).label_issues, name)


def test_class_ids(damaged: Path) -> None:
    far_classes(damaged / "labels.npy")
    said(lambda: mwnet.load(damaged).label_issues, r"labels\.npy has class ids outside")


@pytest.mark.parametrize("damage", [*BYTES, other_json])
@pytest.mark.parametrize("name", ["model.json", "model.safetensors"])
def test_model(damaged: Path, damage: Damage, name: str) -> None:
    damage(damaged / name)
    said(lambda: mwnet.load(damaged).model, name)


@pytest.mark.parametrize("damage", [*BYTES, other_json])
@pytest.mark.parametrize("name", ["config.yaml", "last.pt"])
def test_resume(
    damaged: Path, damage: Damage, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if (name, damage) in (("last.pt", missing), ("config.yaml", cut)):
        pytest.skip("begins anew, or is still a configuration")
    damage(damaged / name)
    assert train.main(["--resume", str(damaged)]) == 2
    message = capsys.readouterr().err
    assert name in message
    assert message.count("\n") == 1


def test_a_checkpoint_without_its_parts(damaged: Path) -> None:
    torch.save({"format": checkpoint.FORMAT, "method": {}}, damaged / "last.pt")
    said(lambda: RunFolder(damaged).load(torch.device("cpu")), r"last\.pt is damaged")


@pytest.mark.parametrize("damage", [cut, noise, other_json])
def test_metrics(damaged: Path, damage: Damage) -> None:
    damage(damaged / "metrics.jsonl")
    said(RunFolder(damaged).history, r"metrics\.jsonl")


def test_several_seeds_are_no_single_run(tmp_path: Path) -> None:
    argv = ["--method", "erm", "--model.width", "4", "--seeds", "2", "--epochs", "1"]
    run(tmp_path / "run", *argv)
    said(lambda: mwnet.load(tmp_path / "run"), "several seeds: take one of them, .*seed-0")
    assert mwnet.load(tmp_path / "run" / "seed-0").summary["seed"] == 0


def test_predict_names_a_damaged_model(damaged: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cut(damaged / "model.json")
    assert main(["predict", str(damaged), "--data", "x.csv"]) == 2
    assert "model.json" in capsys.readouterr().err
