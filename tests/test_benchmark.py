"""Tables of runs: what is run, what is not run again, and what is reported."""

import csv
import shutil
import statistics
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from commands import ROOT, outcome, run
from tables import benchmark, summaries, write

from mwnet.methods import ERM
from mwnet.reproduce.tables import runner
from mwnet.reproduce.tables.cells import plan
from mwnet.reproduce.tables.command import main
from mwnet.reproduce.tables.table import load_table

ERM_CELL = "plain-erm/uniform-40/seed-0"

Capture = pytest.CaptureFixture[str]


def test_a_table_is_run_once_and_reported_from_its_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    table, out = write(tmp_path), tmp_path / "out"
    assert benchmark(table) == 0
    of = summaries(out)
    assert len(of) == 4
    monkeypatch.delitem(runner.RUNNERS, "train")  # nothing is run again
    capsys.readouterr()
    assert benchmark(table) == 0
    text = (out / "table.md").read_text()
    assert text in capsys.readouterr().out

    plain = [of[f"plain-erm/uniform-40/seed-{seed}"] for seed in (0, 1)]
    last, best = ([100 * s["test_accuracy"][key] for s in plain] for key in ("last", "best"))
    auc = [s["detection_auc"]["own"]["last"] for s in plain]
    spread = [f"{statistics.mean(of):.2f} ± {statistics.stdev(of):.2f}" for of in (last, best)]
    assert f"| plain, erm | {spread[0]} ({spread[1]}) |" in text
    assert f"| plain, erm | {statistics.mean(auc):.4f} ± {statistics.stdev(auc):.4f} |" in text
    assert "best epoch by test accuracy" in text
    assert "n = 2 (seeds 0, 1); 4 runs of 4; device: cpu; CPU threads of a run: 1." in text
    assert f"torch {torch.__version__}" in text
    lines = list(csv.DictReader((out / "cells.csv").read_text().splitlines()))
    assert [line["row"] for line in lines] == ["plain, erm"] * 2 + ["RMNW-Net"] * 2
    assert [line["seed"] for line in lines] == ["0", "1"] * 2
    assert float(lines[0]["accuracy_last"]) == plain[0]["test_accuracy"]["last"]
    assert float(lines[0]["noise_rate_realised"]) == plain[0]["noise"]["realised_rate"]

    table.unlink()
    cells = (out / "cells.csv").read_text()
    (out / "table.md").unlink()
    shutil.move(out, tmp_path / "elsewhere")
    capsys.readouterr()
    assert main(["report", str(tmp_path / "elsewhere")]) == 0
    assert capsys.readouterr().out == text == (tmp_path / "elsewhere" / "table.md").read_text()
    assert (tmp_path / "elsewhere" / "cells.csv").read_text() == cells


def test_a_cell_is_what_train_py_makes_of_its_flags(tmp_path: Path) -> None:
    table, out = write(tmp_path), tmp_path / "out"
    cell = plan(load_table(table), out)[3]
    assert str(cell) == "RMNW-Net | uniform 40 % | seed 1"
    assert benchmark(table, "--only", "row=RMNW-Net,seed=1") == 0
    run(tmp_path / "alone", *cell.flags, "--seed", "1")
    assert outcome(cell.folder) == outcome(tmp_path / "alone")
    assert not (cell.folder / "figures").exists()


