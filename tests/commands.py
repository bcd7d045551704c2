"""How the tests run train.py, and what two equal runs have in common."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

import train
from mwnet.training import checkpoint

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


def outcome(out: Path) -> tuple:
    """What must be bit-identical between an interrupted and an uninterrupted run."""
    state = checkpoint.load(out / "last.pt", torch.device("cpu"))
    files = ("metrics.jsonl", "label_quality.csv", "pred_probs.npy")
    return frozen(state["method"]), *((out / name).read_bytes() for name in files)


def frozen(value: Any) -> Any:
    """A nested state whose tensors are bytes, so that == compares bits, NaN included."""
    if torch.is_tensor(value):
        return value.dtype, value.shape, value.detach().numpy().tobytes()
    if isinstance(value, dict):
        return {name: frozen(entry) for name, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [frozen(entry) for entry in value]
    return value
