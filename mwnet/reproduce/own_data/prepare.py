"""Divide a set, prepare its features once, draw the noise, and write what every row is run on."""

import functools
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.model_selection import train_test_split
from torch import Tensor

from mwnet import noise
from mwnet.core import files, seeding
from mwnet.core.commands import muted
from mwnet.core.errors import Interrupted, UserError
from mwnet.core.processes import Workers
from mwnet.core.signals import StopSignal
from mwnet.data import Pixels
from mwnet.reproduce.own_data.sets import NOISY, OwnSet, check_there, read_set

log = logging.getLogger(__name__)

TRAIN, TEST = 1500, 3000
"""Rows at most in the two parts, but for sets that are used whole."""
TEST_SHARE = 0.3
REAL = "real"
"""The noise of a set that is noisy already."""
FOLDER = "sets"


@dataclass(frozen=True)
class Wanted:
    """The files of a set and a seed: path by noise."""

    name: str
    seed: int
    paths: dict[str, Path]


def columns(names: Sequence[str], noises: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return the columns of a table: each set with each noise, noisy ones as they are.

    Args:
        names: of sets.
        noises: as in ``uniform 0.2``: uniform, near-class or instance, and a rate.
    """
    return {
        f"{name}, {kind}": {"data": f"{name}/{kind.replace(' ', '-')}"}
        for name in names
        for kind in ((REAL,) if name in NOISY else noises)
    }


def set_of(column: str) -> str:
    """Return the set of a column."""
    return column.partition(", ")[0]


def half_of(names: Sequence[str], half: str) -> list[str]:
    """Return the sets at even or odd positions."""
    distinct = list(dict.fromkeys(names))
    return distinct[::2] if half == "even" else distinct[1::2]


def file_of(out: Path, data: Path, seed: int) -> Path:
    """Return where the file of a column and a seed lies."""
    return out / FOLDER / data / f"seed-{seed}.npz"


def prepare_all(needed: Sequence[tuple[str, int, Path]], root: Path, jobs: int) -> None:
    """Write the files that are not there yet.

    Args:
        needed: column, seed and path of each.
        root: folder of the sets.
        jobs: how many processes.

    Raises:
        UserError: a set is not there.
        Interrupted: on Ctrl-C.
    """
    wanted: dict[tuple[str, int], Wanted] = {}
    for column, seed, path in needed:
        if not path.exists():
            name = set_of(column)
            one = wanted.setdefault((name, seed), Wanted(name, seed, {}))
            one.paths[column.removeprefix(f"{name}, ")] = path
    check_there([name for name, _ in wanted], root)
    if not wanted:
        return
    log.info("%d sets to prepare", len(wanted))
    work = functools.partial(prepare, root=root)
    todo = list(wanted.values())
    with StopSignal() as stop, Workers(work, jobs, None, lambda: stop.signum) as workers:
        for position, said in workers.results(todo):
            if said:
                raise UserError(f"set '{todo[position].name}': {said}")
        if stop.signum is not None:
            raise Interrupted("stopped; the same command continues", stop.signum)


def prepare(wanted: Wanted, root: Path) -> str:
    """Write the files of a set and a seed; returns what is wrong, or nothing."""
    torch.set_num_threads(1)
    try:
        with muted():
            found = read_set(
                wanted.name, root, seeding.generator(wanted.seed, wanted.name, "answers")
            )
            train, test = divide(found, wanted.name, wanted.seed)
            x = features(found, train)
            for kind, path in wanted.paths.items():
                rng = seeding.generator(wanted.seed, wanted.name, kind)
                truth = found.truth[train]
                given = found.given[train] if found.given is not None else None
                if given is None:
                    given = corrupted(kind, x[train], truth, found.source.num_classes, rng)
                path.parent.mkdir(parents=True, exist_ok=True)
                with files.atomic(path) as file:
                    np.savez(
                        file,
                        x=x[train].numpy(),
                        y=given.numpy(),
                        y_true=truth.numpy(),
                        x_test=x[test].numpy(),
                        y_test=found.truth[test].numpy(),
                    )
    except ValueError as error:
        return str(error)
    return ""


def divide(found: OwnSet, name: str, seed: int) -> tuple[Tensor, Tensor]:
    """Return ids of the training and of the test part, both at random."""
    n, derived = len(found.truth), seeding.derive(seed, name, "split") % 2**32
    if found.test is None:
        rare = np.bincount(found.truth.numpy()).min() < 2
        train, test = train_test_split(
            np.arange(n),
            test_size=TEST_SHARE,
            random_state=derived,
            stratify=None if rare else found.truth.numpy(),
        )
    else:
        test = found.test.numpy()
        train = np.setdiff1d(np.arange(n), test)
    if found.whole:
        return torch.from_numpy(train), torch.from_numpy(test)
    rng = np.random.default_rng(derived)
    parts = rng.permutation(train)[:TRAIN], rng.permutation(test)[:TEST]
    return torch.from_numpy(parts[0]), torch.from_numpy(parts[1])


def features(found: OwnSet, train: Tensor) -> Tensor:
    """Return ``(n, d)`` float32 features as a network gets them, fitted on the training rows."""
    source = found.source.prepared(train)
    scaled = source.preparation is not None
    pixels = Pixels.of(source.x, train, torch.device("cpu"), scaled=scaled)
    return pixels.take(torch.arange(len(source.x))).flatten(1)


def corrupted(
    kind: str, x: Tensor, truth: Tensor, num_classes: int, rng: torch.Generator
) -> Tensor:
    """Draw given labels.

    Args:
        kind: as in ``uniform 0.2``; near-class moves a label to the class whose mean is nearest.
        x: ``(n, d)`` features.
        truth: ``(n,)`` true class ids.
        num_classes: K.
        rng: draws them.

    Raises:
        UserError: an unknown kind.
    """
    name, _, number = kind.partition(" ")
    try:
        rate = float(number)
    except ValueError:
        raise UserError(
            f"noise must be a name and a rate as in 'uniform 0.2', got '{kind}'"
        ) from None
    if name == "uniform":
        rows = noise.NOISES["uniform"](num_classes, rate, rng)
    elif name == "near-class":
        rows = near_class(x, truth, num_classes, rate)
    elif name == "instance":
        standard = (x - x.mean()) / x.std().clamp_min(1e-12)
        rows = noise.instance(standard, truth, rate, rng, num_classes)
    else:
        raise UserError(f"unknown noise '{name}' (known: uniform, near-class, instance)")
    return noise.corrupt(truth, rows, rng)


def near_class(x: Tensor, truth: Tensor, num_classes: int, rate: float) -> Tensor:
    """Return the matrix that moves each class to the one with the nearest mean at this rate."""
    means = torch.full((num_classes, x.shape[1]), torch.inf, dtype=torch.float64)
    for label in truth.unique().tolist():
        means[label] = x[truth == label].double().mean(0)
    matrix = torch.eye(num_classes, dtype=torch.float64)
    for label in truth.unique().tolist():
        distance = (means - means[label]).square().sum(1)
        distance[label] = torch.inf
        matrix[label, label] = 1 - rate
        matrix[label, int(distance.argmin())] = rate
    return matrix
