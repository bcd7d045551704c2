"""Pictures of a table: curves over epochs by method, and which ranks differ."""

import logging
import math
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from mwnet.reproduce.tables.records import Record
from mwnet.reproduce.tables.statistics import Ranks
from mwnet.reproduce.tables.table import Table
from mwnet.runs.canvas import figure
from mwnet.runs.folder import METRICS, RunFolder

log = logging.getLogger(__name__)

Curve = dict[int, float]
Pictures = list[tuple[str, str]]

FOLDER = "figures"
CURVES = {
    "accuracy": ("test_accuracy", "test accuracy"),
    "auc": ("detection_auc", "AUC of finding wrong labels"),
}
BANDS = 8
"""Of more methods than this, bands from the lowest to the highest seed hide one another."""
DESCRIPTIONS = {name: f"{label} over epochs" for name, (_, label) in CURVES.items()} | {
    "ranks": "average ranks; what a bar joins does not differ at 5 %"
}


def draw(table: Table, found: list[Record], ranked: Ranks | None, out: Path) -> None:
    """Draw what the runs' metrics allow into ``out/figures``.

    Args:
        table: the grid.
        found: its finished cells.
        ranked: average ranks, if there are any.
        out: folder of all runs.
    """
    (out / FOLDER).mkdir(exist_ok=True)
    lines = [(record, _metrics(out / record["folder"])) for record in found]
    for name, (key, label) in CURVES.items():
        curves = {
            (record["row"], record["column"], record["seed"]): _curve(history, key)
            for record, history in lines
        }
        if any(len(curve) > 1 for curve in curves.values()):
            _curves(out / FOLDER / f"{name}.png", table, curves, label)
    (out / FOLDER / "ranks.png").unlink(missing_ok=True)
    if ranked is not None and not math.isnan(ranked.p):
        _critical_difference(out / FOLDER / "ranks.png", ranked)


def pictures(folder: Path) -> Pictures:
    """Description and path, from ``folder``, of each picture that was drawn there."""
    names = [name for name in DESCRIPTIONS if (folder / FOLDER / f"{name}.png").exists()]
    return [(DESCRIPTIONS[name], f"{FOLDER}/{name}.png") for name in names]


def _metrics(path: Path) -> list[dict[str, Any]]:
    """The lines of a run; none for a cell that has no epochs."""
    return RunFolder(path).history() if (path / METRICS).exists() else []


def _curve(history: list[dict[str, Any]], key: str) -> Curve:
    """Values by epoch, of the last phase: those that the summary speaks of."""
    curve: Curve = {}
    for line in history:
        if line.get("phase") == history[-1].get("phase"):
            value = line.get(key)
            value = value["own"] if isinstance(value, dict) else value
            if value is not None:
                curve[line["epoch"]] = value
    return curve


def _curves(
    path: Path, table: Table, curves: dict[tuple[str, str, int], Curve], label: str
) -> None:
    """A panel for each column: mean over seeds and, of few methods, their lowest and highest."""
    columns = [c for c in table.columns if any(key[1] == c and of for key, of in curves.items())]
    rows = [r for r in table.rows if any(key[0] == r and of for key, of in curves.items())]
    across = min(2, len(columns))
    down = math.ceil(len(columns) / across)
    looks = dict(zip(rows, _looks(), strict=False))
    # Half a line of the legend for each method, in three columns.
    with figure(path, 4.6 * across + 0.6, 3.2 * down + 0.1 * len(rows) + 0.4, across, down) as (
        canvas,
        panels,
    ):
        for axes, column in zip(panels, columns, strict=False):
            for row, look in looks.items():
                own = [of for key, of in curves.items() if key[:2] == (row, column)]
                _mean_curve(axes, own, look, band=len(rows) <= BANDS)
            axes.set_title(column)
            axes.set_xlabel("epoch")
            axes.set_ylabel(label)
        for axes in panels[len(columns) :]:
            axes.set_visible(False)
        lines = [Line2D([], [], **look) for look in looks.values()]
        canvas.legend(lines, list(looks), loc="outside lower center", ncols=3, fontsize=8)


def _mean_curve(axes: Axes, seeds: list[Curve], look: dict[str, Any], *, band: bool) -> None:
    seeds = [curve for curve in seeds if curve]
    if not seeds:
        return
    epochs = sorted(set.intersection(*(set(curve) for curve in seeds)))
    values = np.array([[curve[epoch] for epoch in epochs] for curve in seeds])
    axes.plot(epochs, values.mean(0), lw=1.4, **look)
    if band and len(seeds) > 1:
        axes.fill_between(
            epochs, values.min(0), values.max(0), color=look["color"], alpha=0.12, lw=0
        )


def _looks() -> list[dict[str, Any]]:
    """Ten colours, then the same with other dashes: enough to tell thirty methods apart."""
    colors = colormaps["tab10"].colors  # pyright: ignore[reportAttributeAccessIssue]
    return [{"ls": style, "color": color} for style, color in product(("-", "--", ":"), colors)]


def _critical_difference(path: Path, ranked: Ranks) -> None:
    """Demsar's diagram, drawn by scikit-posthocs; a report without it lacks this picture alone."""
    try:
        import scikit_posthocs  # pyright: ignore[reportMissingImports]
        from pandas import DataFrame  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        log.warning(
            "no picture of ranks, which needs scikit-posthocs (%s): pip install -e '.[bench]'",
            error,
        )
        return
    names = list(ranked.average)
    rank = np.array(list(ranked.average.values()))
    apart = np.abs(rank[:, None] - rank) > ranked.critical_difference
    p_like = DataFrame(np.where(apart, 0.0, 1.0), index=names, columns=names)
    with figure(path, 8.0, 1.2 + 0.22 * len(names)) as (_, (axes,)):
        axes.grid(False)
        scikit_posthocs.critical_difference_diagram(
            ranked.average,
            p_like,
            ax=axes,
            label_fmt_left="{label} ({rank:.1f})",
            label_fmt_right="({rank:.1f}) {label}",
        )
        axes.set_title(
            f"average rank; critical difference {ranked.critical_difference:.1f}", pad=24
        )
