"""Read the sets of the table: a source, true labels, given labels where they are noisy already."""

import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from mwnet.core.errors import UserError, nearest
from mwnet.data import Source
from mwnet.data.arrays import read_npz
from mwnet.data.load import load
from mwnet.data.source import channels_first
from mwnet.data.tables.columns import Table, features_of, of_numbers

if TYPE_CHECKING:
    import pandas as pd

TABULAR = (
    "letter", "pendigits", "satimage", "vehicle", "spambase", "page_blocks", "glass", "yeast",
    "phoneme", "adult", "german_credit", "titanic", "mushroom", "soybean", "bank_marketing",
    "isolet",
)  # fmt: skip
ANSWERED = ("music_genre", "movie_reviews")
TEXTS = ("sms_spam", "trec_questions", "movie_sentences")
PHOTOS = ("hymenoptera", "flowers5", "weather4")
SKLEARN = ("breast_cancer", "digits", "iris", "wine")
PEOPLE = {
    "cifar10n_worse": "worse_label",
    "cifar10n_aggre": "aggre_label",
    "cifar10n_random1": "random_label1",
}
"""CIFAR-10 with labels that people gave (Wei et al., ICLR 2022): the arrays of its file."""
NOISY = (*ANSWERED, "jira_defects_a", *PEOPLE)
"""Sets whose given labels are wrong by themselves."""
SEEN_THROUGH = "efficientnet-lite0@128"
"""What makes features of CIFAR-10's images; ``python -m benchmarks.image_sides`` compares sides."""

FILES: dict[str, tuple[str, ...]] = {
    **{name: (f"tabular/{name}.csv.gz",) for name in TABULAR},
    **{name: (f"noisy/{name}_items.csv.gz", f"noisy/{name}_answers.csv.gz") for name in ANSWERED},
    "jira_defects_a": ("noisy/jira_defects_a.csv.gz",),
    **{name: (f"text/{name}.csv.gz",) for name in TEXTS},
    **{name: (f"photos/{name}.zip",) for name in PHOTOS},
    "usps": ("digits/usps.npz",),
    **dict.fromkeys(PEOPLE, ("cifar-10-batches-py/test_batch", "cifar10n.npz")),
    **dict.fromkeys(SKLEARN, ()),
}
"""Files of each set below the folder of the sets; scikit-learn brings its own."""


@dataclass(frozen=True)
class OwnSet:
    """A set as it was read.

    Attributes:
        source: samples; its table is not yet prepared.
        truth: ``(n,)`` int64 true class ids.
        given: ``(n,)`` int64 given class ids where they are noisy already, else None.
        test: ids of its own test part, or None.
        whole: whether all rows are used, however many there are.
    """

    source: Source
    truth: Tensor
    given: Tensor | None = None
    test: Tensor | None = None
    whole: bool = False


def check_there(names: list[str], root: Path) -> None:
    """Refuse sets that are unknown or not there.

    Raises:
        UserError: the first of them.
    """
    for name in names:
        if name not in FILES:
            raise UserError(f"unknown set '{name}' ({nearest(name, FILES)})")
        for file in FILES[name]:
            if not (root / file).is_file():
                raise UserError(
                    f"the set '{name}' is not there: no file {root / file}; `data_root` names the "
                    "folder of the sets"
                )


def read_set(name: str, root: Path, generator: torch.Generator) -> OwnSet:
    """Read a set.

    Args:
        name: one of ``FILES``.
        root: folder of the sets.
        generator: draws the given label of an item with several answers.

    Raises:
        UserError: an unknown name, a file that is not there or not readable.
    """
    check_there([name], root)
    files = [root / file for file in FILES[name]]
    if name in ANSWERED:
        return _answered(name, *files, generator=generator)
    if name in PEOPLE:
        return _cifar10n(PEOPLE[name], root, files[1])
    if name == "usps":
        return _usps(files[0])
    if name in PHOTOS or name in SKLEARN:
        return _of(_photos(files[0]) if name in PHOTOS else _sklearn(name))
    if name == "jira_defects_a":
        source = load("table", path=files[0], label_column="noisy_label")
        assert source.truth is not None  # its column true_label
        return OwnSet(source, source.truth, given=source.labels)
    return _of(load("table", path=files[0], label_column=_last_column(files[0])))


