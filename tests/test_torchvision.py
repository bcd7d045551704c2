"""torchvision behind its lazy import, and its data sets on tiny files of the real format."""

import struct
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import train
from mwnet.data.builtin import TORCHVISION, torchvision_set
from mwnet.models import torchvision_import
from mwnet.models.torchvision_import import torchvision


def test_torchvision_imports_and_its_models_run() -> None:
    module = torchvision()
    assert module is torchvision()
    with torch.no_grad():
        model = module.models.resnet18(num_classes=3).eval()
        assert model(torch.zeros(1, 3, 32, 32)).shape == (1, 3)


def test_missing_schemas_are_declared() -> None:
    """In a fresh process: a first import that fails as beside a CPU-only torch is repeated."""
    code = """
import sys
import torch
from mwnet.models import torchvision_import
assert "torchvision" not in sys.modules
calls = []
def importing(name):
    calls.append(name)
    if len(calls) == 1:
        raise RuntimeError("operator torchvision::nms does not exist")
    return name
torchvision_import.importlib.import_module = importing
assert not hasattr(torch.ops.torchvision, "nms")
assert torchvision_import.torchvision() == "torchvision"
assert calls == ["torchvision"] * 2
assert hasattr(torch.ops.torchvision, "nms") and hasattr(torch.ops.torchvision, "qnms")
"""
    root = Path(train.__file__).parent
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr


def test_a_torchvision_that_works_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torchvision_import, "_declared", [])
    fine = SimpleNamespace(__name__="torchvision")
    monkeypatch.setattr(torchvision_import.importlib, "import_module", lambda name: fine)
    assert torchvision() is fine
    assert torchvision_import._declared == []


def test_another_failure_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(name: str) -> object:
        raise RuntimeError("something else")

    monkeypatch.setattr(torchvision_import.importlib, "import_module", broken)
    with pytest.raises(RuntimeError, match="something else"):
        torchvision()


def mnist_files(root: Path, train_size: int = 400, test_size: int = 50) -> None:
    """Random images in MNIST's idx format."""
    folder = root / "MNIST" / "raw"
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for stem, size in (("train", train_size), ("t10k", test_size)):
        images = rng.integers(0, 256, (size, 28, 28), dtype=np.uint8)
        labels = (np.arange(size) % 10).astype(np.uint8)
        header = struct.pack(">IIII", 2051, size, 28, 28)
        (folder / f"{stem}-images-idx3-ubyte").write_bytes(header + images.tobytes())
        header = struct.pack(">II", 2049, size)
        (folder / f"{stem}-labels-idx1-ubyte").write_bytes(header + labels.tobytes())


def test_mnist_from_its_files(tmp_path: Path) -> None:
    mnist_files(tmp_path)
    data = torchvision_set("mnist", tmp_path, download=False)
    assert data.x.shape == (450, 1, 28, 28)
    assert data.x.dtype == torch.uint8
    assert data.test_ids is not None
    assert data.test_ids.tolist() == list(range(400, 450))
    assert data.labels.tolist() == [*(i % 10 for i in range(400)), *(i % 10 for i in range(50))]


def test_a_convolutional_net_runs_on_the_cpu(tmp_path: Path) -> None:
    mnist_files(tmp_path)
    argv = [
        "--dataset", "mnist", "--data-root", str(tmp_path), "--noise", "flip2",
        "--model", "resnet32", "--model.depth", "8", "--model.width", "4", "--augment", "crop-flip",
        "--max-steps", "2", "--batch-size", "20", "--meta-loss", "mae", "--meta-noisy",
        "--out", str(tmp_path / "run"), "--no-tensorboard", "--device", "cpu",
    ]  # fmt: skip
    assert train.main(argv) == 0


def test_colour_sets_get_their_channels_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Fake:
        classes = ("cat", "dog")

        def __init__(self, root: str, train: bool, download: bool) -> None:
            size = 3 if train else 2
            self.data = np.arange(size * 32 * 32 * 3, dtype=np.uint8).reshape(size, 32, 32, 3)
            self.targets = [0, 1, 0][:size]

        def __len__(self) -> int:
            return len(self.targets)

    monkeypatch.setattr(torchvision().datasets, "CIFAR10", Fake)
    data = torchvision_set("cifar10", tmp_path, download=False)
    assert data.x.shape == (5, 3, 32, 32)
    first = Fake("", True, False).data
    assert data.x[1, 2, 4, 5] == first[1, 4, 5, 2]
    assert data.classes == ("cat", "dog")


@pytest.mark.parametrize("name", sorted(TORCHVISION))
def test_a_missing_set_is_refused_with_the_way_out(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} is not complete under .* `download=True`"):
        torchvision_set(name, tmp_path, download=False)
    assert list(tmp_path.iterdir()) == []
