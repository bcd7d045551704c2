"""Does a found loss, trained with on noisy labels, give features that separate the classes?"""

from itertools import pairwise
from pathlib import Path
from statistics import mean

import matplotlib
import numpy as np
import torch
from sklearn.manifold import TSNE
from sklearn.metrics import silhouette_score
from sklearn.neighbors import NearestNeighbors
from torch import Tensor, nn

from mwnet.builders.experiment import Experiment
from mwnet.core.errors import UserError
from mwnet.methods.base import predict
from mwnet.reproduce.claims.base import (
    GAO,
    Analysis,
    Finding,
    Run,
    Runs,
    grid,
    labelled,
    labels,
    seeds_of,
    true_labels,
    verdict,
)
from mwnet.reproduce.document import markdown_table
from mwnet.reproduce.tables.statistics import spread
from mwnet.runs.canvas import figure, panels, without

SAMPLES, NEIGHBOURS, PANELS = 2000, 10, 6
ORDER = ("CE", "FW", "Taylor")
"""The claim's, from mixed to separate classes."""


def examine(runs: Runs, path: Path) -> Finding:
    """Draw t-SNE of the test samples' features for the first seed; measure every seed."""
    found = labelled(runs)
    lines = [["training", "silhouette", "10-NN purity in %", "accuracy in %"]]
    means: dict[str, tuple[float, float]] = {}
    pictures: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    names: tuple[str, ...] = ()
    for name, own in found.items():
        silhouettes, purities = [], []
        for run in own:
            features, classes, names = of_test_samples(run)
            silhouettes.append(silhouette(features, classes))
            purities.append(purity(features, classes))
            if run is own[0] and len(pictures) < PANELS:
                pictures[name] = project(features), classes
        accuracies = [run.accuracy for run in own]
        numbers = spread(silhouettes, digits=3), spread(purities, scale=100, digits=2)
        lines.append([name, *numbers, spread(accuracies, scale=100, digits=2)])
        means[name] = mean(silhouettes), mean(purities)
    _draw(path, pictures, names)
    return Finding(_sentence(runs, means, len(names)), markdown_table(lines) + f"\n\n{LEGEND}")


LEGEND = (
    "Mean ± standard deviation over seeds, after the last epoch. *Features* are the input of the "
    f"last linear layer for test samples, {SAMPLES} at most (drawn with a fixed seed). Silhouette "
    "(from -1 to 1) and purity (share of the ten nearest neighbours that have the sample's true "
    "class) are taken with Euclidean distances between features, not in the plane of the picture, "
    "which keeps neighbourhoods but neither distances nor sizes. Accuracy is that of all test "
    f"samples. The picture shows the first seed, and {PANELS} trainings at most."
)


def some(ids: Tensor, most: int) -> Tensor:
    """Return all of ``(m,)`` ids, or ``most`` of them drawn with a fixed seed, in their order."""
    picked = torch.randperm(len(ids), generator=torch.Generator().manual_seed(0))[:most]
    return ids[picked.sort().values]


def head(network: nn.Module, num_classes: int) -> nn.Linear:
    """Return the last linear layer, which turns penultimate features into logits.

    Raises:
        UserError: the network does not end in one.
    """
    layers = [module for module in network.modules() if isinstance(module, nn.Linear)]
    if not layers or layers[-1].out_features != num_classes:
        raise UserError(
            "this needs a network that ends in a linear layer with an output for each of the "
            f"{num_classes} classes, which {type(network).__name__} has not"
        )
    return layers[-1]


