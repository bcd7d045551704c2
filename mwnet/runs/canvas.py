"""Share colours, style and panels among all pictures. Without pyplot no display is needed."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mwnet.core import files

# Blue and orange of Okabe and Ito's palette: told apart by everyone, also in grey.
RIGHT, WRONG, NEUTRAL = "#0072b2", "#d55e00", "#555555"
PALETTE = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
"""Okabe and Ito's colours, to tell several things apart."""
STYLE: dict[Any, Any] = {
    "figure.dpi": 130,
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "legend.frameon": False,
}


@dataclass(frozen=True)
class Margins:
    """Room around panels, in inches."""

    left: float = 0.75
    right: float = 0.15
    bottom: float = 0.55
    top: float = 0.35

    def apply(self, canvas: Figure, columns: int, rows: int) -> None:
        """Place the panels of a figure; between two of them is the room of both."""
        width, height = canvas.get_size_inches()
        across, down = self.left + self.right, self.bottom + self.top
        canvas.subplots_adjust(
            left=self.left / width,
            right=1 - self.right / width,
            bottom=self.bottom / height,
            top=1 - self.top / height,
            wspace=across / ((width - columns * across) / columns),
            hspace=down / ((height - rows * down) / rows),
        )


@contextmanager
def figure(
    path: Path,
    width: float,
    height: float,
    columns: int = 1,
    rows: int = 1,
    margins: Margins | None = None,
) -> Iterator:
    """A figure with its axes, written to ``path`` when the block ends well.

    Args:
        path: of the PNG.
        width: in inches.
        height: in inches.
        columns: of panels.
        rows: of panels.
        margins: around the panels; None to measure what stands there, as long as drawing it.
    """
    with matplotlib.rc_context(STYLE):
        canvas = Figure(figsize=(width, height), layout="constrained" if margins is None else None)
        if margins is not None:
            margins.apply(canvas, columns, rows)
        yield canvas, canvas.subplots(rows, columns, squeeze=False).ravel()
        with files.atomic(path) as file:
            canvas.savefig(file, format="png")


def panels(count: int) -> tuple[int, int]:
    """Columns and rows of a figure with some panels: one line of up to three, else two."""
    return (count, 1) if count <= 3 else ((count + 1) // 2, 2)


def without(axes: Iterable[Axes]) -> None:
    """Leave out the panels that stay empty."""
    for axis in axes:
        axis.set_axis_off()
