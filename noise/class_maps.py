"""Transition matrices between similar classes: maps of CIFAR-10 and MNIST, groups of CIFAR-100.

No rate here counts the true class: a label that moves always becomes wrong.
"""

import torch
from torch import Generator, Tensor

from .checks import check_rate

MNIST = {7: 1, 2: 7, 3: 8, 5: 6, 6: 5}
CLASS_MAPS = {
    # truck -> automobile, bird -> airplane, cat <-> dog, deer -> horse
    "cifar10": {9: 1, 2: 0, 3: 5, 5: 3, 4: 7},
    "mnist": MNIST,
    "digits": MNIST,
}

# The superclass, 0 to 19, of each of the 100 classes of CIFAR-100 in its official (alphabetical)
# order: row r holds the classes 10 r to 10 r + 9.
CIFAR100_SUPERCLASS = (
    *(4, 1, 14, 8, 0, 6, 7, 7, 18, 3),
    *(3, 14, 9, 18, 7, 11, 3, 9, 7, 11),
    *(6, 11, 5, 10, 7, 6, 13, 15, 3, 15),
    *(0, 11, 1, 10, 12, 14, 16, 9, 11, 5),
    *(5, 19, 8, 8, 15, 13, 14, 17, 18, 10),
    *(16, 4, 17, 4, 2, 0, 17, 4, 18, 17),
    *(10, 3, 2, 12, 12, 16, 12, 1, 9, 19),
    *(2, 10, 0, 1, 16, 12, 9, 13, 15, 13),
    *(16, 19, 2, 4, 6, 19, 5, 5, 8, 19),
    *(18, 1, 2, 15, 6, 0, 17, 8, 14, 13),
)


def asymmetric(num_classes: int, rate: float, generator: Generator, *, dataset: str = "") -> Tensor:
    """Build noise that turns a *mapped* class into the class it is easily taken for.

    CIFAR-10: truck -> automobile, bird -> airplane, cat <-> dog, deer -> horse. MNIST and digits:
    7 -> 1, 2 -> 7, 3 -> 8, 5 <-> 6. A label of these five classes moves with probability ``rate``;
    the other five classes stay clean. So about ``rate`` / 2 of all labels end up wrong.

    Args:
        num_classes: 10.
        rate: in [0, 1]; does not count the true class, and holds for the mapped classes only.
        generator: not used.
        dataset: "cifar10", "mnist" or "digits".

    Returns:
        ``(10, 10)`` float64, rows sum to one.

    Raises:
        ValueError: a rate outside [0, 1], another data set, or another number of classes.

    Source: Patrini et al., CVPR 2017.

    Examples:
        >>> import torch
        >>> from mwnet import NOISES
        >>> matrix = NOISES["asymmetric"](10, 0.4, torch.Generator(), dataset="cifar10")
        >>> matrix[9]  # trucks
        tensor([0.0000, 0.4000, 0.0000, 0.0000, 0.0000, 0.0000, 0.0000, 0.0000, 0.0000,
                0.6000], dtype=torch.float64)
    """
    check_rate(num_classes, rate)
    if dataset not in CLASS_MAPS:
        raise ValueError(
            f"noise 'asymmetric' has a class map for {', '.join(CLASS_MAPS)}, not for '{dataset}'; "
            f"pairflip suits every data set"
        )
    if num_classes != 10:
        raise ValueError(f"the class map of {dataset} has 10 classes, got {num_classes}")
    return _move([CLASS_MAPS[dataset].get(label, label) for label in range(10)], rate)


def superclass(num_classes: int, rate: float, generator: Generator, *, dataset: str = "") -> Tensor:
    """Build noise that turns a CIFAR-100 class into the next one of its superclass.

    A label moves with probability ``rate``. Next is by class id; the last of the five becomes the
    first.

    Args:
        num_classes: 100.
        rate: in [0, 1]; does not count the true class.
        generator: not used.
        dataset: "cifar100" or "".

    Returns:
        ``(100, 100)`` float64, rows sum to one.

    Raises:
        ValueError: a rate outside [0, 1], another data set, or another number of classes.

    Source: the description of Patrini et al., CVPR 2017, and the text maps in the code of Englesson
    and Azizpour, NeurIPS 2021. Most other public code does ``block5`` under this name.

    Examples:
        >>> import torch
        >>> from mwnet import NOISES
        >>> matrix = NOISES["superclass"](100, 0.4, torch.Generator(), dataset="cifar100")
        >>> matrix[6].nonzero().flatten().tolist()  # bee -> beetle
        [6, 7]
    """
    groups = _superclasses("superclass", num_classes, rate, dataset)
    targets = list(range(100))
    for group in groups:
        for position, label in enumerate(group):
            targets[label] = group[(position + 1) % 5]
    return _move(targets, rate)


