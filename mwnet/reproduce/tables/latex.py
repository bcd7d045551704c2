"""The accuracies of a table as LaTeX, for ``booktabs``."""

from mwnet.reproduce.tables.records import Record, columns_of, known, of_cell
from mwnet.reproduce.tables.statistics import spread
from mwnet.reproduce.tables.table import Table

BY_NAME = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
SPECIAL = str.maketrans({char: rf"\{char}" for char in "&%$#_{}"} | BY_NAME)


def latex(table: Table, found: list[Record]) -> str:
    """A ``tabular``: mean and standard deviation of the last epoch; what the paper has below it."""
    columns = columns_of(table, found)
    seeds = len({record["seed"] for record in found})
    lines = [
        f"% {table.title}",
        f"% {table.command}",
        f"% Test accuracy in %, last epoch, {seeds} seeds; protocol: {table.protocol}.",
        rf"\begin{{tabular}}{{l{'c' * len(columns)}}}",
        r"\toprule",
        _line(["", *map(_text, columns)]),
        r"\midrule",
    ]
    for row in table.rows:
        cells = [of_cell(found, row, column) for column in columns]
        if not any(cells):
            continue
        ours = [spread(known(cell, "accuracy_last"), scale=100, digits=2) for cell in cells]
        lines.append(_line([_text(row), *(_math(entry) for entry in ours)]))
        if table.paper is not None:
            printed = [table.paper.accuracy.get((row, column)) for column in columns]
            entries = [_math(" ± ".join(f"{x:.2f}" for x in p)) if p else "" for p in printed]
            if any(entries):
                lines.append(_line([r"\quad paper", *entries]))
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}"]) + "\n"


def _line(entries: list[str]) -> str:
    return " & ".join(entries) + r" \\"


def _text(label: str) -> str:
    text = label.translate(SPECIAL)
    return f"{{{text}}}" if text[0] in "*[" else text  # which a line break would take for its own


def _math(entry: str) -> str:
    number = entry.replace("±", r"\pm")
    return "--" if entry == "-" else f"${number}$"
