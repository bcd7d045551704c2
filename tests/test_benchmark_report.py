"""What a table of runs is turned into: Markdown, LaTeX, CSV, pictures, a part of a document."""

import json
import re
import resource
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from tables import SMALL, TABLE, benchmark, interval, summaries, write

import mwnet.runs.run
from mwnet.core import memory
from mwnet.reproduce.tables.command import main
from mwnet.reproduce.tables.report import archived, report
from mwnet.reproduce.tables.table import load_table

PNG = b"\x89PNG\r\n"
UNIFORM, FLIP = "uniform 40 %", "flip 20 %"
PAPER = {
    "source": "Someone (2020), Table 7",
    "n": 5,
    "n_assumed": True,
    "accuracy": {
        "plain, erm": {UNIFORM: [61.5, 2.25]},
        "gce_q*": {UNIFORM: [70.0, 0.5], FLIP: [80.125, 1.0]},
    },
    "auc": {"RMNW-Net": {FLIP: 0.9714}},
    "protocol": {"note": "plain training is short", "rows": {"plain, erm": {"epochs": 1}}},
}
CHANGES = {
    "columns": {**TABLE["columns"], FLIP: {"noise": "flip2", "noise_rate": 0.2}},
    "rows": {**TABLE["rows"], "gce_q*": {"method": "erm", "loss": "gce"}},
    "seeds": [0, 1, 2],
    "paper": PAPER,
}
Capture = pytest.CaptureFixture[str]


def largest() -> float:
    """Largest memory of this process in MiB, as the system counts it."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three rows, two columns, three seeds, and what a paper has for some of them; only to read."""
    folder = tmp_path_factory.mktemp("runs")
    most: list[float] = []

    def start_measuring(device: torch.device) -> None:
        most.append(largest())  # Linux begins anew with this one, too
        memory.start_measuring(device)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mwnet.runs.run, "start_measuring", start_measuring)
        assert benchmark(write(folder, **CHANGES)) == 0
    (folder / "most").write_text(str(max(*most[1:], largest())))
    for path in folder.glob("out/*/*/*/summary.json"):
        of = json.loads(path.read_text())
        # Of two epochs the last is mostly the best: apart, so that a mix-up shows.
        of["test_accuracy"]["best"] += 0.01 * (1 + of["seed"])
        of["detection_auc"]["own"]["best"] += 0.02 * (1 + of["seed"])
        path.write_text(json.dumps(of))
    report(folder / "out")
    return folder / "out"


@pytest.fixture
def own(runs: Path, tmp_path: Path) -> Path:
    """The same to change."""
    return Path(shutil.copytree(runs, tmp_path / "out"))


def section(text: str, heading: str) -> list[list[str]]:
    """The lines of the table below a heading."""
    block = text.split(f"\n### {heading}\n\n")[1].split("\n\n", maxsplit=1)[0]
    lines = [line[2:-2].split(" | ") for line in block.splitlines()]
    return [lines[0], *lines[2:]]


def percent(runs: Path, cell: str, which: str) -> list[float]:
    return [
        100 * of["test_accuracy"][which] for name, of in summaries(runs).items() if cell in name
    ]


BESIDE = "Beside Someone (2020), Table 7"


def test_our_values_stand_beside_the_papers_with_an_interval(runs: Path) -> None:
    head, *lines = section((runs / "table.md").read_text(), BESIDE)
    assert head[2:6] == ["n", "last", "best", "paper (n = 5, assumed)"]
    assert head[6:] == ["last - paper, 95 %", "best - paper, 95 %"]
    printed = {
        ("plain, erm", UNIFORM): ("plain-erm/uniform-40", 61.5, 2.25, "61.50 ± 2.25"),
        ("gce_q*", UNIFORM): ("gce_q/uniform-40", 70.0, 0.5, "70.00 ± 0.50"),
        ("gce_q*", FLIP): ("gce_q/flip-20", 80.125, 1.0, "80.12 ± 1.00"),
    }
    assert {(line[0], line[1]) for line in lines} == printed.keys()
    for row, column, n, last, best, theirs, *intervals in lines:
        cell, mean, sd, text = printed[row, column]
        assert (n, theirs) == ("3", text)
        for which, ours, found in zip(("last", "best"), (last, best), intervals, strict=True):
            values = percent(runs, cell, which)
            assert ours == f"{np.mean(values):.2f} ± {np.std(values, ddof=1):.2f}"
            low, high = interval(values, mean, sd, 5)
            assert found == f"{low:+.2f} to {high:+.2f}"


