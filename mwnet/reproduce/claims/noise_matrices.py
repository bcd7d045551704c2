"""Figure 1 of Ghosh and Lan: the matrices of their three kinds of noise, and drawn labels."""

from itertools import product
from pathlib import Path

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.image import AxesImage
from torch import Tensor

from mwnet.core.seeding import generator
from mwnet.noise import NOISES, corrupt
from mwnet.reproduce.claims.base import GHOSH, Analysis, Finding, Runs
from mwnet.reproduce.document import markdown_table
from mwnet.runs.canvas import figure

CLASSES, RATE = 5, 0.4  # those of the paper's figure
SEEDS = range(5)
DRAWS = 2000
"""Labels of each class."""


def stated(noise: str, classes: int, rate: float) -> list[float]:
    """Return the entries that section 2 states of any row: true class first, then falling."""
    keep, others, each = {
        "uniform": ((1 - rate) + rate / classes, classes - 1, rate / classes),
        "flip": (1 - rate, 1, rate),
        "flip2": (1 - rate, 2, rate / 2),
    }[noise]
    return [keep] + [each] * others + [0.0] * (classes - 1 - others)


def off_statement(matrix: Tensor, row: list[float]) -> float:
    """Compute the largest difference of a ``(K, K)`` matrix from what is stated of any row."""
    others = matrix[~torch.eye(len(matrix), dtype=torch.bool)].reshape(len(matrix), -1)
    ordered = torch.cat([matrix.diagonal()[:, None], others.sort(1, descending=True).values], 1)
    return float((ordered - torch.tensor(row, dtype=matrix.dtype)).abs().max())


def realised(truth: Tensor, given: Tensor, classes: int) -> Tensor:
    """Compute the ``(K, K)`` shares of the samples of class i (rows) that are given as j."""
    counts = (truth * classes + given).bincount(minlength=classes**2).reshape(classes, classes)
    return counts / counts.sum(1, keepdim=True).double()


def examine(_: Runs, path: Path) -> Finding:
    """Compare the matrices, and the shares of labels drawn by them, with the statement."""
    names = ("uniform", "flip2", "flip")
    matrices, shares = {}, {}
    truth = torch.arange(CLASSES).repeat_interleave(DRAWS)
    for name, seed in product(names, SEEDS):
        matrix = NOISES[name](CLASSES, RATE, generator(seed, "noise", "matrix"))
        given = corrupt(truth, matrix, generator(seed, "noise", "draws"))
        matrices[name, seed], shares[name, seed] = matrix, realised(truth, given, CLASSES)
    with figure(path, 9.4, 6.6, len(names), 2) as (canvas, axes):
        image = None
        for i, name in enumerate(names):
            image = _cells(axes[i], matrices[name, 0], f"{name} noise")
            _cells(axes[i + len(names)], shares[name, 0], f"{name}: {DRAWS} labels a class")
        canvas.colorbar(image, ax=list(axes), shrink=0.7, label="probability, share of the labels")
    lines = [
        ["noise", "true class", "other classes", "matrix is off by", "drawn labels are off by"]
    ]
    exact, drawn = {}, {}
    for name in names:
        row = stated(name, CLASSES, RATE)
        exact[name] = max(off_statement(matrices[name, seed], row) for seed in SEEDS)
        gaps = [(shares[name, seed] - matrices[name, seed]).abs().max() for seed in SEEDS]
        drawn[name] = float(max(gaps))
        nonzero = [entry for entry in row[1:] if entry]
        others = f"{len(nonzero)} of {nonzero[0]:g} each"
        lines.append([name, f"{row[0]:g}", others, f"{exact[name]:.1g}", f"{drawn[name]:.4f}"])
    largest, error = max(drawn.values()), (0.25 / DRAWS) ** 0.5
    off = max(exact.values())
    sentence = (
        f"The claim {'holds' if off < 1e-9 else 'does not hold'} here: the matrices are "
        f"{f'off by at most {off:.1e}' if off else 'exactly those stated'}; of {DRAWS} labels a "
        f"class the drawn shares differ from the matrices by at most {largest:.4f} (standard error "
        f"of a share: at most {error:.4f}; n = {len(SEEDS)}, seeds {SEEDS[0]} to {SEEDS[-1]})."
    )
    return Finding(sentence, markdown_table(lines) + f"\n\n{LEGEND}")


LEGEND = (
    f"K = {CLASSES}, rate {RATE:g}. Rows of a matrix are true classes, columns given ones; the "
    "paper's rate of uniform noise counts the true class among the targets. *Off by*: the largest "
    "of all entries and seeds. The figure shows seed 0: the matrices above, the labels that were "
    "drawn below."
)


def _cells(axis: Axes, matrix: Tensor, title: str) -> AxesImage:
    values = matrix.numpy()
    axis.grid(False)
    image = axis.imshow(values, cmap="Blues", vmin=0, vmax=1)
    for (row, column), value in np.ndenumerate(values):
        color = "white" if value > 0.5 else "black"
        text = f"{value:.2f}" if value else "0"
        axis.text(column, row, text, ha="center", va="center", color=color, size=9)
    axis.set_xticks(range(len(values)))
    axis.set_yticks(range(len(values)))
    axis.set_xlabel("given class")
    axis.set_ylabel("true class")
    axis.set_title(title)
    return image


ANALYSIS = Analysis(
    title="What the three kinds of noise do to a label",
    source=f"{GHOSH}, section 2 and Figure 1",
    claim=(
        "With rate η and K classes, uniform noise keeps the true label with probability "
        "1 - η + η/K and gives every other one with η/K; flip keeps it with 1 - η and gives one "
        "other class with η; flip2 gives two other classes with η/2 each."
    ),
    examine=examine,
)
