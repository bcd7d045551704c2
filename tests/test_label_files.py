"""Label files: what a key names, what is read without running code, what a refusal says."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from commands import fails, run
from shared import SHARED, needs

from mwnet.data.arrays import arrays
from mwnet.noise import array_from_file, labels_from_file

IDS = np.array([1, 0, 1], dtype=np.uint8)
CIFAR10N = SHARED / "data" / "cifar10n.npz"


class Evil:
    """Makes a file where it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return os.mkdir, (str(self.path),)


def saved(path: Path, **content: object) -> Path:
    torch.save(content, path)
    return path


@pytest.mark.parametrize(
    "array",
    [
        IDS,
        IDS.astype(">i4"),
        IDS.astype(bool),
        np.array(["cat", "dög"]),
        np.array([b"cat", b"dog"]),
        np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    ],
    ids=lambda array: str(array.dtype),
)
def test_arrays_in_a_torch_file(tmp_path: Path, array: np.ndarray) -> None:
    path = saved(tmp_path / "a.pt", other=torch.zeros(2), array=array)
    read = array_from_file(f"{path}:array")
    assert read.dtype == array.dtype
    assert np.array_equal(read, array)


def test_a_file_of_an_older_numpy(tmp_path: Path) -> None:
    path = tmp_path / "a.pt"
    torch.save({"array": IDS}, path, _use_new_zipfile_serialization=False)
    whole = path.read_bytes()
    assert b"numpy._core.multiarray" in whole
    path.write_bytes(whole.replace(b"numpy._core.multiarray", b"numpy.core.multiarray"))
    assert array_from_file(f"{path}:array").tolist() == IDS.tolist()


def test_tensors_and_lists_in_a_torch_file(tmp_path: Path) -> None:
    half = torch.tensor([1, 2], dtype=torch.bfloat16)
    path = saved(
        tmp_path / "a.pth", ids=torch.from_numpy(IDS), names=["a", "b"], half=half, rate=np.int64(3)
    )
    assert array_from_file(f"{path}:ids").tolist() == IDS.tolist()
    assert array_from_file(f"{path}:names").tolist() == ["a", "b"]
    assert array_from_file(f"{path}:half").tolist() == [1, 2]
    with pytest.raises(ValueError, match=r"texts 'rate'; it has ids, names, half$"):
        array_from_file(f"{path}:rate")
    torch.save(torch.from_numpy(IDS), tmp_path / "one.pt")
    assert array_from_file(str(tmp_path / "one.pt")).tolist() == IDS.tolist()


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("", r"a\.pt: name one of its arrays after a colon: clean_label, worse_label$"),
        (":worst", r"a\.pt has no array of numbers or texts 'worst'; it has clean_label, worse_la"),
        (":objects", r"no array of numbers or texts 'objects'; it has clean_label, worse_label$"),
    ],
)
def test_a_key_that_is_missing(tmp_path: Path, key: str, message: str) -> None:
    objects = np.array([1, "a"], dtype=object)
    path = saved(tmp_path / "a.pt", clean_label=IDS, worse_label=IDS, objects=objects)
    with pytest.raises(ValueError, match=message):
        array_from_file(f"{path}{key}")