def test_two_runs_have_no_interval(own: Path) -> None:
    for folder in own.glob("*/*/seed-2"):
        shutil.rmtree(folder)
    text = report(own)
    assert [line[-2:] for line in section(text, BESIDE)[1:]] == [["-", "-"]] * 3
    assert "n = 2 (seeds 0, 1); 12 runs of 12;" in text


def test_a_mean_without_a_deviation_has_no_interval(own: Path) -> None:
    path = own / "table.yaml"
    path.write_text(path.read_text().replace("      - 61.5\n      - 2.25\n", "      - 61.5\n"))
    line = section(report(own), BESIDE)[1]
    assert line[5:] == ["61.50", "-", "-"]
    assert r"\quad paper & $61.50$ &" in (own / "table.tex").read_text()


def test_the_auc_stands_beside_the_papers(runs: Path) -> None:
    heading = "Detection AUC of the method's own score: last epoch (best epoch); the paper's"
    cells = {
        (row, column): entry
        for row, *entries in section((runs / "table.md").read_text(), heading)[1:]
        for column, entry in zip((UNIFORM, FLIP), entries, strict=True)
    }
    of = [s for name, s in summaries(runs).items() if "RMNW-Net/flip-20" in name]
    last, best = ([s["detection_auc"]["own"][key] for s in of] for key in ("last", "best"))
    ours = [f"{np.mean(x):.4f} ± {np.std(x, ddof=1):.4f}" for x in (last, best)]
    assert cells.pop(("RMNW-Net", FLIP)) == f"{ours[0]} ({ours[1]}); 0.9714"
    assert len(cells) == 5
    assert not any(";" in entry for entry in cells.values())


def test_ranks_are_those_of_the_mean_accuracies(runs: Path) -> None:
    text = (runs / "table.md").read_text()
    ranked = {row: float(rank) for row, rank in section(text, "Average ranks")[1:]}
    means = np.array(
        [
            [np.mean(percent(runs, f"{row}/{column}", "last")) for column in ("uniform", "flip")]
            for row in ("plain-erm", "RMNW-Net", "gce_q")
        ]
    )
    places = (-means).argsort(axis=0).argsort(axis=0) + 1
    expected = dict(zip(("plain, erm", "RMNW-Net", "gce_q*"), places.mean(1), strict=True))
    assert ranked == expected
    assert "chi-squared(2) = " in text
    assert "critical difference at 5 %: 2.34." in text  # Demsar's q of 2.343, times one


def test_the_report_says_how_seldom_it_was_measured(tmp_path: Path, runs: Path) -> None:
    assert "Measured once in" not in (runs / "table.md").read_text()
    table = write(tmp_path, base={**SMALL, "eval_every": 2}, seeds=[0])
    assert benchmark(table) == 0
    text = (tmp_path / "out" / "table.md").read_text()
    assert "Measured once in 2 epochs; the best" in text


def test_latex_has_as_many_entries_in_every_line(runs: Path) -> None:
    text = (runs / "table.tex").read_text()
    comments = [line for line in text.splitlines() if line.startswith("%")]
    assert text.splitlines()[: len(comments)] == comments
    begin, top, head, middle, *body, bottom, end = text.splitlines()[len(comments) :]
    assert begin == r"\begin{tabular}{lcc}"
    assert (top, middle, bottom, end) == (
        r"\toprule", r"\midrule", r"\bottomrule", r"\end{tabular}",
    )  # fmt: skip
    assert head == r" & uniform 40 \% & flip 20 \% \\"
    lines = [line.removesuffix(r" \\").split(" & ") for line in body]
    assert all(len(line) == 3 for line in lines)
    assert all(line.endswith(r" \\") for line in body)
    names = ["plain, erm", r"\quad paper", "RMNW-Net", r"gce\_q*", r"\quad paper"]
    assert [line[0] for line in lines] == names
    assert lines[1][1:] == [r"$61.50 \pm 2.25$", ""]
    assert all(re.fullmatch(r"\$[\d.]+ \\pm [\d.]+\$", entry) for entry in lines[2][1:])
    assert not re.search(r"(?<!\\)[%_#&](?! )", "\n".join([head, *body]))
    assert text.isascii()


def test_pictures_of_curves_and_ranks(runs: Path) -> None:
    names = ["accuracy.png", "auc.png", "ranks.png"]
    assert sorted(path.name for path in (runs / "figures").iterdir()) == names
    text = (runs / "table.md").read_text()
    for name in names:
        assert (runs / "figures" / name).read_bytes().startswith(PNG)
        assert f"](figures/{name})" in text


