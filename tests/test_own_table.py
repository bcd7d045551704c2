"""The table over sets as users have them: cells, rivals, report."""

import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from commands import ROOT

from mwnet.reproduce.own_data import report as own_report
from mwnet.reproduce.own_data import rivals
from mwnet.reproduce.own_data.cells import Prepared, measured, source_of
from mwnet.reproduce.own_data.prepare import half_of
from mwnet.reproduce.own_data.sets import ANSWERED, FILES, PEOPLE
from mwnet.reproduce.tables import runner
from mwnet.reproduce.tables.cells import plan
from mwnet.reproduce.tables.command import anywhere, main
from mwnet.reproduce.tables.report import archived
from mwnet.reproduce.tables.table import Table, load_table

SMALL = {
    "title": "Two flowers",
    "kind": "own-data",
    "base": {"dataset": "arrays", "epochs": 8, "device": "cpu"},
    "sets": ["iris", "wine"],
    "noises": ["uniform 0.4"],
    "rows": {
        "cross-fitted": {"method": "cross-fit", "meta_size": 0},
        "RMNW-Net": {"method": "mwnet"},
        "cleanlab, logistic": {"command": "cleanlab-logistic"},
    },
    "seeds": [0],
}


def write(folder: Path, **changes: object) -> Path:
    path = folder / "own.yaml"
    path.write_text(yaml.safe_dump({**SMALL, **changes}, sort_keys=False))
    return path


def run(table: Path, *argv: str) -> int:
    return main([str(table), "--out", str(table.parent / "own"), "--jobs", "1", *argv])


