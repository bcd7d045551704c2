"""The sets of the table over own data: reading, dividing, features, noise."""

from pathlib import Path

import numpy as np
import pytest
import torch
from shared import SHARED, needs

from mwnet.core.errors import UserError
from mwnet.core.seeding import generator
from mwnet.data import Source
from mwnet.reproduce.own_data import sets
from mwnet.reproduce.own_data.prepare import (
    TEST,
    TRAIN,
    Wanted,
    columns,
    corrupted,
    divide,
    features,
    near_class,
    prepare,
)
from mwnet.reproduce.own_data.sets import read_set

OWN = SHARED / "data" / "own"


def test_near_class_noise_goes_to_the_nearest_mean() -> None:
    x = torch.tensor([[0.0], [0.0], [1.0], [5.0]])
    matrix = near_class(x, torch.tensor([0, 0, 1, 2]), 4, 0.3)
    expected = torch.eye(4, dtype=torch.float64)
    for label, nearest in ((0, 1), (1, 0), (2, 1)):
        expected[label, label], expected[label, nearest] = 0.7, 0.3
    assert torch.allclose(matrix, expected)  # of the last class there is no sample


def test_noise_has_its_rate_and_repeats_itself() -> None:
    x = torch.randn(3000, 4, generator=torch.Generator().manual_seed(0))
    truth = (x[:, 0] > 0).long() + (x[:, 1] > 0).long()
    for kind, rate in {"uniform 0.3": 0.2, "near-class 0.3": 0.3, "instance 0.3": 0.3}.items():
        given = corrupted(kind, x, truth, 3, generator(0, kind))
        assert float((given != truth).float().mean()) == pytest.approx(rate, abs=0.03)
        assert torch.equal(given, corrupted(kind, x, truth, 3, generator(0, kind)))


def test_features_are_fitted_on_the_training_rows(tmp_path: Path) -> None:
    found = read_set("wine", tmp_path, generator(0))
    train, test = divide(found, "wine", 0)
    assert not set(train.tolist()) & set(test.tolist())
    assert len(train) + len(test) == len(found.truth)
    x = features(found, train)
    assert x[train].mean(0).abs().max() < 1e-3
    assert x[train].std(0).sub(1).abs().max() < 0.05
    assert not torch.equal(train, divide(found, "wine", 1)[0])


LIGHT = ["glass", "yeast", "titanic", "soybean", "music_genre", "jira_defects_a", "usps"]


@needs(OWN)
@pytest.mark.parametrize("name", LIGHT)
def test_sets_are_read_and_divided(name: str, tmp_path: Path) -> None:
    paths = {
        column.removeprefix(f"{name}, "): tmp_path / f"{of['data']}.npz"
        for column, of in columns([name], ["uniform 0.2"]).items()
    }
    assert prepare(Wanted(name, 0, paths), OWN) == ""
    ((kind, path),) = paths.items()
    with np.load(path) as file:
        x, y, truth = file["x"], file["y"], file["y_true"]
        x_test, y_test = file["x_test"], file["y_test"]
    assert len(x) == len(y) == len(truth) <= TRAIN
    assert len(x_test) == len(y_test) <= TEST
    assert x.dtype == np.float32
    assert np.isfinite(x).all()
    assert set(y) == set(truth) == set(y_test)
    rates = {"music_genre": 0.44, "jira_defects_a": 0.228}
    assert (y != truth).mean() == pytest.approx(rates.get(name, 0.16), abs=0.05)
    assert kind == ("real" if name in rates else "uniform 0.2")
    if name == "music_genre":
        assert (len(x), len(x_test)) == (700, 300)


@needs(OWN)
def test_one_answer_of_each_item_is_drawn_by_the_seed() -> None:
    first, second, other = (read_set("music_genre", OWN, generator(s)).given for s in (0, 0, 1))
    assert first is not None
    assert second is not None
    assert other is not None
    assert torch.equal(first, second)
    assert 0.1 < float((first != other)[:700].float().mean()) < 0.7


def test_labels_of_people_are_those_of_the_training_images_and_all_are_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    truth = torch.arange(50_010) % 10
    x = torch.zeros(len(truth), 1, 1, 1)
    test = torch.arange(50_000, 50_010)
    source = Source("cifar10", x, truth, truth, tuple("0123456789"), test_ids=test)
    monkeypatch.setattr(sets, "load", lambda *_, **__: source)
    (tmp_path / "cifar-10-batches-py").mkdir()
    (tmp_path / "cifar-10-batches-py" / "test_batch").touch()
    people = (truth[:50_000] + 1) % 10
    np.savez(tmp_path / "cifar10n.npz", worse_label=people.numpy().astype(np.uint8))
    found = read_set("cifar10n_worse", tmp_path, generator(0))
    assert found.given is not None
    assert torch.equal(found.given[:50_000], people)
    assert torch.equal(found.given[test], truth[test])
    train, held_out = divide(found, "cifar10n_worse", 0)
    assert torch.equal(train, torch.arange(50_000))
    assert torch.equal(held_out, test)
    with pytest.raises(UserError, match="no aggre_label of 50,000 labels; it has worse_label"):
        read_set("cifar10n_aggre", tmp_path, generator(0))


def test_an_unknown_set_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="did you mean iris"):
        read_set("irs", tmp_path, generator(0))