def test_one_column_is_not_ranked(own: Path) -> None:
    (own / "figures" / "ranks.png").unlink()
    for folder in own.glob("*/flip-20"):
        shutil.rmtree(folder)
    assert "Average ranks" not in report(own)
    assert not (own / "figures" / "ranks.png").exists()


def test_the_list_of_cells_gives_the_very_same_report(own: Path) -> None:
    kept = {name: (own / name).read_bytes() for name in ("table.md", "table.tex", "cells.csv")}
    for path in own.glob("*/*/*/summary.json"):
        path.unlink()
    assert summaries(own) == {}
    report(own)
    assert {name: (own / name).read_bytes() for name in kept} == kept
    (own / "cells.csv").write_text("row,column\na,b\n")
    assert main(["report", str(own)]) == 2


def test_a_part_of_a_document_is_replaced(own: Path, tmp_path: Path) -> None:
    document = tmp_path / "docs" / "RESULTS.md"
    document.parent.mkdir()
    before, after = "# Numbers\n\n<!-- other -->\n1\n<!-- /other -->\n\n", "\n\nThe end: \\1 µ.\n"
    document.write_text(f"{before}<!-- out -->\nold\n<!-- /out -->{after}")
    assert main(["report", str(own), "--into", str(document)]) == 0
    archive = document.parent / "tables" / "out"
    text = document.read_text()
    assert text == f"{before}<!-- out -->\n{archived(archive)}<!-- /out -->{after}"
    images = re.findall(r"!\[.*\]\((.*)\)", text)
    assert images == [f"tables/out/figures/{name}.png" for name in ("accuracy", "auc", "ranks")]
    assert (own / "table.md").read_text() == archived(archive).replace("tables/out/", "")
    kept = {path.relative_to(archive) for path in archive.rglob("*") if path.is_file()}
    assert kept == {
        Path("table.yaml"), Path("cells.csv"),
        *(Path(image).relative_to("tables/out") for image in images),
    }  # fmt: skip
    assert all((archive / name).read_bytes() == (own / name).read_bytes() for name in kept)
    assert main(["report", str(own), "--into", str(document)]) == 0
    assert document.read_text() == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<!-- out -->\nopen\n",
        "<!-- /out -->\n<!-- out -->\n",
        "<!-- out -->\n<!-- /out -->\n" * 2,
        None,
    ],
)
def test_a_document_without_the_two_lines_is_left_alone(
    own: Path, tmp_path: Path, capsys: Capture, text: str | None
) -> None:
    document = tmp_path / "RESULTS.md"
    if text is not None:
        document.write_text(text)
    assert main(["report", str(own), "--into", str(document)]) == 2
    message = capsys.readouterr().err
    assert ("cannot read" if text is None else "<!-- out -->") in message
    assert message.count("\n") == 1
    assert (document.read_text() if document.exists() else None) == text
    assert not (tmp_path / "tables").exists()


def test_the_papers_protocol_has_options_and_a_folder_of_its_own(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.chdir(tmp_path)
    argv = [str(write(tmp_path, **CHANGES)), "--protocol", "paper", "--jobs", "1"]
    argv += ["--seeds", "0,", "--only", "column=uniform*,method=erm"]
    assert main([*argv, "--dry-run"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [re.findall(r"--epochs=\d", line) for line in lines] == [
        ["--epochs=1"],
        ["--epochs=2"],
        [],
    ]
    assert main(argv) == 0
    out = tmp_path / "runs" / "small-paper"
    assert [path.name for path in (tmp_path / "runs").iterdir()] == [out.name]
    epochs = {
        path.parts[-4]: yaml.safe_load(path.read_text())["epochs"]
        for path in out.glob("*/*/*/config.yaml")
    }
    assert epochs == {"plain-erm": 1, "gce_q": 2}
    text = report(out)
    assert "\n- Protocol: the paper's; plain training is short\n" in text
    assert "small.yaml --seeds 0, --only" in text
    assert load_table(out / "table.yaml").protocol == "paper"
    common = (runs / "table.md").read_text()
    assert "\n- Protocol: common; all rows share data, epochs and learning rates.\n" in common


def test_a_run_reports_its_peak_memory(runs: Path) -> None:
    peaks = [of["peak_memory_mib"] for of in summaries(runs).values()]
    most = float((runs.parent / "most").read_text())
    assert all(50 < peak <= most for peak in peaks)  # torch alone takes more than 50 MiB
    assert f", {np.mean(peaks[:3]):.0f}" in json.dumps(
        section((runs / "table.md").read_text(), "Seconds and peak memory in MiB of a run, means")
    )
