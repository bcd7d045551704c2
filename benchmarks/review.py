"""A simulated reviewer: how many looks until the wrong labels of a set are corrected.

    python -m benchmarks.review --data-root FOLDER [--sets digits,breast_cancer,hymenoptera]

In each round a reviewer looks at the most suspect samples that nobody has looked at yet, a fifth of
the training samples (--share), writes what he finds into a corrections file, and the next round
trains with that file. A perfect reviewer is always right; one of 90 % gives a wrong class in a
tenth of the looks, in every order at the same looks.
Noise is drawn uniformly over all classes. Orders:

- mwnet: label quality of `cross-fit` with the options of `mwnet train`, trained again each round;
- cleanlab: self-confidence of a random forest in 5 folds, computed again each round with the
  corrected labels (`pip install 'mwnet[bench]'`);
- random: without a model.

Accuracy is that in the test part, of `cross-fit` for mwnet, of a random forest for cleanlab. Photo
sets lie in --data-root; the others come with scikit-learn.
"""

import argparse
import csv
import io
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mwnet.builders.experiment import build
from mwnet.config.checks import validate
from mwnet.config.recipes import recipe_of
from mwnet.core import files, seeding
from mwnet.core.commands import muted
from mwnet.data.corrections import HEADER, read_corrections
from mwnet.data.verdicts import CORRECT, KEEP
from mwnet.methods.base import predict
from mwnet.reproduce.own_data.cells import Prepared, source_of
from mwnet.reproduce.own_data.prepare import corrupted, divide, features
from mwnet.reproduce.own_data.sets import read_set
from mwnet.runs.in_memory import train_in_memory
from mwnet.runs.outputs import versions

Trained = tuple[np.ndarray, float]
"""``(n,)`` scores, low = suspect, and accuracy in the test part."""


def prepared(name: str, rate: float, seed: int, root: Path) -> tuple[Prepared, np.ndarray]:
    """A set with noise, and its true labels."""
    with muted():
        found = read_set(name, root, seeding.generator(seed, name, "answers"))
        train, test = divide(found, name, seed)
        x = features(found, train)
    truth = found.truth[train]
    rng = seeding.generator(seed, name, "review")
    given = corrupted(f"uniform {rate}", x[train], truth, found.source.num_classes, rng)
    data = Prepared(
        x[train].numpy(),
        given.numpy(),
        x[test].numpy(),
        found.truth[test].numpy(),
        (given != truth).numpy(),
    )
    return data, truth.numpy()


@dataclass
class Reviewer:
    """Looks at samples, and remembers everything that he has said.

    Attributes:
        truth: ``(n,)`` true labels.
        given: ``(n,)`` labels before anybody has looked.
        skill: share of looks with the right answer.
        seed: of the wrong ones; they come at the same looks in every order.
    """

    truth: np.ndarray
    given: np.ndarray
    skill: float
    seed: int

    def __post_init__(self) -> None:
        rng = np.random.default_rng(self.seed)
        n, classes = len(self.truth), int(self.truth.max()) + 1
        self.wrong_by = np.where(rng.random(n) < self.skill, 0, rng.integers(1, classes, n))
        self.classes = classes
        self.looked: list[int] = []

    @property
    def said(self) -> np.ndarray:
        """Label that each look ended with."""
        return (self.truth[self.looked] + self.wrong_by[: len(self.looked)]) % self.classes

    def write(self, path: Path) -> None:
        """Write the corrections file."""
        buffer = io.StringIO()
        writer = csv.writer(buffer, lineterminator="\n")
        writer.writerow(HEADER)
        for sample, said in zip(self.looked, self.said, strict=True):
            given = self.given[sample]
            writer.writerow((sample, given, KEEP if given == said else CORRECT, said, ""))
        files.write_text(path, buffer.getvalue())

    def labels(self) -> np.ndarray:
        """``(n,)`` labels with the corrections."""
        labels = self.given.copy()
        labels[self.looked] = self.said
        return labels

    def looks_for(self, share: float) -> int | None:
        """Looks until this share of the errors is corrected; None if that was not reached."""
        wrong = self.given != self.truth
        mended = wrong[self.looked] & (self.said == self.truth[self.looked])
        enough = np.flatnonzero(mended.cumsum() >= np.ceil(share * wrong.sum()))
        return int(enough[0]) + 1 if len(enough) else None