def toy(classes: int = 3, each: int = 60) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Well separated blobs, given labels of which a tenth is wrong, and which."""
    rng = np.random.default_rng(0)
    truth = np.repeat(np.arange(classes), each)
    x = rng.normal(size=(len(truth), 5)) + 8 * np.eye(5)[truth]
    wrong = np.zeros(len(truth), dtype=bool)
    wrong[rng.permutation(len(truth))[: len(truth) // 10]] = True
    return x.astype(np.float32), np.where(wrong, (truth + 1) % classes, truth), wrong


def test_a_table_is_run_once_and_reported_from_what_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("cleanlab")
    table, out = write(tmp_path), tmp_path / "own"
    assert run(table) == 0
    paths = sorted(out.glob("*/*/seed-0/summary.json"))
    assert len(paths) == 6
    for path in paths:
        summary = json.loads(path.read_text())
        lines = (path.parent / "label_quality.csv").read_text().splitlines()[1:]
        held_out = path.parent / "label_quality_heldout.csv"
        if held_out.exists():
            lines += held_out.read_text().splitlines()[1:]
        assert held_out.exists() == ("RMNW-Net" in str(path))
        assert sorted(int(line.split(",")[0]) for line in lines) == list(range(len(lines)))
        assert len(lines) == summary["samples"]
        assert 0 < summary["seconds"] < 60
        assert summary["noise_rate"] == pytest.approx(0.27, abs=0.1)
        assert summary["threads"] == 1
        assert ("cleanlab" in summary["versions"]) == (summary["method"] == "cleanlab-logistic")
    for name in ("own-data", "cleanlab-logistic"):
        monkeypatch.delitem(runner.RUNNERS, name)  # nothing is run again
    capsys.readouterr()
    assert run(table) == 0
    text = (out / "table.md").read_text()
    assert text in capsys.readouterr().out
    assert "| iris, uniform 0.4 | " in text
    assert "cross-fitted beside the best row of cleanlab" in text
    assert "n = 1 (seeds 0); 6 runs of 6; device: cpu; CPU threads of a run: 1." in text
    document = tmp_path / "docs" / "RESULTS.md"
    document.parent.mkdir()
    document.write_text("<!-- own -->\n<!-- /own -->\n")
    assert main(["report", str(out), "--into", str(document)]) == 0
    kept = document.parent / "tables" / "own"
    assert document.read_text() == f"<!-- own -->\n{text}<!-- /own -->\n"
    assert archived(kept) == text


def test_halves_and_cells_of_the_table_that_ships(tmp_path: Path) -> None:
    table = load_table(ROOT / "configs/tables/own_data.yaml")
    names = list(dict.fromkeys(column.partition(", ")[0] for column in table.columns))
    assert set(names) == FILES.keys() - PEOPLE.keys()
    assert half_of(names, "even")[:3] == ["letter", "satimage", "spambase"]
    assert half_of(names, "odd")[-1] == "wine"
    real = [*ANSWERED, "jira_defects_a"]
    assert len(table.columns) == 4 * (30 - len(real)) + len(real)
    assert "jira_defects_a, real" in table.columns
    cell = plan(table, tmp_path)[0]
    assert cell.config.data == tmp_path / "sets" / "letter" / "uniform-0.2" / "seed-0.npz"
    methods = {cell.method for cell in plan(table, tmp_path)}
    assert methods == {"erm", "mwnet", "cross-fit", "elr", *rivals.RIVALS}


@pytest.mark.parametrize(
    ("changes", "argv", "words"),
    [
        ({"sets": ["letter"]}, [], ["letter", "nowhere", "--data-root"]),
        ({"sets": ["leter"]}, [], ["leter", "did you mean letter?"]),
        ({"noises": ["unifrm 0.2"]}, [], ["unifrm", "near-class"]),
        ({"noises": ["uniform"]}, [], ["uniform 0.2"]),
        ({"kind": "own"}, [], ["kind", "own-data"]),
        ({"kind": "runs"}, [], ["unknown key 'sets'"]),
        ({"rows": {"a": {"command": "cleanlab-forrest"}}}, [], ["did you mean cleanlab-forest?"]),
        ({"sets": ["iris"]}, ["--half", "odd"], ["--half odd", "no set"]),
    ],
)
def test_what_is_wrong_is_one_sentence(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    changes: dict,
    argv: list[str],
    words: list[str],
) -> None:
    assert run(write(tmp_path, **changes), "--data-root", str(tmp_path / "nowhere"), *argv) == 2
    message = capsys.readouterr().err
    assert message.startswith("mwnet table: ")
    assert message.count("\n") == 1
    assert all(word in message for word in words), message


def test_without_cleanlab_its_rows_say_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "cleanlab.classification", None)
    table = write(tmp_path, rows={"a": {"command": "cleanlab-forest"}}, sets=["iris"])
    assert run(table) == 1
    message = capsys.readouterr().err
    assert "failed: this row needs cleanlab" in message
    assert "mwnet[bench]" in message
    assert message.count("\n") == 1


@pytest.mark.parametrize("name", rivals.RIVALS)
def test_rivals_find_planted_errors(name: str) -> None:
    if name.startswith("cleanlab"):
        pytest.importorskip("cleanlab")
    x, y, wrong = toy()
    truth = np.repeat(np.arange(3), 60)
    data = Prepared(x, y, x, truth, wrong)
    found = measured(data, rivals.RIVALS[name](x, y, x, 0))
    assert all(value is not None and value > 0.8 for value in found.values()), found


@pytest.mark.parametrize("name", rivals.RIVALS)
def test_rivals_bear_a_class_with_one_sample(name: str) -> None:
    if name.startswith("cleanlab"):
        pytest.importorskip("cleanlab")
    x, y, _ = toy()
    y[7] = 3
    said = rivals.RIVALS[name](x, y, x[:9], 0)
    assert np.isfinite(said.quality).all()
    assert said.quality.shape == said.is_issue.shape == y.shape
    assert said.predicted.shape == (9,)


@pytest.mark.filterwarnings("ignore:The least populated class")
def test_absent_classes_have_no_probability_out_of_fold() -> None:
    x, y, _ = toy()
    y[7] = 3
    probabilities = rivals.out_of_fold(rivals.MODELS["forest"], x, y, 0)
    assert probabilities.shape == (len(y), 4)
    assert probabilities.sum(1) == pytest.approx(1)
    assert probabilities[7, 3] == 0


def test_a_class_that_nobody_was_given_is_no_class_of_the_training(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    x = np.zeros((4, 2), dtype=np.float32)
    np.savez(path, x=x, y=[0, 2, 2, 4], y_true=[0, 2, 3, 4], x_test=x, y_test=[0, 2, 3, 5])
    data = Prepared.read(path)
    assert data.num_classes == 3
    assert data.y.tolist() == [0, 1, 1, 2]
    assert data.y_test.tolist() == [0, 1, -1, -1]
    assert data.wrong.tolist() == [False, False, True, False]


def made_up() -> tuple[Table, list[dict]]:
    """Two rows of cleanlab and cross-fit in two columns, two seeds each."""
    values = {
        "ours": [(0.90, 0.95, 0.8), (0.80, 0.70, 0.6)],
        "cleanlab, a": [(0.88, 0.90, 0.9), (0.82, 0.705, 0.5)],
        "cleanlab, b": [(0.88, 0.97, 0.7), (0.70, 0.60, 0.6)],
    }
    methods = {"ours": "cross-fit", "cleanlab, a": "cleanlab-a", "cleanlab, b": "cleanlab-b"}
    labels = ["iris, uniform 0.2", "wine, uniform 0.2"]
    table = Table(
        "mwnet table x", "T", {}, {x: {} for x in labels}, {x: {} for x in values}, (0, 1)
    )
    found = []
    for row, of in values.items():
        for column, (accuracy, auc, precision) in zip(labels, of, strict=True):
            for seed, shift in ((0, -0.01), (1, 0.01)):
                found.append(
                    {
                        "row": row, "column": column, "seed": seed, "method": methods[row],
                        "accuracy": accuracy + shift, "auc": auc + shift,
                        "average_precision": precision, "precision_at_noise": 0.5, "f1": 0.5,
                        "seconds": 2.0, "collapse": "rising" if row == "ours" and seed else None,
                        "noise_rate": 0.2, "samples": 100, "device": "cpu", "threads": 1,
                        "versions": "mwnet=0", "folder": "",
                    }
                )  # fmt: skip
    return table, found


def test_ranks_and_leads_of_made_up_numbers() -> None:
    table, found = made_up()
    by_accuracy = own_report.mean_ranks(table, found, "accuracy")
    assert by_accuracy == pytest.approx({"ours": 1.5, "cleanlab, a": 1.75, "cleanlab, b": 2.75})
    by_precision = own_report.mean_ranks(table, found, "average_precision")
    assert by_precision == pytest.approx({"ours": 1.75, "cleanlab, a": 2, "cleanlab, b": 2.25})
    leads = {(p.column[:4], p.measure): (p.row, p.lead) for p in own_report.beside(table, found)}
    assert leads["iris", "auc"] == ("cleanlab, b", pytest.approx(-0.02))
    assert leads["wine", "auc"] == ("cleanlab, a", pytest.approx(-0.005))
    assert leads["wine", "accuracy"] == ("cleanlab, a", pytest.approx(-0.02))
    text = own_report.markdown(table, found)
    assert re.search(r"\| ours \| 1.50 \| 1.75 \| 85.00 \|.*\| 2 of 4 \| 0 of 4 \|", text)
    assert "- accuracy, by more than one point: wine, uniform 0.2 (-2.00)." in text
    assert "- AUC, by more than 0.01: iris, uniform 0.2 (-0.0200)." in text
    assert "- AUC, by less: wine, uniform 0.2 (-0.0050)." in text
    assert "ours is ahead in 1 of 2 columns" in text


def test_ranks_leave_out_columns_that_a_row_lacks() -> None:
    table, found = made_up()
    short = [of for of in found if (of["row"], of["column"][:4]) != ("ours", "wine")]
    ranks = own_report.mean_ranks(table, short, "accuracy")
    assert ranks == pytest.approx({"ours": 1, "cleanlab, a": 2.5, "cleanlab, b": 2.5})


def test_a_row_of_true_labels_and_a_clean_meta_set_get_the_truth(tmp_path: Path) -> None:
    rows = {
        "true": {"command": "true-labels"},
        "MW-Net*": {"method": "mwnet", "meta_loss": "ce", "meta_noisy": False},
    }
    assert run(write(tmp_path, rows=rows, sets=["iris"], noises=["uniform 0.6"])) == 0
    (true,) = (tmp_path / "own").glob("true/*/seed-0/summary.json")
    summary = json.loads(true.read_text())
    assert summary["method"] == "true-labels"
    assert summary["accuracy"] > 0.8
    assert summary["auc"] > 0.9
    (clean,) = (tmp_path / "own").glob("MW-Net/*/seed-0/summary.json")
    assert json.loads(clean.read_text())["method"] == "mwnet"
    assert "### Each set" in own_report.markdown(*made_up())


def test_truth_enters_no_source_but_that_of_a_clean_meta_set() -> None:
    x, y, wrong = toy()
    data = Prepared(x, y, x, y, wrong, np.repeat(np.arange(3), 60))
    assert source_of(data).truth is None
    truth = source_of(data, with_truth=True).truth
    assert truth is not None
    assert truth[: len(y)].tolist() == np.repeat(np.arange(3), 60).tolist()


@pytest.mark.parametrize("flags", [["--data-root", "/home/a/sets"], ["--data-root=/home/a/sets"]])
def test_the_command_of_a_report_names_no_folder_of_a_machine(flags: list[str]) -> None:
    said = " ".join(anywhere(["--epochs", "2", *flags, "--device", "cpu"]))
    assert said.replace("=", " ") == "--epochs 2 --data-root DIR --device cpu"
