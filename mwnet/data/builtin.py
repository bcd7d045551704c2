"""Benchmark sets: scikit-learn's digits, and what torchvision reads."""

import gzip
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch

from mwnet.data.source import Source, channels_first

TEST_IDS = "digits_test_ids.npy"
"""Of scikit-learn's ``train_test_split(test_size=360, random_state=0, stratify=y)``."""
TORCHVISION = {
    "mnist": "MNIST",
    "fashion-mnist": "FashionMNIST",
    "kmnist": "KMNIST",
    "cifar10": "CIFAR10",
    "cifar100": "CIFAR100",
}


def digits() -> Source:
    """scikit-learn's digits: 1,797 scans of 8x8 pixels, values 0 to 16.

    It has no official test part; 360 samples, stratified by class and the same for every seed, are
    held out, so that a schedule chosen on validation data of one seed has seen no other's test set.
    """
    x, y = _digits()
    test = np.load(Path(__file__).with_name(TEST_IDS)).astype(np.int64)
    labels = torch.from_numpy(y)
    return Source(
        name="digits",
        x=torch.from_numpy(x.reshape(-1, 1, 8, 8)),
        labels=labels,
        truth=labels,
        classes=tuple("0123456789"),
        test_ids=torch.from_numpy(test),
    )


def _digits() -> tuple[np.ndarray, np.ndarray]:
    """Read ``(n, 64)`` uint8 pixels and labels from scikit-learn's file.

    Importing scikit-learn for it would take longer than training.
    """
    found = find_spec("sklearn")
    assert found is not None  # a dependency
    assert found.submodule_search_locations is not None
    file = Path(found.submodule_search_locations[0]) / "datasets" / "data" / "digits.csv.gz"
    with gzip.open(file, "rb") as opened:
        rows = np.array(opened.read().replace(b"\n", b",").split(b",")[:-1], dtype=np.float64)
    rows = rows.reshape(-1, 65)
    return rows[:, :-1].astype(np.uint8), rows[:, -1].astype(np.int64)


def torchvision_set(name: str, root: Path, download: bool) -> Source:
    """One of torchvision's sets, all of it as uint8 in memory.

    Raises:
        ValueError: the set is not under ``root`` and may not be downloaded, or cannot be.
    """
    from mwnet.models.torchvision_import import torchvision

    loader = getattr(torchvision().datasets, TORCHVISION[name])
    try:
        train = loader(str(root), train=True, download=download)
        test = loader(str(root), train=False, download=download)
    except RuntimeError as error:
        raise ValueError(
            f"data set {name} is not complete under {root}/ ({' '.join(str(error).split())}); give "
            "`download=True` to fetch it, or its folder as `data_root`"
        ) from None
    except OSError as error:
        raise ValueError(f"data set {name} could not be fetched to {root}/: {error}") from None
    labels = torch.cat([torch.as_tensor(part.targets, dtype=torch.int64) for part in (train, test)])
    return Source(
        name=name,
        x=channels_first(torch.cat([torch.as_tensor(part.data) for part in (train, test)])),
        labels=labels,
        truth=labels,
        classes=tuple(map(str, train.classes)),
        test_ids=torch.arange(len(train), len(labels)),
    )
