"""The report of a table as Markdown."""

import math
import statistics
from collections.abc import Callable, Iterable, Sequence
from itertools import product
from typing import Any

from mwnet.reproduce.document import markdown_table
from mwnet.reproduce.tables.paper import Paper
from mwnet.reproduce.tables.records import Record, columns_of, known, of_cell
from mwnet.reproduce.tables.statistics import Ranks, ranks, spread, welch_interval
from mwnet.reproduce.tables.table import Table

HEADLINES = {"accuracy_last": "last", "accuracy_best": "best"}


def markdown(table: Table, found: list[Record], pictures: Sequence[tuple[str, str]] = ()) -> str:
    """Tables of accuracy, detection, ranks and cost, and what the numbers depend on.

    Args:
        table: the grid, with the paper's numbers if it has them.
        found: its finished cells.
        pictures: description and path of each.
    """
    given = any(record["test_labels"] == "given" for record in found)
    kind = "Agreement with given test labels" if given else "Test accuracy"
    paper = table.paper
    parts = [f"## {table.title}"]
    parts += [
        f"### {kind} in %: last epoch (best epoch by test accuracy)",
        _grid(table, found, _accuracy),
    ]
    if paper is not None and paper.accuracy:
        parts += [f"### Beside {paper.source}", _beside(table, paper, found)]
    parts += [
        "### Detection AUC of the method's own score: "
        + ("last epoch" if not (paper and paper.auc) else "last epoch (best epoch); the paper's"),
        _grid(table, found, lambda of: _auc(of, paper)),
    ]
    ranked = table_ranks(table, found)
    if ranked is not None:
        parts += ["### Average ranks", _ranks(table, ranked)]
    parts += ["### Seconds and peak memory in MiB of a run, means", _grid(table, found, _cost)]
    parts += [f"![{description}]({path})" for description, path in pictures]
    return "\n\n".join([*parts, _footer(table, found)]) + "\n"


def table_ranks(table: Table, found: list[Record]) -> Ranks | None:
    """Ranks by mean accuracy of the last epoch, of the rows that have all columns there are."""
    columns = columns_of(table, found)
    scores = {}
    for row in table.rows:
        cells = [of_cell(found, row, column) for column in columns]
        if all(cells):
            scores[row] = [statistics.mean(known(cell, "accuracy_last")) for cell in cells]
    return ranks(scores)


def _accuracy(of: list[Record]) -> str:
    last, best = (spread(known(of, field), scale=100, digits=2) for field in HEADLINES)
    return f"{last} ({best})"


def _auc(of: list[Record], paper: Paper | None) -> str:
    last, best = (spread(known(of, f"auc_own_{which}"), digits=4) for which in ("last", "best"))
    if paper is None or not paper.auc:
        return last
    printed = paper.auc.get((of[0]["row"], of[0]["column"]))
    return f"{last} ({best})" + ("" if printed is None else f"; {printed[0]:.4f}")


def _cost(of: list[Record]) -> str:
    memory = known(of, "peak_memory_mib")
    return f"{statistics.mean(known(of, 'seconds')):.1f} s" + (
        f", {statistics.mean(memory):.0f}" if memory else ""
    )


def _beside(table: Table, paper: Paper, found: list[Record]) -> str:
    n = f"n = {paper.n}" + ", assumed" * paper.n_assumed
    lines = [["", "", "n", "last", "best", f"paper ({n})"]]
    lines[0] += [f"{which} - paper, 95 %" for which in HEADLINES.values()]
    for row, column in product(table.rows, table.columns):
        of, printed = of_cell(found, row, column), paper.accuracy.get((row, column))
        if not of or printed is None:
            continue
        values = {field: [100 * x for x in known(of, field)] for field in HEADLINES}
        line = [row, column, str(len(of)), *(spread(of, digits=2) for of in values.values())]
        line.append(" ± ".join(f"{number:.2f}" for number in printed))
        for ours in values.values():
            # A standard deviation of two says nothing, and one that is not printed less.
            if len(ours) < 3 or len(printed) < 2:
                line.append("-")
                continue
            low, high = welch_interval(ours, printed[0], printed[1], paper.n)
            line.append(f"{low:+.2f} to {high:+.2f}")
        lines.append(line)
    return markdown_table(lines)