def test_an_interrupted_cell_is_continued(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    table, out = write(tmp_path), tmp_path / "out"
    steps = []
    original = ERM.step

    def step(self: ERM, *batches: object) -> dict:
        steps.append(self.epoch)
        if len(steps) == 20:
            raise KeyboardInterrupt
        return original(self, *batches)  # pyright: ignore[reportArgumentType]

    monkeypatch.setattr(ERM, "step", step)
    assert benchmark(table) == 130
    assert "stopped" in capsys.readouterr().err
    assert (out / ERM_CELL / "last.pt").exists()
    assert summaries(out) == {}
    assert benchmark(table, "--dry-run") == 0
    assert "1 interrupted, 3 new" in capsys.readouterr().out
    assert benchmark(table, "--seeds", "0,") == 0
    assert len(steps) == 20 + 12  # the second of two epochs
    whole = tmp_path / "whole"
    assert main([str(table), "--seeds", "0,", "--jobs", "1", "--out", str(whole)]) == 0
    assert outcome(out / ERM_CELL) == outcome(whole / ERM_CELL)


def test_a_failing_cell_is_reported_and_the_others_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    def defect(*arguments: object) -> dict:
        raise RuntimeError("something new\nin many lines")

    monkeypatch.setitem(runner.RUNNERS, "clean-learning", defect)
    bad, worse = {"method": "glc", "meta_noisy": True}, {"command": "clean-learning"}
    rows = {"bad": bad, "worse": worse, "good": {"method": "erm"}}
    assert benchmark(write(tmp_path, rows=rows, seeds=[0])) == 1
    assert list(summaries(tmp_path / "out")) == ["good/uniform-40/seed-0"]
    printed = capsys.readouterr()
    bad, worse = printed.err.splitlines()
    assert bad.startswith("mwnet table: bad | uniform 40 % | seed 0 failed: --method glc ")
    assert "] bad | uniform 40 % | seed 0: failed: --method glc " in printed.out
    log = tmp_path / "out/worse/uniform-40/seed-0.log"
    assert worse.endswith(f"failed: RuntimeError: something new (see {log})")
    assert "Traceback" in log.read_text()
    assert "| good | " in printed.out
    assert "1 runs of 3" in printed.out


def test_several_processes_give_the_same_numbers(tmp_path: Path) -> None:
    table = write(tmp_path, seeds=[0])
    assert benchmark(table) == 0
    assert main([str(table), "--jobs", "2", "--out", str(tmp_path / "two")]) == 0
    for name in summaries(tmp_path / "out"):
        assert outcome(tmp_path / "out" / name) == outcome(tmp_path / "two" / name)
    one, two = summaries(tmp_path / "out"), summaries(tmp_path / "two")
    for summary in (*one.values(), *two.values()):
        assert summary.pop("peak_memory_mib") > 0
        del summary["seconds"]
    assert two == one


@pytest.mark.parametrize(
    ("only", "count"),
    [("method=mwnet*,noise=uniform", 2), ("row=PLAIN, e*,seed=1", 1), ("meta_noisy=true", 2)],
)
def test_only_selects_and_a_dry_run_writes_nothing(
    tmp_path: Path, capsys: Capture, only: str, count: int
) -> None:
    assert benchmark(write(tmp_path), "--only", only, "--dry-run") == 0
    assert capsys.readouterr().out.splitlines()[-1] == f"{count} new"
    assert [path.name for path in tmp_path.iterdir()] == ["small.yaml"]


BAD = [
    ({"rosw": {}}, [], ["rosw", "did you mean rows?"]),
    ({"rows": {}}, [], ["no rows:"]),
    ({"rows": ["erm"]}, [], ["rows", "label"]),
    ({"rows": {"a": {"metod": "erm"}}}, [], ["row 'a'", "metod", "did you mean method?"]),
    ({"rows": {"a": {"method": "ermm"}}}, [], ["row 'a'", "ermm", "did you mean erm?"]),
    ({"rows": {"a": {"noise": "unifrm"}}}, [], ["unifrm", "did you mean uniform?"]),
    ({"rows": {"a": {"method": None}}}, [], ["row 'a'", "method has no value"]),
    ({"rows": {"a": {"seed": 1}}}, [], ["seed", "seeds:"]),
    ({"rows": {"a b": {}, "A-b": {}}}, [], ["A-b", "a b"]),
    ({"rows": {"a": {"command": "cleaning"}}}, [], ["cleaning", "clean-learning"]),
    ({"columns": {"a": {"noise_rate": 7}}}, [], ["column 'a'", "--noise-rate", "7"]),
    ({"columns": {"?": {}}}, [], ["'?'"]),
    ({"seeds": [0, 0]}, [], ["seeds", "[0, 0]"]),
    ({}, ["--seeds", "one"], ["seeds", "one"]),
    ({}, ["--seed", "1"], ["--seed ", "--seeds"]),
    ({}, ["--jobs", "0"], ["--jobs", "0"]),
    ({}, ["--jbos", "2"], ["--jbos"]),
    ({}, ["--only", "row=plain"], ["row=plain", "plain, erm"]),
    ({}, ["--only", "rwo=a"], ["rwo", "did you mean row?"]),
    ({}, ["--only", "row=RMNW-Net,method=erm"], ["no cell"]),
    ({}, ["--protocol", "papre"], ["--protocol", "papre"]),
    ({}, ["--protocol", "paper"], ["no protocol of a paper", "--protocol"]),
    ({"protocol": "papre"}, [], ["protocol", "common", "papre"]),
]


def paper(**changes: object) -> dict:
    return {"paper": {"source": "A (2020)", "n": 5, **changes}}


ROW = {"lr": 0.1}
BAD_PAPERS = [
    ({"paper": [1, 2]}, [], ["paper", "key: value"]),
    ({"paper": {"n": 5}}, [], ["paper", "source"]),
    ({"paper": {"source": "A (2020)"}}, [], ["paper", "n:"]),
    (paper(n=1), [], ["paper", "n:"]),
    (paper(sorce="B"), [], ["paper", "sorce", "did you mean source?"]),
    (paper(accuracy=[1, 2]), [], ["paper", "[1, 2]"]),
    (paper(accuracy={"RMNWNet": {}}), [], ["RMNWNet", "did you mean RMNW-Net?"]),
    (paper(auc={"RMNW-Net": {"uniform": 0.9}}), [], ["'uniform'", "mean uniform 40 %?"]),
    (paper(accuracy={"RMNW-Net": {"uniform 40 %": [9, 1, 2]}}), [], ["deviation]", "[9, 1, 2]"]),
    (paper(accuracy={"RMNW-Net": {"uniform 40 %": [9, "x"]}}), [], ["deviation]", "x"]),
    (paper(auc={"RMNW-Net": {"uniform 40 %": [0.9, 0.1]}}), [], ["one number", "[0.9, 0.1]"]),
    (paper(protocol={"rows": {"RMNW-Net": ROW}}), [], ["protocol", "note:"]),
    (paper(protocol={"note": "a", "rows": {"RMNWNet": ROW}}), [], ["mean RMNW-Net?"]),
    (
        paper(protocol={"note": "a", "rows": {"RMNW-Net": {"lrr": 1}}}),
        ["--protocol", "paper"],
        ["row 'RMNW-Net'", "lrr", "did you mean lr?"],
    ),
]


@pytest.mark.parametrize(("changes", "argv", "parts"), [*BAD, *BAD_PAPERS])
def test_bad_tables_and_flags_get_one_sentence(
    tmp_path: Path, capsys: Capture, changes: dict, argv: list[str], parts: list[str]
) -> None:
    assert benchmark(write(tmp_path, **changes), *argv) == 2
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert all(part in message for part in parts)
    assert [path.name for path in tmp_path.iterdir()] == ["small.yaml"]


def test_files_that_are_no_tables(tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "list.yaml").write_text("- a\n")
    (tmp_path / "torn.yaml").write_text("rows: {a\n")
    for argv, part in (
        ([str(tmp_path / "list.yaml")], "no table"),
        ([str(tmp_path / "torn.yaml")], "no valid YAML"),
        ([str(tmp_path / "none.yaml")], "cannot read"),
        ([str(tmp_path)], "cannot read"),
        ([str(tmp_path / "digits_mian.yaml")], "did you mean digits_main?"),
        (["digits_mian"], "cannot read the table digits_mian: no such file, here or shipped"),
        (["digits_mian"], "did you mean digits_main?"),
        (["configs/tables/digits_mian.yaml"], "did you mean digits_main?"),
        ([], "required: FILE"),
        (["report", str(tmp_path)], "table.yaml"),
        (["report"], "folder"),
        (["report", str(tmp_path), "--itno", "a.md"], "--itno"),
    ):
        assert main(argv) == 2
        message = capsys.readouterr().err
        assert part in message
        assert message.count("\n") == 1


@pytest.mark.parametrize("name", ["digits_main", "configs/tables/digits_main.yaml"])
def test_a_shipped_table_is_found_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture, name: str
) -> None:
    """Where there is no checkout; a file of that name comes first."""
    monkeypatch.chdir(tmp_path)
    assert main([str(ROOT / "configs" / "tables" / "digits_main.yaml"), "--dry-run"]) == 0
    listed = capsys.readouterr().out
    assert main([name, "--dry-run"]) == 0
    assert capsys.readouterr().out == listed
    assert list(tmp_path.iterdir()) == []
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(write(tmp_path, seeds=[0]), tmp_path / name)
    assert main([name, "--dry-run"]) == 0
    assert capsys.readouterr().out.endswith("\n2 new\n")


