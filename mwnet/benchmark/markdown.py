"""Markdown and CSV from the summaries of the cells that are there."""

import csv
import io
import statistics
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mwnet import checkpoint
from mwnet.benchmark.cells import SUMMARY, read_summary
from mwnet.benchmark.table import TABLE, Table, load_table
from mwnet.errors import UserError

Values = list[float]


@dataclass(frozen=True)
class Result:
    """A finished cell: its labels, its folder under that of the table, its summary."""

    row: str
    column: str
    folder: Path
    summary: dict[str, Any]

    def number(self, *keys: str) -> Any:
        """A value of the summary; None where something on the way to it is None."""
        value: Any = self.summary
        for key in keys:
            if value is not None and key not in value:
                raise UserError(f"{self.folder / SUMMARY} has no {'.'.join(keys)}: run it again")
            value = None if value is None else value[key]
        return value


def report(out: Path) -> str:
    """Write ``table.md`` and ``cells.csv`` in the folder of a table's runs.

    Returns:
        The Markdown.

    Raises:
        UserError: no table in the folder, or a summary that cannot be read.
    """
    if not (out / TABLE).is_file():
        raise UserError(f"{out} holds no runs of a table: there is no {TABLE} in it")
    table = load_table(out / TABLE)
    results = list(_results(table, out))
    if not results:
        raise UserError(f"{out} holds no finished run yet")
    text = markdown(table, results)
    checkpoint.write_text(out / "table.md", text)
    checkpoint.write_text(out / "cells.csv", cells_csv(results))
    return text


def _results(table: Table, out: Path) -> Iterable[Result]:
    for row in table.rows:
        for column in table.columns:
            paths = table.folder(out, row, column).glob(f"seed-*/{SUMMARY}")
            for path in sorted(paths, key=lambda path: int(path.parent.name[5:])):
                summary = read_summary(path.parent)
                yield Result(row, column, path.parent.relative_to(out), summary)


def markdown(table: Table, results: list[Result]) -> str:
    """Three tables, and what their numbers depend on."""

    def accuracy(of: list[Result]) -> str:
        last, best = (_known(of, "test_accuracy", key) for key in ("last", "best"))
        return f"{_spread(last, 100, 2)} ({_spread(best, 100, 2)})"

    def auc(of: list[Result]) -> str:
        return _spread(_known(of, "detection_auc", "own", "last"), 1, 4)

    def seconds(of: list[Result]) -> str:
        return f"{statistics.mean(_known(of, 'seconds', 'total')):.1f} ({len(of)})"

    given = any(result.number("test_labels") == "given" for result in results)
    kind = "Agreement with given test labels" if given else "Test accuracy"
    parts = [f"## {table.title}"]
    for heading, entry in (
        (f"{kind} in %: last epoch (best epoch by test accuracy)", accuracy),
        ("Detection AUC of the method's own score, last epoch", auc),
        ("Mean seconds of a run (n, number of runs)", seconds),
    ):
        parts += [f"### {heading}", _grid(table, results, entry)]
    return "\n\n".join([*parts, _footer(table, results)]) + "\n"


def _grid(table: Table, results: list[Result], entry: Callable[[list[Result]], str]) -> str:
    there = {(result.row, result.column) for result in results}
    columns = [column for column in table.columns if column in {of for _, of in there}]
    lines = [["", *columns], ["---"] * (len(columns) + 1)]
    for row in table.rows:
        if row not in {of for of, _ in there}:
            continue
        cells = [[r for r in results if (r.row, r.column) == (row, of)] for of in columns]
        lines.append([row, *(entry(cell) if cell else "-" for cell in cells)])
    return "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in line)} |" for line in lines)


def _footer(table: Table, results: list[Result]) -> str:
    seeds = sorted({result.number("seed") for result in results})
    versions: dict[str, set[str]] = {}
    for result in results:
        for name, version in result.number("versions").items():
            versions.setdefault(name, set()).add(version)
    threads = _listed({result.number("threads") for result in results})
    rates = []
    for column in table.columns:
        realised = _known([r for r in results if r.column == column], "noise", "realised_rate")
        if realised:
            rates.append(f"{column}: {statistics.mean(realised):.1%}")
    lines = [
        "Mean ± standard deviation over seeds. The best epoch is chosen by test accuracy, which "
        "no user could do.",
        f"n = {len(seeds)} (seeds {_listed(seeds, ', ')}); {len(results)} runs of "
        f"{len(table.rows) * len(table.columns) * len(seeds)}; CPU threads of a run: {threads}.",
        f"Versions: {', '.join(f'{name} {_listed(of)}' for name, of in versions.items())}.",
        f"Command: `{table.command}`.",
    ]
    if rates:
        lines.insert(2, f"Wrong training labels: {'; '.join(rates)}.")
    if any(result.number("method") == "clean-learning" for result in results):
        lines.insert(1, "Seconds include measuring after every epoch, but for CleanLearning's.")
    return "\n".join(f"- {line}" for line in lines)


def cells_csv(results: list[Result]) -> str:
    """One line a cell."""
    buffer = io.StringIO()
    lines = [_csv_line(result) for result in results]
    writer = csv.DictWriter(buffer, list(lines[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return buffer.getvalue()


def _csv_line(result: Result) -> dict[str, Any]:
    number = result.number
    versions = number("versions").items()
    return {
        "row": result.row,
        "column": result.column,
        "seed": number("seed"),
        "method": number("method"),
        "accuracy_last": number("test_accuracy", "last"),
        "accuracy_best": number("test_accuracy", "best"),
        "accuracy_best_epoch": number("test_accuracy", "best_epoch"),
        "auc_own_last": number("detection_auc", "own", "last"),
        "auc_own_best": number("detection_auc", "own", "best"),
        "auc_loss_last": number("detection_auc", "loss", "last"),
        "auc_probability_last": number("detection_auc", "probability", "last"),
        "noise_rate_realised": number("noise", "realised_rate"),
        "noise_rate_assumed": number("noise", "assumed", "rate"),
        "noise_rate_source": number("noise", "assumed", "source"),
        "steps": number("steps"),
        "seconds": number("seconds", "total"),
        "device": number("device"),
        "threads": number("threads"),
        "versions": " ".join(f"{name}={version}" for name, version in versions),
        "folder": result.folder.as_posix(),
    }


def _known(results: list[Result], *keys: str) -> Values:
    values = [result.number(*keys) for result in results]
    return [value for value in values if value is not None]


def _spread(values: Values, scale: float, digits: int) -> str:
    """Mean and, of several, standard deviation."""
    if not values:
        return "-"
    mean = f"{scale * statistics.mean(values):.{digits}f}"
    if len(values) == 1:
        return mean
    return f"{mean} ± {scale * statistics.stdev(values):.{digits}f}"


def _listed(values: Iterable[Any], by: str = "/") -> str:
    return by.join(map(str, sorted(values)))