def block5(num_classes: int, rate: float, generator: Generator, *, dataset: str = "") -> Tensor:
    """Build noise that turns class i into the next one of its block of five consecutive ids.

    A label moves with probability ``rate``. Blocks are 0-4, 5-9 and so on; the last of a block
    becomes its first.

    Args:
        num_classes: a multiple of 5.
        rate: in [0, 1]; does not count the true class.
        generator: not used.
        dataset: not used.

    Returns:
        ``(K, K)`` float64, rows sum to one.

    Raises:
        ValueError: a rate outside [0, 1], or another number of classes.

    Source: public code (Patrini et al., JoCoR, ELR, PLC), which runs this on CIFAR-100 as "within
    the superclass". Ids are alphabetical there, so only 6 of the 100 moves stay in a true
    superclass.

    Examples:
        >>> import torch
        >>> from mwnet import NOISES
        >>> NOISES["block5"](10, 0.4, torch.Generator())[4].nonzero().flatten().tolist()
        [0, 4]
    """
    check_rate(num_classes, rate)
    if num_classes % 5:
        raise ValueError(f"noise 'block5' needs a multiple of 5 classes, got {num_classes}")
    return _move([i + 1 if i % 5 < 4 else i - 4 for i in range(num_classes)], rate)


def hierarchical(
    num_classes: int, rate: float, generator: Generator, *, dataset: str = ""
) -> Tensor:
    """Build noise that turns a CIFAR-100 class into one of the four others of its superclass.

    A label becomes each of them with probability ``rate`` / 4.

    Args:
        num_classes: 100.
        rate: in [0, 1]; does not count the true class.
        generator: not used.
        dataset: "cifar100" or "".

    Returns:
        ``(100, 100)`` float64, rows sum to one.

    Raises:
        ValueError: a rate outside [0, 1], another data set, or another number of classes.

    Source: the code of Hendrycks et al., NeurIPS 2018 (Gold Loss Correction).

    Examples:
        >>> import torch
        >>> from mwnet import NOISES
        >>> matrix = NOISES["hierarchical"](100, 0.4, torch.Generator(), dataset="cifar100")
        >>> matrix[6, [6, 7]]  # bee, beetle
        tensor([0.6000, 0.1000], dtype=torch.float64)
    """
    groups = _superclasses("hierarchical", num_classes, rate, dataset)
    matrix = torch.zeros(100, 100, dtype=torch.float64)
    for group in groups:
        members = torch.tensor(group)
        matrix[members[:, None], members] = rate / 4
    return matrix.fill_diagonal_(1 - rate)


def _superclasses(name: str, num_classes: int, rate: float, dataset: str) -> list[list[int]]:
    """Return the class ids of the 20 superclasses, ascending."""
    check_rate(num_classes, rate)
    if num_classes != 100 or dataset not in ("", "cifar100"):
        of = f" of '{dataset}'" if dataset else ""
        raise ValueError(
            f"noise '{name}' knows the superclasses of cifar100 (100 classes), got {num_classes} "
            f"classes{of}; block5 and pairflip need none"
        )
    return [[i for i in range(100) if CIFAR100_SUPERCLASS[i] == group] for group in range(20)]


def _move(targets: list[int], rate: float) -> Tensor:
    """Build the matrix in which class i becomes ``targets[i]`` with probability ``rate``.

    A class that maps to itself stays.
    """
    matrix = torch.eye(len(targets), dtype=torch.float64)
    for label, target in enumerate(targets):
        if target != label:
            matrix[label, label] = 1 - rate
            matrix[label, target] = rate
    return matrix
