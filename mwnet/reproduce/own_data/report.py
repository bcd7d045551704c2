"""The report of a table of own data: ranks and means of the rows, and cross-fit beside cleanlab."""

import statistics
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata

from mwnet.reproduce.document import markdown_table
from mwnet.reproduce.own_data.prepare import TRAIN
from mwnet.reproduce.tables.markdown import run_lines
from mwnet.reproduce.tables.records import Record, columns_of, known, of_cell
from mwnet.reproduce.tables.statistics import ranks
from mwnet.reproduce.tables.table import Table

OURS, THEIRS = "cross-fit", "cleanlab-"
"""Methods of the rows that are compared."""
MARGINS = {"accuracy": 0.01, "auc": 0.01}
HEADINGS = {
    "accuracy": "accuracy",
    "auc": "AUC",
    "average_precision": "average precision",
    "precision_at_noise": "precision at the noise rate",
    "f1": "F1",
    "seconds": "seconds",
}
RANKED = ("accuracy", "average_precision")
FEW = 4
"""Columns up to which each has a part of its own."""


@dataclass(frozen=True)
class Beside:
    """Ours beside the best row of cleanlab in a column, for one measure.

    Attributes:
        column: label.
        measure: accuracy or auc.
        ours: mean over seeds.
        best: of the rows of cleanlab, mean over seeds.
        row: which one that is.
    """

    column: str
    measure: str
    ours: float
    best: float
    row: str

    @property
    def lead(self) -> float:
        """How far ours is ahead; negative where it is behind."""
        return self.ours - self.best


def markdown(table: Table, found: list[Record]) -> str:
    """Ranks and means of rows, cross-fit beside cleanlab, and where it is behind.

    Args:
        table: the grid.
        found: its finished cells.
    """
    parts = [f"## {table.title}", "### Mean ranks and means", _overview(table, found)]
    if len(columns_of(table, found)) <= FEW:
        parts += ["### Each set", *_each(table, found)]
    pairs = beside(table, found)
    if pairs:
        row = _row_of(found, OURS)
        parts += [f"### {row} beside the best row of cleanlab", _pairs(table, pairs)]
        parts += ["### Where it is behind", _behind(row, pairs)]
    parts += ["### Runs", "\n".join(f"- {line}" for line in _footer(table, found))]
    return "\n\n".join(parts) + "\n"


def mean_ranks(table: Table, found: list[Record], measure: str) -> dict[str, float]:
    """Mean rank of each row over the columns that all rows have; 1 is best, ties share theirs."""
    rows, columns = _complete(table, found)
    if not rows or not columns:
        return {}
    values = np.array([[_mean(found, row, column, measure) for column in columns] for row in rows])
    return dict(zip(rows, rankdata(-values, axis=0).mean(1).tolist(), strict=True))


def beside(table: Table, found: list[Record]) -> list[Beside]:
    """Ours beside the best row of cleanlab, for each column that has both."""
    ours = _row_of(found, OURS)
    theirs = [row for row in table.rows if _method(found, row).startswith(THEIRS)]
    pairs = []
    for column in columns_of(table, found):
        rows = [row for row in theirs if of_cell(found, row, column)]
        if not rows or not of_cell(found, ours, column):
            continue
        for measure in MARGINS:
            best = max(rows, key=lambda row: _mean(found, row, column, measure))
            values = (_mean(found, row, column, measure) for row in (ours, best))
            pairs.append(Beside(column, measure, *values, row=best))
    return pairs


def _overview(table: Table, found: list[Record]) -> str:
    rows, columns = _complete(table, found)
    by_rank = {measure: mean_ranks(table, found, measure) for measure in RANKED}
    lines = [["", *(f"rank, {HEADINGS[measure]}" for measure in RANKED), *HEADINGS.values()]]
    lines[0] += ["collapses", "inverted"]
    for row in sorted(rows, key=lambda row: by_rank["accuracy"].get(row, 0)):
        line = [row, *(f"{by_rank[measure][row]:.2f}" for measure in RANKED)]
        for measure in HEADINGS:
            mean = statistics.mean(_mean(found, row, column, measure) for column in columns)
            line.append(_written(measure, mean))
        own = [record for record in found if record["row"] == row]
        collapses = len(known(own, "collapse"))
        inverted = sum(auc < 0.5 for auc in known(own, "auc"))
        lines.append([*line, *(f"{count} of {len(own)}" for count in (collapses, inverted))])
    text = [
        f"{markdown_table(lines)}",
        f"Over {len(columns)} columns, each a set with a noise that all {len(rows)} rows have; "
        "means of the seeds first. Rank 1 is best. Collapsed: the learnt weights say nothing or "
        "the opposite at the end; inverted: AUC below one half; of all runs.",
    ]
    ranked = ranks({row: [_mean(found, row, c, "accuracy") for c in columns] for row in rows})
    if ranked is not None:
        text.append(
            "Nemenyi's critical difference at 5 %, the same for both ranks: "
            f"{ranked.critical_difference:.2f}."
        )
    return "\n\n".join(text)


