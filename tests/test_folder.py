"""Photos in class folders: which are found, what is refused, what they become."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from commands import run
from PIL import Image

from mwnet.data.folder import folder as read_folder
from mwnet.data.inputs import as_table
from mwnet.data.source import Source
from mwnet.runs.predict_command import main as predict


def folder(root: Path, size: int, *, skip_bad: bool) -> Source:
    return read_folder(root, features="none", image_size=size, skip_bad=skip_bad)


def tree(root: Path, parts: tuple[str, ...] = ("",)) -> Path:
    for part in parts:
        for label, shade in (("cats", 40), ("dogs", 200)):
            place = root / part / label
            place.mkdir(parents=True)
            for number in range(3):
                image = Image.new("RGB", (20 + number, 12), (shade, number, 0))
                image.save(place / f"{number}.png")
    return root


def test_folder(tmp_path: Path) -> None:
    data = folder(tree(tmp_path), 8, skip_bad=False)
    assert data.x.shape == (6, 3, 8, 8)
    assert data.classes == ("cats", "dogs")
    assert data.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert data.names is not None
    assert data.names[4] == "dogs/1.png"
    assert data.x[4, :, 3, 3].tolist() == [200, 1, 0]
    assert data.test_ids is None


def test_folder_with_its_own_test_part(tmp_path: Path) -> None:
    data = folder(tree(tmp_path, ("train", "test")), 8, skip_bad=False)
    assert data.test_ids is not None
    assert data.test_ids.tolist() == list(range(6, 12))
    assert data.labels.tolist() == [0, 0, 0, 1, 1, 1] * 2


@pytest.mark.parametrize("name", ["val", "valid", "validation", "Test", "testing", "eval"])
def test_other_names_of_the_held_out_part(tmp_path: Path, name: str) -> None:
    data = folder(tree(tmp_path, ("train", name)), 8, skip_bad=False)
    assert data.classes == ("cats", "dogs")
    assert data.test_ids is not None
    assert data.test_ids.tolist() == list(range(6, 12))


def test_names_of_photos_are_no_texts(tmp_path: Path) -> None:
    files = [str(file) for file in sorted(tree(tmp_path).rglob("*.png"))]
    with pytest.raises(ValueError, match=r"name photos: give each as a pathlib\.Path"):
        as_table(files)
    assert as_table(["no/such/file.png"]) is not None


def test_hidden_files_are_no_samples(tmp_path: Path) -> None:
    root = tree(tmp_path)
    for strange in (".ipynb_checkpoints/1.png", "__MACOSX/cats/1.png", "cats/._1.png"):
        (root / strange).parent.mkdir(parents=True, exist_ok=True)
        (root / strange).write_bytes(b"not an image")
    assert len(folder(root, 8, skip_bad=False).labels) == 6


def test_training_part_without_a_readable_image(tmp_path: Path) -> None:
    root = tree(tmp_path, ("train", "test"))
    for file in (root / "train").rglob("*.png"):
        file.write_bytes(b"broken")
    with pytest.raises(ValueError, match="train holds no readable images"):
        folder(root, 8, skip_bad=True)


def test_corrupt_image_is_named_or_left_out(tmp_path: Path) -> None:
    root = tree(tmp_path)
    (root / "cats" / "1.png").write_bytes(b"\x89PNG broken")
    (root / "dogs" / "9.jpg").write_bytes(b"")
    with pytest.raises(ValueError, match=r"cats/1\.png is no readable image"):
        folder(root, 8, skip_bad=False)
    data = folder(root, 8, skip_bad=True)
    assert data.skipped == 2
    assert len(data.labels) == 5
    assert "9.jpg" in data.notes[1]


def test_truncated_image_is_corrupt(tmp_path: Path) -> None:
    root = tree(tmp_path)
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(root / "cats" / "5.jpg")
    whole = (root / "cats" / "5.jpg").read_bytes()
    (root / "cats" / "5.jpg").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=r"5\.jpg is no readable image"):
        folder(root, 8, skip_bad=False)


@pytest.mark.parametrize(
    ("prepare", "message"),
    [
        (lambda root: root / "none", "there is no folder"),
        (lambda root: root, "holds no readable images in class folders"),
    ],
)
def test_no_folder(tmp_path: Path, prepare: Callable[[Path], Path], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        folder(prepare(tmp_path), 8, skip_bad=False)


def test_test_class_that_training_lacks(tmp_path: Path) -> None:
    root = tree(tmp_path, ("train", "test"))
    (root / "test" / "birds").mkdir()
    Image.new("RGB", (9, 9)).save(root / "test" / "birds" / "0.png")
    with pytest.raises(ValueError, match="birds, which is absent from training"):
        folder(root, 8, skip_bad=False)


def test_photos_cannot_be_predicted_from_where_the_features_came_from_elsewhere(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tree(tmp_path / "photos")
    np.save(tmp_path / "own.npy", np.random.default_rng(0).normal(size=(6, 5)))
    asked = ["--data", str(root), "--features", str(tmp_path / "own.npy")]
    run(tmp_path / "run", *asked, "--test-fraction", "0.2")
    capsys.readouterr()
    assert predict([str(tmp_path / "run"), "--data", str(root)]) == 2
    assert "not trained on photos (give features of your own as an .npy)" in capsys.readouterr().err
    assert predict([str(tmp_path / "run"), "--data", str(tmp_path / "own.npy")]) == 0