def _of(source: Source) -> OwnSet:
    return OwnSet(source, source.labels)


def _last_column(path: Path) -> str:
    import pandas as pd

    return str(pd.read_csv(path, nrows=1).columns[-1])


def _sklearn(name: str) -> Source:
    from sklearn import datasets

    read: Callable[[], Any] = getattr(datasets, f"load_{name}")
    found = read()
    return _with_table(name, of_numbers(found.data), found.target)


def _with_table(name: str, table: Table, labels: np.ndarray) -> Source:
    classes, codes = np.unique(labels, return_inverse=True)
    x, ids = torch.empty(len(table), 0, 1, 1), torch.from_numpy(codes.astype(np.int64))
    return Source(name, x, ids, None, tuple(map(str, classes)), table=table)


def _usps(path: Path) -> OwnSet:
    with np.load(path) as file:
        x = np.concatenate([file["x_train"], file["x_test"]])
        y = np.concatenate([file["y_train"], file["y_test"]]).astype(np.int64)
        own = len(file["y_train"])
    classes = tuple(map(str, range(10)))
    source = Source("usps", channels_first(torch.from_numpy(x)), torch.from_numpy(y), None, classes)
    return OwnSet(source, source.labels, test=torch.arange(own, len(y)))


def _cifar10n(kind: str, root: Path, path: Path) -> OwnSet:
    """CIFAR-10 by features, with given labels of people for its 50,000 training images."""
    found = read_npz(path)
    labels = found.get(kind)
    if labels is None or labels.shape != (50_000,):
        raise UserError(f"{path} has no {kind} of 50,000 labels; it has {', '.join(found)}")
    source = load("cifar10", root=root, features=SEEN_THROUGH, progress=True)
    assert source.test_ids is not None
    people = torch.from_numpy(labels.astype(np.int64))
    given = torch.cat([people, source.labels[source.test_ids]])
    return OwnSet(source, source.labels, given=given, test=source.test_ids, whole=True)


def _photos(path: Path) -> Source:
    with tempfile.TemporaryDirectory() as folder:
        with zipfile.ZipFile(path) as archive:
            archive.extractall(folder)
        (root,) = {file.parent.parent for file in Path(folder).rglob("*.jpg")}
        return load("folder", path=root)


def _answered(name: str, items: Path, answers: Path, *, generator: torch.Generator) -> OwnSet:
    """Items with answers of several people, of which one is drawn for each."""
    import pandas as pd

    of_item = pd.read_csv(items, keep_default_na=False)
    each = pd.read_csv(answers, keep_default_na=False)
    source = _with_table(
        name,
        features_of(of_item.drop(columns=["item", "split", "true_label"], errors="ignore")),
        np.concatenate([of_item["true_label"], each["label"]]),
    )
    truth, codes = source.labels[: len(of_item)], source.labels[len(of_item) :]
    given, without = _one_answer(of_item["item"], each["item"], codes, generator)
    source = Source(name, source.x, truth, None, source.classes, table=source.table)
    return OwnSet(source, truth, given, without if len(without) else None)


def _one_answer(
    items: "pd.Series", answered: "pd.Series", codes: Tensor, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Return one answer of each item, drawn at random, and the ids of items without any."""
    places = {item: np.flatnonzero(answered == item) for item in items}
    given = torch.zeros(len(items), dtype=torch.int64)
    numbers = torch.rand(len(items), generator=generator)
    for row, item in enumerate(items):
        if len(places[item]):
            given[row] = codes[places[item][int(numbers[row] * len(places[item]))]]
    without = [row for row, item in enumerate(items) if not len(places[item])]
    return given, torch.tensor(without, dtype=torch.int64)