def _each(table: Table, found: list[Record]) -> Iterator[str]:
    """For each column a table of rows and measures, means over the seeds that are there."""
    for column in columns_of(table, found):
        lines = [[column, *HEADINGS.values(), "seeds"]]
        for row in table.rows:
            cells = of_cell(found, row, column)
            if cells:
                means = [_written(m, _mean(found, row, column, m)) for m in HEADINGS]
                lines.append([row, *means, str(len(cells))])
        yield markdown_table(lines)


def _pairs(table: Table, pairs: list[Beside]) -> str:
    lines = [["", "accuracy", "cleanlab", "difference", "AUC", "cleanlab", "difference"]]
    for column in table.columns:
        own = {pair.measure: pair for pair in pairs if pair.column == column}
        if own:
            lines.append([column])
        for measure, pair in own.items():
            digits, scale = (2, 100) if measure == "accuracy" else (4, 1)
            lines[-1] += [
                _written(measure, pair.ours),
                f"{_written(measure, pair.best)} ({pair.row.removeprefix('cleanlab, ')})",
                f"{scale * pair.lead:+.{digits}f}",
            ]
    return markdown_table(lines)


def _behind(row: str, pairs: list[Beside]) -> str:
    lines = []
    for measure, margin in MARGINS.items():
        name, what = HEADINGS[measure], "one point" if measure == "accuracy" else f"{margin}"
        own = [pair for pair in pairs if pair.measure == measure]
        # 0.01 is no sum of powers of two: a difference of one point exactly is not more than it.
        far = [pair for pair in own if pair.lead < -margin - 1e-9]
        near = [pair for pair in own if pair.lead < 0 and pair not in far]
        lines.append(f"- {name}, by more than {what}: {_listed(far)}.")
        lines.append(f"- {name}, by less: {_listed(near)}.")
        ahead = sum(pair.lead > 0 for pair in own)
        lines.append(f"- {name}: {row} is ahead in {ahead} of {len(own)} columns.")
    return "\n".join(lines)


def _listed(pairs: list[Beside]) -> str:
    def written(pair: Beside) -> str:
        lead = f"{100 * pair.lead:+.2f}" if pair.measure == "accuracy" else f"{pair.lead:+.4f}"
        return f"{pair.column} ({lead})"

    return "; ".join(map(written, sorted(pairs, key=lambda pair: pair.lead))) or "nowhere"


def _footer(table: Table, found: list[Record]) -> Iterator[str]:
    samples = [record["samples"] for record in found]
    most = "all" if max(samples) > TRAIN else f"at most {TRAIN:,}"
    yield (
        f"Every row has the same features, prepared once, the same given labels, {most} "
        "training rows and true test labels. Seconds: training and scoring on one thread, without "
        "reading and preparing."
    )
    rates = known(found, "noise_rate")
    yield (
        f"Training rows: {min(samples)} to {max(samples)}. Wrong training labels: "
        f"{min(rates):.1%} to {max(rates):.1%}."
    )
    yield from run_lines(table, found)


def _complete(table: Table, found: list[Record]) -> tuple[list[str], list[str]]:
    """Rows of which anything is there, and the columns that all of them have."""
    there = {record["row"] for record in found}
    rows = [row for row in table.rows if row in there]
    columns = [
        column
        for column in columns_of(table, found)
        if all(known(of_cell(found, row, column), "average_precision") for row in rows)
    ]
    return rows, columns


def _mean(found: list[Record], row: str, column: str, measure: str) -> float:
    """Mean over seeds."""
    return statistics.mean(known(of_cell(found, row, column), measure))


def _method(found: list[Record], row: str) -> str:
    return next((str(record["method"]) for record in found if record["row"] == row), "")


def _row_of(found: list[Record], method: str) -> str:
    return next((str(record["row"]) for record in found if record["method"] == method), "")


def _written(measure: str, value: float) -> str:
    if measure == "accuracy":
        return f"{100 * value:.2f}"
    return f"{value:.1f}" if measure == "seconds" else f"{value:.4f}"
