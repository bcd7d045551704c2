"""Clothing1M, on a tiny tree of its layout."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from commands import run
from PIL import Image

import train
from mwnet.builders.experiment import build
from mwnet.config.schema import Config
from mwnet.data import batches
from mwnet.data.batches import Pixels
from mwnet.data.clothing1m import clothing1m

CLASSES = ["T-Shirt", "Down Coat", "Underwear"]


def make(root: Path, train_size: int = 18, test_size: int = 6) -> Path:
    """Images whose colour is their class, half of the training labels moved on by one."""
    rng = np.random.default_rng(0)
    lists = {"noisy_train": [], "clean_test": []}
    labels = {"noisy": [], "clean": []}
    for i in range(train_size + test_size):
        true = i % len(CLASSES)
        key = f"images/{i % 10}/{i:02d}/{i} a.jpg"
        pixels = rng.integers(0, 60, (30, 40, 3), dtype=np.uint8)
        pixels[:, :, true] += 180
        (root / key).parent.mkdir(parents=True)
        Image.fromarray(pixels).save(root / key)
        part, given = ("noisy", (true + i % 2) % 3) if i < train_size else ("clean", true)
        lists["noisy_train" if part == "noisy" else "clean_test"].append(key)
        labels[part].append(f"{key} {given}")
    labels["clean"].append("images/elsewhere.jpg 0")  # the real list has more than the test part
    for name, lines in lists.items():
        (root / f"{name}_key_list.txt").write_text("\n".join(lines) + "\n")
    for name, lines in labels.items():
        (root / f"{name}_label_kv.txt").write_text("\n".join(lines) + "\n")
    (root / "category_names_eng.txt").write_text("\n".join(CLASSES) + "\n")
    return root


def test_the_parts_and_their_labels(tmp_path: Path) -> None:
    source = clothing1m(make(tmp_path), 16)
    assert source.classes == tuple(CLASSES)
    assert source.x.shape == (24, 3, 16, 16)
    assert source.x.dtype == torch.uint8
    assert source.truth is None
    assert source.clean_test
    assert source.test_ids is not None
    assert source.test_ids.tolist() == list(range(18, 24))
    true = torch.arange(24) % 3
    assert source.x.float().mean((2, 3)).argmax(1).equal(true)
    assert source.labels[18:].equal(true[18:])
    assert source.labels[:18].equal((true + torch.arange(24) % 2)[:18] % 3)
    assert source.names is not None
    assert source.names[3] == "images/3/03/3 a.jpg"


def test_images_are_decoded_once_for_a_size_and_a_list(tmp_path: Path) -> None:
    root = make(tmp_path)
    first = clothing1m(root, 16).x.clone()
    (root / "images/0/00/0 a.jpg").unlink()
    assert clothing1m(root, 16).x.equal(first)
    with pytest.raises(ValueError, match=r"0 a.jpg is no readable image .*off its key list"):
        clothing1m(root, 8)
    keys = (root / "noisy_train_key_list.txt").read_text().splitlines()
    (root / "noisy_train_key_list.txt").write_text("\n".join(keys[1:]))
    assert clothing1m(root, 16).x.equal(first[1:])
    assert not list(root.glob(".*"))


def test_a_damaged_file_of_decoded_images_is_refused(tmp_path: Path) -> None:
    root = make(tmp_path)
    clothing1m(root, 16)
    (decoded,) = root.glob("*.uint8")
    decoded.write_bytes(decoded.read_bytes()[:-1])
    with pytest.raises(ValueError, match=r"has 18431 bytes instead of 18432: remove it"):
        clothing1m(root, 16)


def test_a_run_is_known_by_lists_and_labels(tmp_path: Path) -> None:
    root = make(tmp_path)
    config = Config(dataset="clothing1m", data_root=root, image_size=16, method="erm", meta_size=0,
                    model="mlp2", noise="none", noise_rate=0.0, batch_size=8)  # fmt: skip
    before = build(config).identity()
    assert build(config).identity() == before
    labels = root / "noisy_label_kv.txt"
    labels.write_text(labels.read_text().replace("0 a.jpg 0", "0 a.jpg 2"))
    assert build(config).identity() != before


def test_a_run_measures_with_clean_test_labels(tmp_path: Path) -> None:
    root = make(tmp_path / "set", train_size=60)
    out = tmp_path / "run"
    options = ["--dataset", "clothing1m", "--data-root", str(root), "--image-size", "16"]
    smaller = ["--model", "mlp2", "--epochs", "6", "--batch-size", "10", "--max-steps", "12"]
    run(out, *options, *smaller)
    summary = json.loads((out / "summary.json").read_text())
    assert summary["test_labels"] == "true"
    assert summary["detection_auc"] is None
    assert summary["samples"] == {"train": 60, "meta": 0, "validation": 0, "test": 6}
    assert summary["method"] == "erm"


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        (
            "noisy_label_kv.txt",
            "images/0/00/0 a.jpg 3\n",
            "a path and a class from 0 to 2",
        ),
        ("noisy_label_kv.txt", "images/x.jpg 0\n", "which noisy_label_kv.txt lacks"),
        ("clean_test_key_list.txt", "\n", "clean_test_key_list.txt is empty"),
        ("category_names_eng.txt", None, "--data-root must be the folder of Clothing1M"),
    ],
)
def test_what_is_wrong_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture, name: str, text: str | None, sentence: str
) -> None:
    root = make(tmp_path / "set")
    (root / name).unlink()
    if text is not None:
        (root / name).write_text(text)
    out = tmp_path / "run"
    options = ["--dataset", "clothing1m", "--data-root", str(root), "--out", str(out)]
    assert train.main(options) == 2
    assert sentence in capsys.readouterr().err
    assert not out.exists()
    assert not list(root.glob("*.uint8"))


def test_a_set_too_large_for_the_gpu_stays_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    x = torch.zeros(10, 3, 8, 8, dtype=torch.uint8)
    device = torch.device("cuda:0")
    for free, stays in ((2 * x.nbytes - 1, True), (2 * x.nbytes, False)):
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _, free=free: (free, 1 << 40))
        moved = []
        monkeypatch.setattr(torch.Tensor, "to", lambda self, to, moved=moved: moved.append(to))
        batches._nearby(x, device)
        assert moved == ([] if stays else [device])


def test_mean_and_std_do_not_depend_on_the_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    x = torch.randint(0, 256, (40, 3, 6, 6), dtype=torch.uint8)
    ids = torch.arange(5, 40)
    cpu = torch.device("cpu")
    whole = Pixels.of(x, ids, cpu)
    monkeypatch.setattr(batches, "CHUNK_ELEMENTS", 3 * 36 * 4)
    parts = Pixels.of(x, ids, cpu)
    assert torch.allclose(whole.mean, x[5:].double().mean((0, 2, 3))[:, None, None].float())
    assert torch.allclose(parts.mean, whole.mean, rtol=1e-6)
    assert torch.allclose(parts.std, whole.std, rtol=1e-6)
