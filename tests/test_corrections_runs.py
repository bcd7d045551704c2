"""Runs with corrections: every kind of data, the meta set, resume, what is written and printed."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from reviewers import (
    CLASSES,
    QUICK,
    ROWS,
    WRONG,
    features,
    given,
    truth,
    verdicts,
    write_corrections,
    write_table,
)

import mwnet
from mwnet.__main__ import main, train
from mwnet.builders.experiment import build
from mwnet.config.checks import validate
from mwnet.core.errors import UserError


def trained(out: Path, *argv: object) -> dict:
    assert train([*QUICK, "--out", str(out), *map(str, argv)]) == 0
    return json.loads((out / "summary.json").read_text())


def refused(capsys: pytest.CaptureFixture[str], *argv: object) -> str:
    capsys.readouterr()
    assert train([*QUICK, *map(str, argv)]) == 2
    return capsys.readouterr().err


@pytest.fixture
def table(tmp_path: Path) -> Path:
    return write_table(tmp_path / "animals.csv")


def test_a_run_trusts_and_says_so(
    table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = trained(tmp_path / "before", "--data", table)
    assert before["corrections"] is None
    lines = verdicts([*WRONG, 1, 2, 3], unsure=[1])
    path = write_corrections(tmp_path / "c.csv", lines)
    after = trained(tmp_path / "after", "--data", table, "--corrections", path)
    said = capsys.readouterr().out
    assert (
        f"{path}: 23 labels were looked at: 20 corrected, 2 kept, 1 unsure, which are left" in said
    )
    assert "of the labels looked at 91% were wrong (95 % interval 72% to 97%;" in said
    found = after["corrections"]
    assert (found["corrected"], found["kept"], found["unsure"]) == (20, 2, 1)
    assert found["precision"] == pytest.approx(20 / 22)
    issues = mwnet.load(tmp_path / "after").label_issues
    assert 1 not in issues.index
    looked = issues[issues["verdict"] != ""]
    assert found["trusted_in_training"] == len(looked) > 10
    assert (looked["label_quality"] == 1).all()
    assert not looked["is_label_issue"].any()
    assert [truth()[row] for row in looked.index] == looked["given_label"].tolist()
    assert set(said.split("most suspect training samples")[-1].split()) & {"ant", "bee", "cow"}
    samples = {name: before["samples"][name] - after["samples"][name] for name in ("train", "test")}
    assert sum(samples.values()) == 1  # the unsure one, and the parts are the same


def test_corrected_test_labels_are_measured_with(table: Path, tmp_path: Path) -> None:
    before = trained(tmp_path / "before", "--data", table)
    path = write_corrections(tmp_path / "c.csv", verdicts(range(ROWS)))
    after = trained(tmp_path / "after", "--data", table, "--corrections", path)
    assert after["samples"] == before["samples"]
    assert after["test_digest"] != before["test_digest"]
    held_out = (tmp_path / "after" / "label_quality_heldout.csv").read_text().splitlines()
    assert len(held_out) == 1 + after["samples"]["test"]
    for line in held_out[1:]:
        row, label = line.split(",")[:2]
        assert label == truth()[int(row)]


def test_unsure_ones_may_stay(table: Path, tmp_path: Path) -> None:
    path = write_corrections(tmp_path / "c.csv", verdicts([1, 2, 3], unsure=[1, 2, 3]))
    flags = ("--data", table, "--corrections", path)
    out = trained(tmp_path / "out", *flags)
    stay = trained(tmp_path / "stay", *flags, "--unsure", "stay")
    total = [sum(summary["samples"].values()) for summary in (out, stay)]
    assert total == [ROWS - 3, ROWS]
    assert stay["corrections"]["precision"] is None


def test_folders_arrays_texts_and_digits(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    rng = np.random.default_rng(0)
    names = []
    for row, label in enumerate(given()[:60]):
        (photos / label).mkdir(parents=True, exist_ok=True)
        names.append(f"{label}/{row:03}.png")
        Image.fromarray(rng.integers(0, 255, (8, 8, 3), dtype=np.uint8)).save(photos / names[-1])
    lines = [(names[row], *rest) for row, *rest in verdicts(range(0, 60, 3))]
    path = write_corrections(tmp_path / "photos.csv", lines)
    few = ("--features", "none", "--image-size", "8", "--method", "erm")
    summary = trained(tmp_path / "run1", "--data", photos, *few, "--corrections", path)
    assert summary["corrections"]["corrected"] == 4
    codes = [CLASSES.index(label) for label in given()]
    np.savez(tmp_path / "a.npz", x=features(), y=codes)
    numbered = [
        (row, CLASSES.index(a), verdict, CLASSES.index(b), note)
        for row, a, verdict, b, note in verdicts(WRONG)
    ]
    path = write_corrections(tmp_path / "arrays.csv", numbered)
    summary = trained(tmp_path / "run2", "--data", tmp_path / "a.npz", "--corrections", path)
    assert summary["corrections"]["corrected"] == len(WRONG)
    texts = [f"{label}s run in herd {row % 7}" for row, label in enumerate(truth())]
    rows = zip(texts, given(), strict=True)
    (tmp_path / "t.csv").write_text("text,label\n" + "".join(f"{t},{y}\n" for t, y in rows))
    path = write_corrections(tmp_path / "texts.csv", verdicts(WRONG))
    summary = trained(tmp_path / "run3", "--data", tmp_path / "t.csv", "--corrections", path)
    assert summary["corrections"]["corrected"] == len(WRONG)
    noise = ("--noise", "uniform", "--noise-rate", "0.4", "--method", "erm")
    trained(tmp_path / "run4", *noise)
    line = (tmp_path / "run4" / "label_quality.csv").read_text().splitlines()[1].split(",")
    other = (int(line[1]) + 1) % 10
    path = write_corrections(tmp_path / "digits.csv", [(line[0], line[1], "correct", other, "")])
    summary = trained(tmp_path / "run5", *noise, "--corrections", path)
    assert summary["corrections"]["corrected"] == 1


def test_trusted_samples_are_the_meta_set_where_there_are_enough(
    table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    many = write_corrections(tmp_path / "many.csv", verdicts(range(60)))
    few = write_corrections(tmp_path / "few.csv", verdicts(range(9)))
    flags = ("--data", table, "--method", "glc", "--no-meta-noisy")
    message = refused(capsys, *flags, "--out", tmp_path / "none")
    assert "needs true labels" in message
    message = refused(capsys, *flags, "--corrections", few, "--out", tmp_path / "none")
    assert "a clean meta set of trusted samples needs 5 of each class" in message
    assert not (tmp_path / "none").exists()
    summary = trained(tmp_path / "glc", *flags, "--corrections", many)
    assert summary["meta_noisy"] is False
    assert summary["samples"]["meta"] == 0
    said = capsys.readouterr().out
    trusted = summary["corrections"]["trusted_in_training"]
    assert f"the meta set: the {trusted} training samples that the corrections vouch for" in said
    rmnw = ("--data", table, "--method", "mwnet")
    summary = trained(tmp_path / "few", *rmnw, "--corrections", few)
    assert "the corrections vouch for fewer than 5 of a class" in capsys.readouterr().out
    assert summary["meta_noisy"] is True
    summary = trained(tmp_path / "many", *rmnw, "--corrections", many)
    assert summary["meta_noisy"] is False


def test_meta_batches_hold_trusted_samples_with_their_new_labels(
    table: Path, tmp_path: Path
) -> None:
    path = write_corrections(tmp_path / "c.csv", verdicts(range(60)))
    values = {"dataset": "table", "data": table, "corrections": path, "method": "mwnet"}
    experiment = build(validate({**values, "model": "mlp2", "meta_noisy": True, "device": "cpu"}))
    assert experiment.meta is not None
    batch = experiment.meta[0]
    assert batch is not None
    classes = experiment.data.source.classes
    for row, label in zip(batch.index.tolist(), batch.y.tolist(), strict=True):
        assert row < 60
        assert classes[label] == truth()[row]
    weights = experiment.train.weights
    assert weights is not None
    assert float(weights[0] / weights[ROWS - 1]) == 2


def test_a_class_that_corrections_empty_is_refused(
    table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [
        (row, label, "correct", "bee", "") for row, label in enumerate(given()) if label == "ant"
    ]
    path = write_corrections(tmp_path / "c.csv", lines)
    message = refused(capsys, "--data", table, "--corrections", path, "--out", tmp_path / "run")
    assert "leaves no training sample with the label ant" in message


def test_resume_refuses_a_file_that_has_changed(
    table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_corrections(tmp_path / "c.csv", verdicts(WRONG))
    flags = ("--data", table, "--corrections", path)
    whole = trained(tmp_path / "whole", *flags)
    trained(tmp_path / "run", *flags, "--max-steps", "3")
    run = str(tmp_path / "run")
    assert main(["resume", run, "--max-steps", str(whole["steps"])]) == 0
    for name in ("label_quality.csv", "metrics.jsonl"):
        assert (tmp_path / "run" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    write_corrections(path, verdicts([*WRONG, 1]))  # one more is kept: no label differs
    capsys.readouterr()
    assert main(["resume", run]) == 2
    assert "contents of the corrections" in capsys.readouterr().err
    path.unlink()
    assert main(["resume", run]) == 2
    assert "cannot read" in capsys.readouterr().err


def test_a_search_takes_none(tmp_path: Path) -> None:
    from mwnet.config.checks import validate_search
    from mwnet.search.tasks import _check

    with pytest.raises(UserError, match="`corrections` are for one training"):
        _check(validate_search({"mode": "loss-search", "corrections": tmp_path / "c.csv"}))


def test_several_seeds_take_them_in_a_run_of_each(table: Path, tmp_path: Path) -> None:
    path, out = write_corrections(tmp_path / "c.csv", verdicts(WRONG)), tmp_path / "run"
    flags = ("--data", table, "--method", "erm", "--seeds", "2", "--corrections", path)
    assert train([*QUICK, *map(str, flags), "--out", str(out)]) == 0
    assert json.loads((out / "summary.json").read_text())["way"] == "a run of each"
    for seed in (0, 1):
        found = json.loads((out / f"seed-{seed}" / "summary.json").read_text())
        assert found["corrections"]["corrected"] == len(WRONG)
