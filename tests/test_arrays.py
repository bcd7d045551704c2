"""Arrays: which names are understood, which labels, what is refused."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from mwnet.data.arrays import arrays, embeddings
from mwnet.data.finite import finite

X = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)
Y = np.array([0, 1, 0, 1, 0, 1])


def npz(tmp_path: Path, **arrays: np.ndarray) -> Path:
    path = tmp_path / "data.npz"
    np.savez(path, **arrays)
    return path


def test_arrays_with_every_part(tmp_path: Path) -> None:
    truth = np.array([0, 1, 0, 1, 0, 0])
    path = npz(tmp_path, x=X, y=Y, y_true=truth, x_test=X[:2], y_test=Y[:2])
    data = arrays(path)
    assert data.table is not None
    assert len(data.table) == 8
    assert data.prepared(data.not_test()).x.shape == (8, 3, 1, 1)
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
        (np.array([True, False, True, False, True, False]), ("False", "True")),
    ],
)
def test_labels_are_sorted_classes(tmp_path: Path, labels: np.ndarray, classes: tuple) -> None:
    data = arrays(npz(tmp_path, x=X, y=labels))
    assert data.classes == classes
    assert data.labels.tolist() == [1, 0, 1, 0, 1, 0]
    assert data.truth is None


def test_images_keep_their_bytes(tmp_path: Path) -> None:
    x = np.arange(6 * 8 * 8 * 3, dtype=np.uint8).reshape(6, 8, 8, 3)
    data = arrays(npz(tmp_path, x=x, y=Y))
    assert data.x.dtype == torch.uint8
    assert torch.equal(data.x[2, :, 5, 1], torch.from_numpy(x[2, 5, 1]))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"x": X}, "holds x; it needs x and y"),
        ({"x": X, "y": Y, "labels": Y}, "y and labels, and each may be y"),
        ({"x": X, "y": Y, "x_test": X}, "x_test with y_test"),
        ({"x": X, "y": Y[:5]}, r"x has \(6,\) samples and y has \(5,\)"),
        ({"x": X, "y": Y, "y_true": Y[:5]}, r"y_true has \(5,\)"),
        ({"x": X, "y": np.where(Y == 1, 2.5, 0)}, "continuous target"),
        ({"x": X, "y": np.where(Y == 1, np.nan, 0)}, "label of row 2 is missing"),
        ({"x": X, "y": np.array(["a", "", "a", "b", "b", "b"])}, "label of row 2 is missing"),
        ({"x": X, "y": np.zeros(6)}, "at least 2 classes, got 1"),
        ({"x": X, "y": np.ones((6, 2), int)}, "multi-label .row 0"),
        ({"x": X, "y": np.full((6, 2), 0.5)}, "argmax"),
        ({"x": X, "y": np.zeros((6, 2, 2))}, "one label per sample"),
        ({"x": X, "y": np.array(3)}, "one label per sample"),
        ({"x": X, "y": np.array(["a", "nan", "a", "b", "b", "b"])}, "row 2 is missing"),
        ({"x": X, "y": Y, "x_test": X[:0], "y_test": Y[:0]}, "there must be some"),
        ({"x": X, "y": Y, "x_test": X, "y_test": Y + 1}, "class 2, which is absent"),
        ({"x": X, "y": Y, "x_test": X[:, :2], "y_test": Y}, "must be alike"),
        ({"x": np.where(np.eye(6, 3) == 1, np.inf, X), "y": Y}, "sample 0, feature 0 is inf"),
        ({"x": np.full((6, 2, 2), np.nan), "y": Y}, "sample 0, position .0, 0. is nan"),
        ({"x": X.astype(str), "y": Y}, "x must hold numbers"),
        ({"x": np.zeros((6, 3), np.uint8), "y": Y, "x_test": X, "y_test": Y}, "not on one scale"),
        ({"x": X[:, 0], "y": Y}, "1 to 3 dimensions"),
    ],
)
def test_bad_arrays(tmp_path: Path, content: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        arrays(npz(tmp_path, **content))


def test_files_that_are_no_arrays(tmp_path: Path) -> None:
    path = tmp_path / "data.npz"
    with pytest.raises(ValueError, match="cannot be read"):
        arrays(path)
    path.write_bytes(b"not a zip file")
    with pytest.raises(ValueError, match=r"no readable \.npz"):
        arrays(path)
    path.write_bytes(b"\x93NUMPY broken")
    with pytest.raises(ValueError, match=r"no readable \.npy"):
        arrays(path, path)


def test_damaged_arrays(tmp_path: Path) -> None:
    path = npz(tmp_path, x=X, y=Y)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=r"no readable \.npz"):
        arrays(path)
    path.write_bytes(whole.replace(X.tobytes()[:8], b"\0" * 8, 1))
    with pytest.raises(ValueError, match=r"no readable \.npz"):
        arrays(path)


def test_an_npz_with_pickled_objects_is_refused(tmp_path: Path) -> None:
    path = npz(tmp_path, x=X, y=np.array([{}] * 6, dtype=object))
    with pytest.raises(ValueError, match="plain arrays"):
        arrays(path)


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (("X", "labels"), "read X as x, labels as y"),
        (("x_train", "y_train"), "x_train as x"),
        (("features", "target"), "features as x"),
    ],
)
def test_other_names(tmp_path: Path, names: tuple[str, str], said: str) -> None:
    data = arrays(npz(tmp_path, **dict(zip(names, (X, Y), strict=True))))
    assert data.labels.tolist() == Y.tolist()
    assert said in data.notes[1]


@pytest.mark.parametrize(
    ("labels", "said"), [(np.eye(2, dtype=int)[Y], "one-hot"), (Y[:, None], "column")]
)
def test_labels_in_a_matrix(tmp_path: Path, labels: np.ndarray, said: str) -> None:
    data = arrays(npz(tmp_path, x=X, y=labels))
    assert data.labels.tolist() == Y.tolist()
    assert said in data.notes[1]


def test_arrays_that_are_not_used_are_named(tmp_path: Path) -> None:
    assert "not used: ids" in arrays(npz(tmp_path, x=X, y=Y, ids=Y)).notes[1]


def test_samples_and_labels_in_two_files(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", X)
    np.save(tmp_path / "y.npy", Y)
    (tmp_path / "y.txt").write_text("\n".join("ab"[label] for label in Y) + "\n")
    assert arrays(tmp_path / "x.npy", tmp_path / "y.npy").classes == ("0", "1")
    assert arrays(tmp_path / "x.npy", tmp_path / "y.txt").classes == ("a", "b")
    with pytest.raises(ValueError, match="give their labels as `labels=PATH`"):
        arrays(tmp_path / "x.npy")
    (tmp_path / "y.txt").write_text("a\n\nb\n")
    with pytest.raises(ValueError, match="line 2 is missing"):
        arrays(tmp_path / "x.npy", tmp_path / "y.txt")


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_embeddings_stay_in_their_file(tmp_path: Path, dtype: type) -> None:
    path = tmp_path / "e.npy"
    np.save(path, X.astype(dtype))
    x, _ = embeddings(path, [*map(str, range(6))])
    assert x.shape == (6, 3, 1, 1)
    assert x.dtype == getattr(torch, np.dtype(dtype).name)
    assert torch.equal(x[:, :, 0, 0].float(), torch.from_numpy(X.astype(dtype)).float())
    with pytest.raises(ValueError, match="one row for each of the 7"):
        embeddings(path, [*map(str, range(7))])


@pytest.mark.parametrize("shape", [(6, 8, 8, 3), (6, 3, 8, 8), (6, 8, 8)])
def test_images_stay_in_their_file(tmp_path: Path, shape: tuple[int, ...]) -> None:
    images = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    np.save(tmp_path / "x.npy", images)
    np.savez(tmp_path / "both.npz", x=images, y=Y)
    np.save(tmp_path / "y.npy", Y)
    mapped = arrays(tmp_path / "x.npy", tmp_path / "y.npy").x
    assert mapped.equal(arrays(tmp_path / "both.npz").x)
    with (tmp_path / "x.npy").open("r+b") as file:  # what is written there is seen
        file.seek(-1, 2)
        file.write(bytes([255 - images.flat[-1]]))
    changed = arrays(tmp_path / "both.npz").x
    changed[-1, -1, -1, -1] = 255 - images.flat[-1]
    assert mapped.equal(changed)


LARGE = """
import resource, sys, torch
from pathlib import Path
resource.setrlimit(resource.RLIMIT_DATA, (2**30, 2**30))
from mwnet.data import Pixels
from mwnet.data.arrays import embeddings
x, _ = embeddings(Path(sys.argv[1]), [*map(str, range(600_000))])
pixels = Pixels.of(x, torch.arange(0, 600_000, 100), torch.device("cpu"))
print(tuple(pixels.take(torch.tensor([5, 599_999])).flatten(1).sum(1).tolist()))
"""


def test_embeddings_may_be_larger_than_memory(tmp_path: Path) -> None:
    path = tmp_path / "large.npy"
    x = np.lib.format.open_memmap(path, "w+", np.float32, (600_000, 512))  # 1.1 GiB of holes
    x[0] = 1
    del x
    # With a limit of 1 GiB for all that is not a file.
    result = subprocess.run(
        [sys.executable, "-c", LARGE, path], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr[-2000:]
    assert "(-" in result.stdout


def test_a_bad_value_far_down_is_found_by_its_place() -> None:
    x = np.zeros((3000, 3), dtype=np.float32)
    x[2999, 1] = np.inf
    with pytest.raises(ValueError, match=r"sample 2999, position \(1,\) is inf"):
        finite(x, "x")
    with pytest.raises(ValueError, match="sample 0, position"):
        finite(np.array([[1e39]]), "x")