def _ranks(table: Table, ranked: Ranks) -> str:
    paper = {} if table.paper is None else table.paper.accuracy
    columns = [c for c in table.columns if all((row, c) in paper for row in ranked.average)]
    printed = ranks({row: [paper[row, c][0] for c in columns] for row in ranked.average})
    lines = [["", f"ours, {ranked.problems} columns"]]
    if printed is not None:
        lines[0].append(f"paper, {printed.problems} columns")
    for row, rank in ranked.average.items():
        lines.append([row, f"{rank:.2f}"])
        if printed is not None:
            lines[-1].append(f"{printed.average[row]:.2f}")
    if math.isnan(ranked.p):
        return f"{markdown_table(lines)}\n\nAll are alike in every column."
    test = (
        f"By the mean accuracy of the last epoch; 1 is best. Friedman's test, corrected for ties: "
        f"chi-squared({len(ranked.average) - 1}) = {ranked.chi_square:.2f}, p = {ranked.p:.2g}. "
        f"Nemenyi's critical difference at 5 %: {ranked.critical_difference:.2f}."
    )
    return f"{markdown_table(lines)}\n\n{test}"


def _grid(table: Table, found: list[Record], entry: Callable[[list[Record]], str]) -> str:
    columns = columns_of(table, found)
    lines = [["", *columns]]
    for row in table.rows:
        cells = [of_cell(found, row, column) for column in columns]
        if any(cells):
            lines.append([row, *(entry(cell) if cell else "-" for cell in cells)])
    return markdown_table(lines)


def run_lines(table: Table, found: list[Record]) -> list[str]:
    """Say what all numbers depend on: n and machine, versions, command."""
    seeds = sorted({record["seed"] for record in found})
    versions: dict[str, set[str]] = {}
    for record in found:
        for pair in record["versions"].split():
            name, _, version = pair.partition("=")
            versions.setdefault(name, set()).add(version)
    return [
        f"n = {len(seeds)} (seeds {_listed(seeds, ', ')}); {len(found)} runs of "
        f"{len(table.rows) * len(table.columns) * len(seeds)}; device: "
        f"{_listed({record['device'] for record in found})}; CPU threads of a run: "
        f"{_listed({record['threads'] for record in found})}.",
        f"Versions: {', '.join(f'{name} {_listed(of)}' for name, of in versions.items())}.",
        f"Command: `{table.command}`.",
    ]


def _footer(table: Table, found: list[Record]) -> str:
    rates = []
    for column in table.columns:
        own = (record for record in found if record["column"] == column)
        realised = known(own, "noise_rate_realised")
        if realised:
            rates.append(f"{column}: {statistics.mean(realised):.1%}")
    lines = [
        "Mean ± standard deviation over seeds. The best epoch is chosen by test accuracy, which "
        "no user could do.",
        *run_lines(table, found),
    ]
    if rates:
        lines.insert(2, f"Wrong training labels: {'; '.join(rates)}.")
    if any(record["method"] == "clean-learning" for record in found):
        lines.insert(1, "Seconds include measuring, but for CleanLearning's.")
    parts = (table.base, *table.columns.values(), *table.rows.values())
    seldom = {part["eval_every"] for part in parts if part.get("eval_every", 1) != 1}
    if seldom:
        lines.insert(1, f"Measured once in {_listed(seldom)} epochs; the best is one of these.")
    if table.paper is not None:
        lines.insert(0, f"Protocol: {_protocol(table)}")
    return "\n".join(f"- {line}" for line in lines)


def _protocol(table: Table) -> str:
    if table.protocol == "common":
        return "common; all rows share data, epochs and learning rates."
    assert table.paper is not None  # as_the_paper has seen to it
    assert table.paper.protocol is not None
    return f"the paper's; {table.paper.protocol.note}"


def _listed(values: Iterable[Any], by: str = "/") -> str:
    return by.join(map(str, sorted(values)))
