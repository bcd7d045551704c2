"""The user's own data: what is accepted, and one sentence for each thing that is not."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mwnet.data import user

X = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)
Y = np.array([0, 1, 0, 1, 0, 1])


def npz(tmp_path: Path, **arrays: np.ndarray) -> Path:
    path = tmp_path / "data.npz"
    np.savez(path, **arrays)
    return path


def csv(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "data.csv"
    path.write_text(text)
    return path


def test_arrays_with_every_part(tmp_path: Path) -> None:
    truth = np.array([0, 1, 0, 1, 0, 0])
    path = npz(tmp_path, x=X, y=Y, y_true=truth, x_test=X[:2], y_test=Y[:2])
    data = user.arrays(path)
    assert data.x.shape == (8, 3, 1, 1)
    assert data.labels.tolist() == [0, 1, 0, 1, 0, 1, 0, 1]
    assert data.truth is not None
    assert data.truth.tolist() == [0, 1, 0, 1, 0, 0, 0, 1]
    assert data.test_ids is not None
    assert data.test_ids.tolist() == [6, 7]


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        (np.array(["dog", "cat", "dog", "cat", "dog", "cat"]), ("cat", "dog")),
        (np.array([30, 4, 30, 4, 30, 4], dtype=np.uint8), ("4", "30")),
        (np.array([2.0, 1.0, 2.0, 1.0, 2.0, 1.0]), ("1", "2")),
        (np.array([True, False, True, False, True, False]), ("0", "1")),
    ],
)
def test_labels_are_sorted_classes(tmp_path: Path, labels: np.ndarray, classes: tuple) -> None:
    data = user.arrays(npz(tmp_path, x=X, y=labels))
    assert data.classes == classes
    assert data.labels.tolist() == [1, 0, 1, 0, 1, 0]
    assert data.truth is None


def test_images_keep_their_bytes(tmp_path: Path) -> None:
    x = np.arange(6 * 8 * 8 * 3, dtype=np.uint8).reshape(6, 8, 8, 3)
    data = user.arrays(npz(tmp_path, x=x, y=Y))
    assert data.x.dtype == torch.uint8
    assert torch.equal(data.x[2, :, 5, 1], torch.from_numpy(x[2, 5, 1]))


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": X}, "holds x; it needs x and y"),
        ({"x": X, "y": Y, "z": Y}, "holds x, y, z"),
        ({"x": X, "y": Y, "x_test": X}, "x_test with y_test"),
        ({"x": X, "y": Y[:5]}, r"x has \(6,\) samples and y has \(5,\)"),
        ({"x": X, "y": Y, "y_true": Y[:5]}, r"y_true has \(5,\)"),
        ({"x": X, "y": np.where(Y == 1, 2.5, 0)}, "label of sample 1 is 2.5"),
        ({"x": X, "y": np.where(Y == 1, np.nan, 0)}, "label of sample 1 is missing"),
        ({"x": X, "y": np.array(["a", "", "a", "b", "b", "b"])}, "label of sample 1 is missing"),
        ({"x": X, "y": np.zeros(6)}, "at least 2 classes, got 1"),
        ({"x": X, "y": np.eye(6)}, "one label per sample"),
        ({"x": X, "y": np.array(3)}, "one label per sample"),
        ({"x": X, "y": np.array(["a", "nan", "a", "b", "b", "b"])}, "sample 1 is missing"),
        ({"x": X, "y": Y, "x_test": X[:0], "y_test": Y[:0]}, "there must be some"),
        ({"x": X, "y": Y, "x_test": X, "y_test": Y + 1}, "class 2, which is absent"),
        ({"x": X, "y": Y, "x_test": X[:, :2], "y_test": Y}, "must be alike"),
        ({"x": np.where(np.eye(6, 3) == 1, np.nan, X), "y": Y}, "sample 0, position .0,. is nan"),
        ({"x": X.astype(str), "y": Y}, "x must hold numbers"),
        ({"x": X[:, 0], "y": Y}, "1 to 3 dimensions"),
    ],
)
def test_bad_arrays(tmp_path: Path, arrays: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        user.arrays(npz(tmp_path, **arrays))


def test_files_that_are_no_arrays(tmp_path: Path) -> None:
    path = tmp_path / "data.npz"
    with pytest.raises(ValueError, match="there is no file"):
        user.arrays(path)
    path.write_bytes(b"not a zip file")
    with pytest.raises(ValueError, match=r"no readable \.npz"):
        user.arrays(path)


def test_damaged_arrays(tmp_path: Path) -> None:
    path = npz(tmp_path, x=X, y=Y)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=r"no readable \.npz"):
        user.arrays(path)
    path.write_bytes(whole.replace(X.tobytes()[:8], b"\0" * 8, 1))
    with pytest.raises(ValueError, match=r"no readable \.npz"):
        user.arrays(path)
    np.save(tmp_path / "x.npy", X)
    with pytest.raises(ValueError, match=r"no readable \.npz"):
        user.arrays(tmp_path / "x.npy")


def test_an_npz_with_pickled_objects_is_refused(tmp_path: Path) -> None:
    path = npz(tmp_path, x=X, y=np.array([{}] * 6, dtype=object))
    with pytest.raises(ValueError, match="plain arrays"):
        user.arrays(path)


def test_table(tmp_path: Path) -> None:
    data = user.table(csv(tmp_path, "a,kind,b\n1,dog,2\n3,cat,4.5\n5,dog,-6\n"), "kind")
    assert data.classes == ("cat", "dog")
    assert data.labels.tolist() == [1, 0, 1]
    assert data.x[:, :, 0, 0].tolist() == [[1, 2], [3, 4.5], [5, -6]]


def test_table_with_integer_classes_sorts_them_as_numbers(tmp_path: Path) -> None:
    data = user.table(csv(tmp_path, "a,label\n1,10\n3,9\n5,10\n"), "label")
    assert data.classes == ("9", "10")


def test_table_with_the_truth_does_not_learn_from_it(tmp_path: Path) -> None:
    data = user.table(csv(tmp_path, "y_true,a,label\n0,5,1\n1,6,1\n0,7,0\n"), "label")
    assert data.x[:, :, 0, 0].tolist() == [[5], [6], [7]]
    assert data.labels.tolist() == [1, 1, 0]
    assert data.truth is not None
    assert data.truth.tolist() == [0, 1, 0]


def test_codes_with_leading_zeros_stay_apart(tmp_path: Path) -> None:
    data = user.table(csv(tmp_path, "a,label\n1,007\n3,7\n5,007\n"), "label")
    assert data.classes == ("007", "7")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1,2\n", "no column 'label'; name one of a, b"),
        ("label\nx\n", "no feature"),
        ("a,label\n", "at least one row"),
        ("a,label\n1,x\n2\n", "row 3 has 1 cells, the header 2"),
        ("a,label\n1,x\nred,y\n", "row 3, column 'a' holds 'red'"),
        ("a,label\n1,x\n,y\n", "row 3, column 'a' holds ''"),
        ("a,label\n1,x\nnan,y\n", "sample 1, column 'a' is nan"),
        ("a,label\n1,x\n2,\n", "label of sample 1 is missing"),
        ("a,label\n1,1\n2,NaN\n", "label of sample 1 is missing"),
        ("a,label\n1,1\n2,2.5\n", "label of sample 1 is 2.5"),
        ("a,label\n1,1\n2,1\n", "at least 2 classes"),
    ],
)
def test_bad_tables(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        user.table(csv(tmp_path, text), "label")


def tree(root: Path, parts: tuple[str, ...] = ("",)) -> Path:
    for part in parts:
        for label, shade in (("cats", 40), ("dogs", 200)):
            folder = root / part / label
            folder.mkdir(parents=True)
            for number in range(3):
                image = Image.new("RGB", (20 + number, 12), (shade, number, 0))
                image.save(folder / f"{number}.png")
    return root


def test_folder(tmp_path: Path) -> None:
    data = user.folder(tree(tmp_path), 8, skip_bad=False)
    assert data.x.shape == (6, 3, 8, 8)
    assert data.classes == ("cats", "dogs")
    assert data.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert data.names is not None
    assert data.names[4] == "dogs/1.png"
    assert data.x[4, :, 3, 3].tolist() == [200, 1, 0]
    assert data.test_ids is None


def test_folder_with_its_own_test_part(tmp_path: Path) -> None:
    data = user.folder(tree(tmp_path, ("train", "test")), 8, skip_bad=False)
    assert data.test_ids is not None
    assert data.test_ids.tolist() == list(range(6, 12))
    assert data.labels.tolist() == [0, 0, 0, 1, 1, 1] * 2


@pytest.mark.parametrize("name", ["val", "valid", "validation"])
def test_other_names_of_the_held_out_part(tmp_path: Path, name: str) -> None:
    data = user.folder(tree(tmp_path, ("train", name)), 8, skip_bad=False)
    assert data.classes == ("cats", "dogs")
    assert data.test_ids is not None
    assert data.test_ids.tolist() == list(range(6, 12))


def test_hidden_files_are_no_samples(tmp_path: Path) -> None:
    root = tree(tmp_path)
    for strange in (".ipynb_checkpoints/1.png", "__MACOSX/cats/1.png", "cats/._1.png"):
        (root / strange).parent.mkdir(parents=True, exist_ok=True)
        (root / strange).write_bytes(b"not an image")
    assert len(user.folder(root, 8, skip_bad=False).labels) == 6


def test_training_part_without_a_readable_image(tmp_path: Path) -> None:
    root = tree(tmp_path, ("train", "test"))
    for file in (root / "train").rglob("*.png"):
        file.write_bytes(b"broken")
    with pytest.raises(ValueError, match="train holds no readable images"):
        user.folder(root, 8, skip_bad=True)


def test_corrupt_image_is_named_or_left_out(tmp_path: Path) -> None:
    root = tree(tmp_path)
    (root / "cats" / "1.png").write_bytes(b"\x89PNG broken")
    (root / "dogs" / "9.jpg").write_bytes(b"")
    with pytest.raises(ValueError, match=r"cats/1\.png is no readable image"):
        user.folder(root, 8, skip_bad=False)
    data = user.folder(root, 8, skip_bad=True)
    assert data.skipped == 2
    assert len(data.labels) == 5
    assert "9.jpg" in data.notes[0]


def test_truncated_image_is_corrupt(tmp_path: Path) -> None:
    root = tree(tmp_path)
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(root / "cats" / "5.jpg")
    whole = (root / "cats" / "5.jpg").read_bytes()
    (root / "cats" / "5.jpg").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=r"5\.jpg is no readable image"):
        user.folder(root, 8, skip_bad=False)


@pytest.mark.parametrize(
    ("prepare", "message"),
    [
        (lambda root: root / "none", "there is no folder"),
        (lambda root: root, "holds no readable images in class folders"),
    ],
)
def test_no_folder(tmp_path: Path, prepare: Callable[[Path], Path], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        user.folder(prepare(tmp_path), 8, skip_bad=False)


def test_test_class_that_training_lacks(tmp_path: Path) -> None:
    root = tree(tmp_path, ("train", "test"))
    (root / "test" / "birds").mkdir()
    Image.new("RGB", (9, 9)).save(root / "test" / "birds" / "0.png")
    with pytest.raises(ValueError, match="birds, which is absent from training"):
        user.folder(root, 8, skip_bad=False)
