"""The command ``mwnet claim``: what is the same for all analyses."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from commands import ROBUST, ROOT, run

from mwnet.builders.experiment import Experiment
from mwnet.detection import Scored
from mwnet.reproduce.claims import NAMES, report
from mwnet.reproduce.claims.base import (
    Analysis,
    Finding,
    Run,
    Runs,
    grid,
    of_folders,
    seeds_of,
    verdict,
)
from mwnet.reproduce.claims.command import main
from mwnet.runs.canvas import figure

Capture = pytest.CaptureFixture[str]
SMALL = {"dataset": "digits", "epochs": 2, "model_options": {"width": 8}, "device": "cpu"}
TINY = ["--epochs", "2", "--model.width", "8", "--device", "cpu", "--threads", "1"]


def suspects(experiment: Experiment, scored: Scored) -> dict[str, int]:
    """Watches: how many training samples the network would label otherwise."""
    return {"suspects": int(scored.is_issue.sum()), "epoch_seen": experiment.method.epoch}


def examine(runs: Runs, path: Path) -> Finding:
    with figure(path, 3, 2) as (_, (axes,)):
        for one in runs:
            axes.plot([line["suspects"] for line in one.history])
    last = [one.history[-1]["suspects"] for one in runs]
    return Finding(f"{last} ({seeds_of(runs)}).", "| a |\n| --- |\n| 1 |")


@pytest.fixture
def own(monkeypatch: pytest.MonkeyPatch) -> Analysis:
    """An analysis of ours under a name that there is."""
    analysis = Analysis(
        title="How many suspects",
        source="Someone (2020), section 3",
        claim="They become fewer.",
        examine=examine,
        grid=grid(SMALL, {"uniform": {"noise_rate": 0.4}}, {"plain": {"method": "erm"}}, [0, 1]),
        watch=suspects,
    )
    monkeypatch.setattr(report, "load", lambda name: analysis)
    return analysis


@pytest.mark.usefixtures("own")
def test_it_trains_once_measures_each_epoch_and_reports(tmp_path: Path, capsys: Capture) -> None:
    out = tmp_path / "out"
    command = ["weight-spread", "--jobs", "1", "--out", str(out), "--meta-size", "0"]
    assert main(command) == 0
    printed = capsys.readouterr().out
    assert "2 of 2 runs to train" in printed
    text = (out / "report.md").read_text()
    assert printed.endswith(text)
    for part in (
        "## How many suspects\n",
        "**The claim** (Someone (2020), section 3): They become fewer.\n",
        "(n = 2, seeds 0 to 1).\n\n![How many suspects](figure.png)\n\n| a |",
        "Command: `mwnet claim weight-spread --meta-size 0`. 2 training runs, ",
    ):
        assert part in text
    assert (out / "figure.png").read_bytes().startswith(b"\x89PNG")
    again = main(command)
    assert again == 0
    assert "to train" not in capsys.readouterr().out
    assert (out / "report.md").read_text() == text


@pytest.mark.usefixtures("own")
def test_a_watch_sees_the_experiment_after_every_epoch(tmp_path: Path) -> None:
    assert main(["weight-spread", "--seeds", "1", "--jobs", "1", "--out", str(tmp_path)]) == 0
    (one,) = of_folders([tmp_path / "plain/uniform/seed-0"])
    assert [line["epoch_seen"] for line in one.history] == [0, 1]
    scored = one.experiment().score(one.experiment().data.parts.train)
    assert one.history[-1]["suspects"] == scored.is_issue.sum()  # restored as it was


@pytest.mark.usefixtures("own")
def test_a_report_goes_into_a_document(tmp_path: Path) -> None:
    document = tmp_path / "docs" / "ALL.md"
    document.parent.mkdir()
    document.write_text("before\n<!-- weight-spread -->\nold\n<!-- /weight-spread -->\nafter\n")
    options = ["--seeds", "1", "--jobs", "1", "--out", str(tmp_path / "out")]
    assert main(["weight-spread", *options, "--into", str(document)]) == 0
    text = document.read_text()
    assert text.startswith("before\n<!-- weight-spread -->\n### How many suspects\n")
    assert text.endswith(".\n<!-- /weight-spread -->\nafter\n")
    assert "old" not in text
    assert "![How many suspects](analyses/weight-spread.png)" in text
    assert "--into" not in text
    assert (tmp_path / "docs/analyses/weight-spread.png").is_file()


@pytest.mark.usefixtures("own")
@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["weight-sprea"], "did you mean weight-spread?"),
        (["weight-spread", "--epoch", "3"], "--epoch"),
        (["weight-spread", "--noise-rate", "0.3"], "noise_rate = 0.4, and flags make it 0.3"),
        (["weight-spread", "--method", "elr"], "method = erm, and flags make it elr"),
        (["weight-spread", "--seeds", "x"], "seeds must be different numbers"),
        (["weight-spread", "--run", "OUT"], "leave --run out"),
        (["weight-spread", "--into", "OUT"], "cannot read"),
        ([], "the following arguments are required: NAME"),
    ],
)
def test_bad_input_gets_one_sentence(
    tmp_path: Path, capsys: Capture, arguments: list[str], sentence: str
) -> None:
    run(tmp_path / "run", *TINY)
    capsys.readouterr()
    out = tmp_path / "out"
    arguments = [str(tmp_path / "run") if part == "OUT" else part for part in arguments]
    assert main([*arguments, "--out", str(out)]) == 2
    error = capsys.readouterr().err
    assert sentence in error
    assert error.startswith("mwnet claim: ")
    assert error.count("\n") == 1
    assert not out.exists()


@pytest.mark.usefixtures("own")
def test_a_run_that_fails_is_told_and_nothing_is_reported(tmp_path: Path, capsys: Capture) -> None:
    options = ["--jobs", "1", "--out", str(tmp_path / "out"), "--lr", "1e30"]
    assert main(["weight-spread", *options]) == 1
    assert "plain | uniform | seed 1 failed: " in capsys.readouterr().err
    assert not (tmp_path / "out/report.md").exists()


def test_finished_runs_of_any_kind_can_be_examined(tmp_path: Path, capsys: Capture) -> None:
    run(tmp_path / "a", *TINY)
    run(tmp_path / "b", *TINY, *ROBUST, "--seed", "3")
    runs = ["--run", str(tmp_path / "a"), "--run", str(tmp_path / "b")]
    capsys.readouterr()
    assert main(["weight-spread", *runs, "--out", str(tmp_path / "out")]) == 0
    text = (tmp_path / "out/report.md").read_text()
    assert "n = 1, seeds 0, 3" in text
    assert "mwnet-mae-noisy, mlp2, 2 epochs" in text
    assert main(["weight-spread", *runs, "--epochs", "3", "--out", str(tmp_path / "two")]) == 2
    assert "weight-spread trains nothing when it is given runs" in capsys.readouterr().err
    (tmp_path / "a/summary.json").unlink()
    assert main(["weight-spread", *runs, "--out", str(tmp_path / "two")]) == 2
    assert "cannot read " in capsys.readouterr().err


def test_runs_that_look_alike_are_told_apart(tmp_path: Path) -> None:
    for name, seed in (("a", "0"), ("b", "0"), ("c", "1")):
        run(tmp_path / name, *TINY, "--seed", seed)
    rows = [one.row for one in of_folders([tmp_path / name for name in "abc"])]
    common = "mwnet-ce-clean, mlp2, 2 epochs"
    assert rows == [f"{common} (a)", f"{common} (b)", common]


def test_seeds_are_counted_by_row_and_column() -> None:
    def runs(*keys: tuple[str, int]) -> Runs:
        return [Run(row, "noise", seed, Path()) for row, seed in keys]

    assert seeds_of(runs(("a", 4), ("b", 4))) == "n = 1, seed 4"
    assert seeds_of(runs(("a", 0), ("a", 1), ("b", 0), ("b", 1))) == "n = 2, seeds 0 to 1"
    assert seeds_of(runs(("a", 0), ("a", 2), ("b", 3))) == "n = 1 to 2, seeds 0, 2, 3"


def test_verdicts() -> None:
    found = [verdict(checks) for checks in ([True] * 2, [True, False], [False] * 2)]
    assert found == ["holds", "holds in part", "does not hold"]


def test_the_list_has_every_analysis(capsys: Capture) -> None:
    assert main(["list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert tuple(line.split()[0] for line in lines) == NAMES
    for name in NAMES:
        analysis = report.load(name)
        assert analysis.claim[-1] in ".?"
        assert analysis.source[0].isupper()


def test_the_former_spelling_is_kept_for_one_release() -> None:
    command = [sys.executable, "-m", "mwnet.analysis", "list"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    assert tuple(line.split()[0] for line in done.stdout.splitlines()) == NAMES


def test_the_document_has_every_analysis_with_its_picture() -> None:
    docs = ROOT / "docs"
    text = (docs / "ANALYSES.md").read_text()
    parts = dict(re.findall(r"<!-- (\S+) -->\n(.*?)<!-- /\1 -->", text, re.DOTALL))
    assert tuple(parts) == NAMES
    assert tuple(re.findall(r"^\| `(\S+)` \| ", text, re.MULTILINE)) == NAMES
    for name, part in parts.items():
        analysis = report.load(name)
        assert part.startswith(f"### {analysis.title}\n")
        assert f"**The claim** ({analysis.source}): {analysis.claim}\n" in part
        assert f"(analyses/{name}.png)" in part
        assert (docs / "analyses" / f"{name}.png").is_file()
