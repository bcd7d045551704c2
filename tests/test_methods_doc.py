"""docs/METHODS.md and the help text name every method as it is; CONTRIBUTING's example works."""

import re
import sys
from pathlib import Path
from types import ModuleType

import pytest
from commands import ROOT, run
from experiments import config

from mwnet.builders.experiment import build
from mwnet.config.schema import Config
from mwnet.methods import METHODS
from mwnet.reproduce.tables.table import load_table


def rows() -> dict[str, list[str]]:
    """The table of docs/METHODS.md by its first column."""
    text = (ROOT / "docs/METHODS.md").read_text()
    lines = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ")]
    return {line[0]: line[1:] for line in lines[1:]}


def test_the_table_has_every_method_in_order() -> None:
    assert list(rows()) == list(METHODS)


@pytest.mark.parametrize("name", METHODS)
def test_the_table_says_what_the_class_says(name: str) -> None:
    method = METHODS[name]
    phases = ", ".join(phase.name for phase in build(config(name)).method.phases)
    needs_rate = "yes" if method.needs_noise_rate else "no"
    assert rows()[name] == [
        f"{method.passes:g}",
        str(method.networks),
        method.meta,
        needs_rate,
        method.takes_loss,
        phases,
    ]


@pytest.mark.parametrize("name", METHODS)
def test_every_method_has_a_paragraph_a_row_of_the_table_and_stands_in_the_help(name: str) -> None:
    text = (ROOT / "docs/METHODS.md").read_text()
    assert re.search(rf"^\*\*[^*]*\b{re.escape(name)}\b[^*]*\*\*", text, re.MULTILINE)
    description = Config.model_fields["method"].description or ""
    assert re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", description)
    if name in ("cross-fit", "refurbish"):  # the table is of the papers' methods
        return
    table = load_table(ROOT / "configs/tables/digits_methods.yaml")
    assert name in {row.get("method") for row in table.rows.values()}


def test_the_method_of_contributing_trains(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    module = ModuleType("mwnet.methods.trimmed")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    exec(code, vars(module))
    monkeypatch.setitem(METHODS, "trimmed", vars(module)["Trimmed"])
    summary = run(tmp_path / "run", "--method", "trimmed", "--method.share", "0.3")
    assert summary["method"] == "trimmed"
