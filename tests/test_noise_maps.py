"""Noise between similar classes, checked by the names of the classes."""

import pytest
import torch

from mwnet.noise import NOISES
from mwnet.noise.class_maps import CIFAR100_SUPERCLASS

CIFAR10 = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
# The official superclasses of CIFAR-100 in their order. Class ids are the alphabetical order of all
# names, so this list alone determines the table of the package.
SUPERCLASSES = [
    "beaver dolphin otter seal whale",
    "aquarium_fish flatfish ray shark trout",
    "orchid poppy rose sunflower tulip",
    "bottle bowl can cup plate",
    "apple mushroom orange pear sweet_pepper",
    "clock keyboard lamp telephone television",
    "bed chair couch table wardrobe",
    "bee beetle butterfly caterpillar cockroach",
    "bear leopard lion tiger wolf",
    "bridge castle house road skyscraper",
    "cloud forest mountain plain sea",
    "camel cattle chimpanzee elephant kangaroo",
    "fox porcupine possum raccoon skunk",
    "crab lobster snail spider worm",
    "baby boy girl man woman",
    "crocodile dinosaur lizard snake turtle",
    "hamster mouse rabbit shrew squirrel",
    "maple_tree oak_tree palm_tree pine_tree willow_tree",
    "bicycle bus motorcycle pickup_truck train",
    "lawn_mower rocket streetcar tank tractor",
]
CIFAR100 = sorted(" ".join(SUPERCLASSES).split())


def matrix_of(name: str, classes: int, rate: float, dataset: str = "") -> torch.Tensor:
    return NOISES[name](classes, rate, torch.Generator(), dataset=dataset)


def test_superclass_table_is_the_official_one() -> None:
    assert len(set(CIFAR100)) == 100
    for group, names in enumerate(SUPERCLASSES):
        assert [CIFAR100_SUPERCLASS[CIFAR100.index(name)] for name in names.split()] == [group] * 5
    fruit = [0, 51, 53, 57, 83]
    assert [label for label in range(100) if CIFAR100_SUPERCLASS[label] == 4] == fruit
    assert [CIFAR100[label] for label in fruit] == SUPERCLASSES[4].split()


def test_cifar10_map_by_names() -> None:
    matrix = matrix_of("asymmetric", 10, 0.4, "cifar10")
    moves = {CIFAR10[i]: CIFAR10[j] for i, j in (matrix == 0.4).nonzero().tolist()}
    assert moves == {
        "truck": "automobile",
        "bird": "airplane",
        "cat": "dog",
        "dog": "cat",
        "deer": "horse",
    }
    assert float(1 - matrix.diagonal().mean()) == pytest.approx(0.2)


@pytest.mark.parametrize("dataset", ["mnist", "digits"])
def test_digits_map(dataset: str) -> None:
    matrix = matrix_of("asymmetric", 10, 0.4, dataset)
    moves = (matrix == 0.4).nonzero().tolist()
    assert moves == [[2, 7], [3, 8], [5, 6], [6, 5], [7, 1]]
    assert (matrix.diagonal() == 1).nonzero()[:, 0].tolist() == [0, 1, 4, 8, 9]


def test_superclass_goes_round_within_each_superclass() -> None:
    matrix = matrix_of("superclass", 100, 0.4, "cifar100")
    target = (matrix == 0.4).to(torch.int8).argmax(1)
    group = torch.tensor(CIFAR100_SUPERCLASS)
    assert torch.equal(group[target], group)
    assert target.unique().numel() == 100
    assert target[torch.tensor([0, 51, 53, 57, 83])].tolist() == [51, 53, 57, 83, 0]
    assert (matrix.diagonal() == 0.6).all()
    assert ((matrix > 0).sum(1) == 2).all()


def test_block5_leaves_the_superclass_in_94_of_100_moves() -> None:
    target = (matrix_of("block5", 100, 0.4) == 0.4).to(torch.int8).argmax(1)
    assert target[:6].tolist() == [1, 2, 3, 4, 0, 6]
    group = torch.tensor(CIFAR100_SUPERCLASS)
    assert int((group[target] == group).sum()) == 6


def test_hierarchical_spreads_over_the_other_four() -> None:
    matrix = matrix_of("hierarchical", 100, 0.4)
    group = torch.tensor(CIFAR100_SUPERCLASS)
    same = group[:, None] == group
    expected = torch.where(same, 0.1, 0.0).double().fill_diagonal_(0.6)
    torch.testing.assert_close(matrix, expected)


@pytest.mark.parametrize(
    ("name", "classes", "dataset", "message"),
    [
        ("asymmetric", 10, "fashion-mnist", "map for cifar10, mnist, digits.*pairflip"),
        ("asymmetric", 10, "", "map for cifar10"),
        ("asymmetric", 4, "digits", "10 classes, got 4"),
        ("superclass", 10, "cifar10", "superclasses of cifar100.*10 classes of 'cifar10'"),
        ("superclass", 100, "folder", "of 'folder'"),
        ("hierarchical", 99, "", "got 99 classes; block5"),
        ("block5", 12, "", "multiple of 5 classes, got 12"),
        ("block5", 0, "", "at least 2"),
    ],
)
def test_unfit_data_is_refused(name: str, classes: int, dataset: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        matrix_of(name, classes, 0.4, dataset)