def penultimate(experiment: Experiment, ids: Tensor) -> Tensor:
    """Compute ``(m, E)`` inputs of the last linear layer for un-augmented samples, in eval mode."""
    network = experiment.method.learner.network
    seen: list[Tensor] = []

    def keep(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        seen.append(inputs[0].detach().float())

    handle = head(network, experiment.data.source.num_classes).register_forward_pre_hook(keep)
    try:
        predict(network, experiment.data.pixels, ids)
    finally:
        handle.remove()
    return torch.cat(seen).cpu()


def purity(features: np.ndarray, classes: np.ndarray, k: int = NEIGHBOURS) -> float:
    """Compute the mean share of a sample's k nearest neighbours that are of its class.

    Args:
        features: ``(n, E)``.
        classes: ``(n,)`` class ids.
        k: number of neighbours, without the sample itself; at most n - 1 are taken.
    """
    nearest = NearestNeighbors(n_neighbors=min(k, len(features) - 1)).fit(features)
    neighbours = nearest.kneighbors(return_distance=False)
    return float((classes[neighbours] == classes[:, None]).mean())


def silhouette(features: np.ndarray, classes: np.ndarray) -> float:
    """Compute the mean silhouette in [-1, 1]; NaN where it is not defined.

    It is not defined for one class, and where every sample is a class of its own.

    Source: Rousseeuw (1987).
    """
    if not 1 < len(np.unique(classes)) < len(classes):
        return float("nan")
    return float(silhouette_score(features, classes))


def project(features: np.ndarray) -> np.ndarray:
    """Project ``(n, E)`` features to ``(n, 2)`` by t-SNE with a fixed seed.

    Source: van der Maaten and Hinton (2008).
    """
    perplexity = min(30.0, (len(features) - 1) / 3)
    return TSNE(perplexity=perplexity, init="pca", random_state=0).fit_transform(features)


def of_test_samples(run: Run) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    """Return ``(m, E)`` features of test samples, their ``(m,)`` true classes, and class names."""
    experiment = run.experiment()
    ids = some(experiment.data.parts.test, SAMPLES)
    known = experiment.data.truth is None and experiment.data.source.clean_test
    classes = experiment.data.source.labels if known else true_labels(run, experiment)
    features = penultimate(experiment, ids).numpy()
    return features, classes[ids].numpy(), experiment.data.source.classes


def _draw(
    path: Path, pictures: dict[str, tuple[np.ndarray, np.ndarray]], names: tuple[str, ...]
) -> None:
    columns, rows = panels(len(pictures))
    colours = matplotlib.colormaps["tab10" if len(names) <= 10 else "gist_rainbow"]
    last = max(9, len(names) - 1)
    with figure(path, 3.4 * columns + 1, 3.5 * rows, columns, rows) as (canvas, axes):
        for axis, (name, (points, classes)) in zip(axes, pictures.items(), strict=False):
            axis.scatter(*points.T, c=classes, cmap=colours, vmin=0, vmax=last, s=7, linewidths=0)
            axis.set_title(name)
            axis.grid(False)
            axis.set_xticks([])
            axis.set_yticks([])
            axis.set_xlabel("t-SNE, first axis [no unit]")
        for axis in axes[::columns]:
            axis.set_ylabel("t-SNE, second axis [no unit]")
        without(axes[len(pictures) :])
        if len(names) <= 20:
            for place, name in enumerate(names):
                axes[0].scatter([], [], color=colours(place / last), s=20, label=name[:14])
            canvas.legend(loc="outside right center", title="true class")


def in_order(means: dict[str, float]) -> bool | None:
    """Say whether the means of ORDER rise strictly; None if fewer than two of them are there."""
    known = [means[row] for row in ORDER if row in means]
    return all(one < two for one, two in pairwise(known)) if len(known) > 1 else None


def _sentence(runs: Runs, means: dict[str, tuple[float, float]], classes: int) -> str:
    parts, orders = [], []
    for column in labels(runs)[1]:
        of_it = {of[0].row: means[n] for n, of in labelled(runs).items() if of[0].column == column}
        widths = ", ".join(f"{row} {pair[0]:.3f}" for row, pair in of_it.items())
        parts.append(f"{widths} ({column})")
        found = [in_order({row: pair[place] for row, pair in of_it.items()}) for place in (0, 1)]
        orders += [[flag for flag in found if flag is not None]]
    orders = [flags for flags in orders if flags]
    purities = [pair[1] for pair in means.values()]
    numbers = (
        f"test samples have a mean silhouette of {' and '.join(parts)}, and a 10-NN purity of "
        f"{min(purities):.1%} to {max(purities):.1%} (about {1 / classes:.1%} by chance; "
        f"{seeds_of(runs)})"
    )
    if not orders:
        return f"{numbers[0].upper()}{numbers[1:]}."
    counts = [f"{sum(flags)} of {len(orders)}" for flags in zip(*orders, strict=True)]
    found = [flag for flags in orders for flag in flags]
    return (
        f"The claimed order, {' below '.join(ORDER)}, {verdict(found)} here: in "
        f"{counts[0]} settings by the silhouette and in {counts[1]} by purity; {numbers}."
    )


ANALYSIS = Analysis(
    title="Features after training on noisy labels",
    source=f"{GAO}, section 3.2 and Figure 2",
    claim=(
        "After training on 40 % symmetric noise, t-SNE of the penultimate features shows a very "
        "mixed distribution of the classes for cross-entropy and quite cleanly separable clusters "
        "for the found loss; forward correction is shown between them."
    ),
    examine=examine,
    grid=grid(
        {"dataset": "digits", "noise": "symmetric", "noise_rate": 0.4},
        {
            "symmetric 0.4": {},
            "symmetric 0.4, no weight decay": {"weight_decay": 0},
        },
        {
            "CE": {"method": "erm"},
            "FW": {"method": "forward-correction"},
            "Taylor": {"method": "erm", "loss": "taylor"},
        },
        range(5),
    ),
    takes_runs=True,
)