def test_a_folder_of_a_shipped_tables_name_does_not_hide_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "digits_main").mkdir()
    assert main(["digits_main", "--dry-run"]) == 0
    assert capsys.readouterr().out.endswith(" new\n")


def test_the_former_spelling_is_kept_for_one_release(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mwnet.benchmark", str(write(tmp_path)), "--dry-run"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.endswith("\n4 new\n")


def test_runs_with_other_options_are_not_mixed(tmp_path: Path, capsys: Capture) -> None:
    table = write(tmp_path, rows={"a": {"method": "erm", "meta_size": 0}}, seeds=[0])
    assert benchmark(table) == 0
    for seeds in ("0,", "4,"):
        assert benchmark(table, "--epochs", "3", "--seeds", seeds) == 2
        assert "seed-0 was run with epochs = 2, now it is 3" in capsys.readouterr().err
    (tmp_path / "out/a/uniform-40/seed-0/summary.json").write_text("{")
    assert benchmark(table) == 2
    assert "cannot read" in capsys.readouterr().err
    (tmp_path / "out/a/uniform-40/seed-0/summary.json").write_text('{"method": "erm"}')
    assert benchmark(write(tmp_path, rows={"a": {"command": "clean-learning"}}, seeds=[0])) == 2
    assert "is a run of erm, not of clean-learning" in capsys.readouterr().err