def test_a_key_where_there_is_none(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", IDS)
    torch.save(IDS, tmp_path / "a.pt")
    for name in ("a.npy", "a.pt"):
        with pytest.raises(ValueError, match=r"holds one array without a key: leave ':x' out"):
            array_from_file(f"{tmp_path / name}:x")
    with pytest.raises(ValueError, match=r"there is no file .*b\.pt$"):
        array_from_file(f"{tmp_path / 'b.pt'}:x")


def test_no_code_of_a_torch_file_is_run(tmp_path: Path) -> None:
    path = saved(tmp_path / "evil.pt", ids=IDS, evil=Evil(tmp_path / "made"))
    before = set(torch.serialization.get_safe_globals())
    with pytest.raises(ValueError, match=r"evil\.pt holds more than plain arrays: .*mkdir.*code$"):
        array_from_file(f"{path}:ids")
    assert not (tmp_path / "made").exists()
    assert set(torch.serialization.get_safe_globals()) == before


def test_a_torch_file_with_more_than_arrays_says_how_to_convert_it(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.pt", ids=IDS, generator=np.random.default_rng(0))
    with pytest.raises(ValueError, match=r"if you trust whoever made it.*numpy\.savez\('labels"):
        array_from_file(f"{path}:ids")


def test_damaged_torch_files(tmp_path: Path) -> None:
    whole = saved(tmp_path / "a.pt", ids=IDS).read_bytes()
    torch.save({"ids": IDS}, tmp_path / "new.pt", pickle_protocol=4)
    (tmp_path / "cut.pt").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.pt").write_text("1\n0\n")
    (tmp_path / "empty.pt").write_bytes(b"")
    for name in ("cut.pt", "text.pt", "empty.pt", "new.pt"):
        with pytest.raises(ValueError, match=r"is no readable \.pt file of plain arrays") as caught:
            array_from_file(f"{tmp_path / name}:ids")
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("values", "test", "message"),
    [
        (IDS, 0, r"holds 3 labels, but 4 are needed: one for each sample, also"),
        (
            IDS,
            2,
            r"3 labels, but 4 .* training sample, and none for the 2 samples of",
        ),
        (IDS[:, None], 0, r"holds an array of shape \(3, 1\), but 4 are needed"),
        (np.array([0, 2, 3, 1]), 0, r"label of sample 1 is 2 \(and 1 more are no class\); labels"),
        (np.array([0, 0, 0.5, 1]), 0, r"of sample 2 is 0\.5; labels are class ids 0 to 1 or, as t"),
        (np.array([0, 0, 0, np.nan]), 0, r"label of sample 3 is nan; labels"),
        (np.array(["a", "c", "b", "b"]), 0, r"sample 1 is 'c'; labels .* class names \(a, b\)$"),
        (np.array([True, False, True, True]), 0, r"label of sample 0 is True"),
    ],
)
def test_what_a_refusal_says(tmp_path: Path, values: np.ndarray, test: int, message: str) -> None:
    np.save(tmp_path / "a.npy", values)
    with pytest.raises(ValueError, match=message):
        labels_from_file(str(tmp_path / "a.npy"), 4, ("a", "b"), test=test)


def test_a_refusal_names_ten_classes_at_most(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", ["x"])
    classes = [f"class {place}" for place in range(11)]
    with pytest.raises(ValueError, match=r"ids 0 to 10 .*, class 9, \.\.\.\)$"):
        labels_from_file(str(tmp_path / "a.npy"), 1, classes)


def test_names_as_bytes(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([b"b", "ä".encode()]))
    assert labels_from_file(str(tmp_path / "a.npy"), 2, ("b", "ä")).tolist() == [0, 1]


def test_labels_of_samples_by_key(tmp_path: Path) -> None:
    x, y = np.random.default_rng(0).normal(size=(6, 3)), [0, 1, 0, 1, 0, 1]
    np.save(tmp_path / "x.npy", x)
    np.savez(tmp_path / "y.npz", y=y)
    for path in (tmp_path / "y.npz", saved(tmp_path / "y.pt", y=np.array(y))):
        assert arrays(tmp_path / "x.npy", Path(f"{path}:y")).labels.tolist() == y
        with pytest.raises(ValueError, match=r"name one of its arrays after a colon: y$"):
            arrays(tmp_path / "x.npy", path)
        with pytest.raises(ValueError, match=r"has no array .*'z'; it has y$"):
            arrays(tmp_path / "x.npy", Path(f"{path}:z"))


def test_a_run_on_the_labels_of_a_torch_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = torch.arange(1437) % 10
    path = saved(tmp_path / "a.pt", worse_label=given.numpy(), short=given[:1000])
    noise = ["--max-steps", "1", "--noise", "file", "--noise-file"]
    message = fails(capsys, "--out", str(tmp_path / "run"), *noise, f"{path}:short")
    assert "holds 1000 labels, but 1437 are needed: one for each training sample, and" in message
    message = fails(capsys, "--out", str(tmp_path / "run"), *noise, f"{path}:worst")
    assert message.rstrip().endswith("it has worse_label, short")
    summary = run(tmp_path / "run", *noise, f"{path}:worse_label")
    assert summary["noise"]["realised_rate"] > 0.5


@needs(CIFAR10N)
def test_the_labels_of_cifar10n_as_their_authors_save_them(tmp_path: Path) -> None:
    with np.load(CIFAR10N) as file:
        labels = {name: file[name] for name in file.files}
    path = saved(tmp_path / "CIFAR-10_human.pt", **labels)
    for name in ("aggre_label", "random_label1", "worse_label"):
        from_numpy = labels_from_file(f"{CIFAR10N}:{name}", 50_000, ["x"] * 10)
        assert torch.equal(labels_from_file(f"{path}:{name}", 50_000, ["x"] * 10), from_numpy)
    clean = array_from_file(f"{path}:clean_label")
    assert np.mean(array_from_file(f"{path}:worse_label") != clean) == pytest.approx(0.4, abs=0.01)