def by_mwnet(data: Prepared, reviewer: Reviewer, path: Path) -> Trained:
    """Train with the corrections file as ``mwnet train --corrections`` does."""
    source = source_of(data)
    if reviewer.looked:
        reviewer.write(path)
        source = replace(source, review=read_corrections(path))
    options = {**recipe_of("table", "train"), "dataset": "arrays", "data": "set.npz"}
    experiment = build(validate({**options, "device": "cpu", "model": "auto"}), source)
    parts = experiment.data.parts
    train_in_memory(experiment, parts.train)
    scored = experiment.score(parts.train)
    predicted = predict(experiment.method, experiment.data.pixels, parts.test).argmax(1).numpy()
    assert scored.ids.tolist() == list(range(len(data.y)))
    return scored.quality, float((predicted == data.y_test).mean())


def by_cleanlab(data: Prepared, reviewer: Reviewer, path: Path) -> Trained:
    """Self-confidence of a random forest in folds, and a forest that is fitted on all."""
    from cleanlab.rank import get_label_quality_scores  # pyright: ignore[reportMissingImports]
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.model_selection import cross_val_predict

    labels = reviewer.labels()
    forest = RandomForestClassifier(200, min_samples_leaf=2, random_state=0)
    said: Any = cross_val_predict(forest, data.x, labels, cv=5, method="predict_proba")
    predicted = forest.fit(data.x, labels).predict(data.x_test)
    return get_label_quality_scores(labels, said), float((predicted == data.y_test).mean())


def by_chance(data: Prepared, reviewer: Reviewer, path: Path) -> Trained:
    """An order without a model."""
    return np.random.default_rng(reviewer.seed).permutation(len(data.y)).astype(float), np.nan


ORDERS: dict[str, Callable[[Prepared, Reviewer, Path], Trained]] = {
    "mwnet": by_mwnet,
    "cleanlab": by_cleanlab,
    "random": by_chance,
}


def play(
    order: str,
    data: Prepared,
    reviewer: Reviewer,
    path: Path,
    args: argparse.Namespace,
    first: dict[str, Trained],
) -> Iterator[float]:
    """Look round by round; yields the accuracy before the first round and after each.

    ``first`` has what the orders say before anybody has looked, which no reviewer changes.
    """
    n = len(data.y)
    size = int(np.ceil(args.share * n))
    number = 0
    while True:
        if not number and order not in first:
            first[order] = ORDERS[order](data, reviewer, path)
        quality, accuracy = ORDERS[order](data, reviewer, path) if number else first[order]
        yield accuracy
        done = reviewer.looks_for(0.9) is not None or len(reviewer.looked) == n
        # Without a model looks cost nothing, so that order goes on to the end.
        if done or (number == args.rounds and order != "random"):
            return
        number += 1
        left = np.setdiff1d(np.arange(n), reviewer.looked)
        reviewer.looked += left[np.argsort(quality[left], kind="stable")[:size]].tolist()


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n\n")[0])
    parser.add_argument("--sets", default="digits,breast_cancer,hymenoptera")
    parser.add_argument("--data-root", type=Path, default=Path("data"), metavar="FOLDER")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rates", default="0.4", help="noise rate of all sets, or one for each")
    parser.add_argument("--rounds", type=int, default=4, help="rounds at most")
    parser.add_argument("--share", type=float, default=0.2, help="of the samples, in a round")
    args = parser.parse_args()
    torch.set_num_threads(1)
    names = args.sets.split(",")
    rates = [float(rate) for rate in args.rates.split(",")]
    rates = rates * len(names) if len(rates) == 1 else rates
    started = time.perf_counter()
    print(
        "| set | samples, wrong | reviewer | order | looks for half | looks for nine tenths "
        "| looks an error | test accuracy before, after each round |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for name, rate in zip(names, rates, strict=True):
        data, truth = prepared(name, rate, args.seed, args.data_root)
        wrong = int((data.y != truth).sum())
        first: dict[str, Trained] = {}
        for skill in (1.0, 0.9):
            for order in ORDERS:
                reviewer = Reviewer(truth, data.y, skill, args.seed)
                with tempfile.TemporaryDirectory() as folder:
                    path = Path(folder) / "corrections.csv"
                    accuracies = list(play(order, data, reviewer, path, args, first))
                half, most = reviewer.looks_for(0.5), reviewer.looks_for(0.9)
                cells = (
                    f"{name}, {rate:.0%}",
                    f"{len(data.y)}, {wrong}",
                    "perfect" if skill == 1 else f"{skill:.0%}",
                    order,
                    str(half or "not reached"),
                    str(most or "not reached"),
                    f"{most / np.ceil(0.9 * wrong):.2f}" if most else "",
                    " ".join(f"{a:.3f}" for a in accuracies if not np.isnan(a)),
                )
                print(f"| {' | '.join(cells)} |", flush=True)
    used = ", ".join(f"{package} {version}" for package, version in versions().items())
    took = time.perf_counter() - started
    print(f"\nseed {args.seed}; 1 thread of {os.cpu_count()} CPUs, {used}; {took:.0f} s")


if __name__ == "__main__":
    main()
