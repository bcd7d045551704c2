"""Labels as people write them: which are one class, how classes are called, what is refused."""

import numpy as np
import pytest

from mwnet.data.labels import class_counts, read_labels


def classes(labels: list | np.ndarray) -> tuple[str, ...]:
    return read_labels({"y": labels}).classes


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (["dog", "cat", " dog "], ("cat", "dog")),
        (["1", "1.0", "1.00", "2"], ("1", "2")),
        (["10", "9", "10"], ("9", "10")),
        (["-1", "+1", "1"], ("-1", "1")),
        (["0", "-0.0", "1"], ("0", "1")),
        (["007", "7", "007"], ("007", "7")),
        (["1e3", "2e3", "2e3"], ("1e3", "2e3")),
        (["1e3", "1000", "1000", "2"], ("2", "1000")),
        (["1_0", "10", "10"], ("10", "1_0")),
        (["1", "x", "1.0"], ("1", "1.0", "x")),
        (["9007199254740992", "9007199254740993"], ("9007199254740992", "9007199254740993")),
        (np.array([30, 4, 30], dtype=np.uint8), ("4", "30")),
        (np.array([2.0, 1.0, 2.0]), ("1", "2")),
        (np.array([True, False]), ("False", "True")),
        (np.array([b"a", b"b"]), ("a", "b")),
    ],
)
def test_classes(labels: list | np.ndarray, expected: tuple[str, ...]) -> None:
    assert classes(labels) == expected


def test_ids_follow_the_sorted_classes_in_every_column() -> None:
    read = read_labels({"y": ["b", "a", "b"], "y_true": ["a", "a", "b"]})
    assert [ids.tolist() for ids in read.ids] == [[1, 0, 1], [0, 0, 1]]


@pytest.mark.parametrize("missing", ["", " ", "nan", "NA", None, float("nan")])
def test_a_missing_label_is_refused_with_its_row(missing: str | float | None) -> None:
    with pytest.raises(ValueError, match="y: the label of row 2 is missing"):
        classes(["a", missing, "b"])


def test_other_missing_labels_are_counted() -> None:
    with pytest.raises(ValueError, match=r"row 1 is missing .*, and 2 more;"):
        classes([None, 0, "", 1, "NA"])


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (["a", "a"], "at least 2 classes, got 1"),
        ([0.1 * i for i in range(60)], "continuous target"),
        (list(range(60)), "continuous target"),
        ([f"name {i}" for i in range(60)], "identifier"),
        ([{}, "a"], "row 1 is a dict"),
    ],
)
def test_what_is_no_classification(labels: list, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        classes(labels)


def test_a_class_that_only_the_truth_has() -> None:
    with pytest.raises(ValueError, match="y_true has the class c, which is absent"):
        read_labels({"y": ["a", "b"], "y_true": ["a", "c"]})


def test_half_stars_are_classes_and_said_so() -> None:
    read = read_labels({"y": ["0.5", "1", "1.5", "1.0"] * 20})
    assert read.classes == ("0.5", "1", "1.5")
    assert "taken for classes" in read.notes[0]


def test_labels_that_differ_in_case_are_named() -> None:
    read = read_labels({"y": ["Cat", "cat", "big dog", "bigdog"]})
    assert "'Cat' and 'cat'; 'big dog' and 'bigdog' differ only in case" in read.notes[0]


def test_many_classes_are_counted_but_not_all_named() -> None:
    read = read_labels({"y": list("abcdefghij") * 2})
    assert class_counts(read.classes, read.ids[0]).endswith("h 2, ...)")
