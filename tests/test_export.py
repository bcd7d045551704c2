"""The data with corrections applied, written in the form that it came in."""

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import openpyxl
import pandas as pd
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

from mwnet.__main__ import main, train
from mwnet.config.schema import DataOptions
from mwnet.core.errors import UserError
from mwnet.data.corrections import read_corrections
from mwnet.reviewing.export import Plan, export_corrected


def exported(
    data: Path, out: Path, lines: Any = None, unsure: str = "leave-out", **more: Any
) -> Plan:
    corrections = write_corrections(
        out.parent / "corrections.csv", verdicts(range(ROWS)) if lines is None else lines
    )
    kind = "folder" if data.is_dir() else "arrays" if data.suffix[:3] == ".np" else "table"
    options = DataOptions(dataset=kind, data=data, **more)
    return export_corrected(options, read_corrections(corrections), out, unsure=unsure)


def test_a_csv_keeps_every_byte_but_the_labels(tmp_path: Path) -> None:
    path = write_table(tmp_path / "a.csv")
    before = path.read_bytes()
    plan = exported(path, tmp_path / "b.csv")
    assert plan.changed == len(WRONG)
    assert path.read_bytes() == before
    lines = before.decode().splitlines()
    right = [f"{line.rpartition(',')[0]},{y}" for line, y in zip(lines[1:], truth(), strict=True)]
    assert (tmp_path / "b.csv").read_text() == "\n".join([lines[0], *right]) + "\n"


def test_a_first_line_that_names_the_separator_stays(tmp_path: Path) -> None:
    path = write_table(tmp_path / "plain.csv")
    text = path.read_text().replace(",", ";")
    told = tmp_path / "a.csv"
    told.write_text("sep=;\n" + text)
    plan = exported(told, tmp_path / "b.csv")
    assert plan.changed == len(WRONG)
    assert (tmp_path / "b.csv").read_text().startswith("sep=;\n" + text.splitlines()[0])


@pytest.mark.parametrize("encoding", ["utf-8-sig", "cp1252", "utf-16-le", "utf-16-be"])
def test_other_dialects(tmp_path: Path, encoding: str) -> None:
    """Semicolons, quotes with line breaks and separators, CR LF, empty lines, the label first."""
    rows = [
        f'"{label}";"Gr\u00f6\u00dfe ""{row}""; a\r\nb";  1,{row}0 \r\n'
        for row, label in enumerate(given())
    ]
    mark = "\ufeff" if encoding.startswith("utf-16") else ""
    text = mark + "\r\nlabel;note;size\r\n" + "".join(rows[:5]) + "\r\n" + "".join(rows[5:])
    path = tmp_path / "a.csv"
    path.write_bytes(text.encode(encoding))
    exported(path, tmp_path / "b.csv", verdicts(WRONG, unsure=WRONG[-2:]))
    expected = text
    for row in WRONG[:-2]:
        expected = expected.replace(rows[row], rows[row].replace(given()[row], truth()[row]))
    for row in WRONG[-2:]:
        expected = expected.replace(rows[row], "")
    assert (tmp_path / "b.csv").read_bytes() == expected.encode(encoding)


def test_compressed_and_other_formats(tmp_path: Path) -> None:
    path = write_table(tmp_path / "a.csv")
    exported(path, tmp_path / "b.csv.gz")
    exported(path, tmp_path / "plain.csv")
    unpacked = gzip.decompress((tmp_path / "b.csv.gz").read_bytes())
    assert unpacked == (tmp_path / "plain.csv").read_bytes()
    exported(tmp_path / "a.csv", tmp_path / "c.parquet")
    assert pd.read_parquet(tmp_path / "c.parquet")["label"].tolist() == truth()
    exported(tmp_path / "b.csv.gz", tmp_path / "d.csv", lines=[])
    assert (tmp_path / "d.csv").read_bytes() == unpacked


@pytest.mark.parametrize("suffix", ["parquet", "feather"])
def test_types_stay_in_arrow_files(tmp_path: Path, suffix: str) -> None:
    frame = pd.DataFrame(features(), columns=["a", "b", "c"]).astype({"a": "float32"})
    frame["label"] = pd.Categorical(given())
    path, out = tmp_path / f"a.{suffix}", tmp_path / f"b.{suffix}"
    getattr(frame, f"to_{suffix}")(path)
    plan = exported(path, out, verdicts(range(ROWS), unsure=[1]))
    again = getattr(pd, f"read_{suffix}")(out)
    assert again.dtypes.equals(frame.dtypes)
    assert again["label"].tolist() == [y for row, y in enumerate(truth()) if row != 1]
    assert int((~plan.keep).sum()) == 1
    kept = exported(path, tmp_path / f"c.{suffix}", verdicts([1], unsure=[1]), unsure="stay")
    assert kept.keep.all()


def test_a_workbook_keeps_its_other_sheets(tmp_path: Path) -> None:
    frame = pd.DataFrame(features(), columns=["a", "b", "c"]).assign(label=given())
    with pd.ExcelWriter(tmp_path / "a.xlsx") as writer:
        frame.to_excel(writer, sheet_name="data", index=False)
        frame.head(2).to_excel(writer, sheet_name="more", index=False)
    exported(tmp_path / "a.xlsx", tmp_path / "b.xlsx", verdicts(range(ROWS), unsure=[0, 7]))
    again = pd.read_excel(tmp_path / "b.xlsx")
    assert again["label"].tolist() == [y for row, y in enumerate(truth()) if row not in (0, 7)]
    assert openpyxl.load_workbook(tmp_path / "b.xlsx").sheetnames == ["data", "more"]


def photos(root: Path) -> dict[str, bytes]:
    rng = np.random.default_rng(0)
    for row, label in enumerate(given()):
        file = root / label / f"{row // 3}.png"  # so that names collide
        file.parent.mkdir(parents=True, exist_ok=True)
        if file.exists():
            file = file.with_stem(f"x{row}")
        pixels = rng.integers(0, 255, (4, 4, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(file)
    return {str(file.relative_to(root)): file.read_bytes() for file in root.rglob("*.png")}


def test_photos_move_to_the_folder_of_their_class(tmp_path: Path) -> None:
    found = photos(tmp_path / "photos")
    names = sorted(found)
    moved = [name for name in names if name.startswith("ant/")][:5]
    lines = [(name, "ant", "correct", "bee", "") for name in moved]
    lines.append((names[-1], names[-1].split("/")[0], "unsure", "", ""))
    plan = exported(tmp_path / "photos", tmp_path / "clean", lines)
    assert plan.changed == 5
    again = {
        str(file.relative_to(tmp_path / "clean")): file.read_bytes()
        for file in (tmp_path / "clean").rglob("*.png")
    }
    assert sorted(again.values()) == sorted(v for k, v in found.items() if k != names[-1])
    for name in moved:
        place = next(place for place, content in again.items() if content == found[name])
        assert place.startswith("bee/")
    untouched = set(names) - {*moved, names[-1]}
    assert all(again[name] == found[name] for name in untouched)
    assert {str(f.relative_to(tmp_path / "photos")) for f in (tmp_path / "photos").rglob("*.png")} \
        == set(names)  # fmt: skip


def test_arrays_keep_all_that_is_in_the_file(tmp_path: Path) -> None:
    codes = np.array([CLASSES.index(label) for label in given()], dtype=np.int8)
    right = np.array([CLASSES.index(label) for label in truth()])
    more = {"y_true": right, "x_test": features()[:9], "y_test": codes[:9], "about": np.array("a")}
    np.savez(tmp_path / "a.npz", x=features(), y=codes, **more)
    lines = [
        (row, codes[row], verdict, *(CLASSES.index(x) if x in CLASSES else x for x in rest))
        for row, _, verdict, *rest in verdicts(range(ROWS), unsure=[3])
    ]
    lines.append((ROWS, codes[0], "correct", 1 - codes[0] % 2, ""))  # the first test sample
    exported(tmp_path / "a.npz", tmp_path / "b.npz", lines)
    with np.load(tmp_path / "b.npz") as again:
        assert set(again.files) == {"x", "y", *more}
        assert again["y"].dtype == np.int8
        assert again["y"].tolist() == [c for row, c in enumerate(right.tolist()) if row != 3]
        assert np.array_equal(again["x"], np.delete(features(), 3, 0))
        assert np.array_equal(again["y_true"], np.delete(right, 3))
        assert again["y_test"].tolist() == [1 - codes[0] % 2, *codes[1:9].tolist()]
        assert len(again["x_test"]) == 9
    np.save(tmp_path / "x.npy", features())
    (tmp_path / "y.txt").write_text("\n".join(given()))
    options = {"labels": tmp_path / "y.txt"}
    exported(tmp_path / "x.npy", tmp_path / "c.npz", verdicts(range(ROWS)), **options)
    with np.load(tmp_path / "c.npz") as again:
        assert again["y"].tolist() == truth()


def test_one_hot_labels_stay_one_hot(tmp_path: Path) -> None:
    codes = [CLASSES.index(label) for label in given()]
    np.savez(tmp_path / "a.npz", x=features(), y=np.eye(3)[codes])
    row = WRONG[0]
    lines = [(row, codes[row], "correct", (codes[row] + 1) % 3, "")]
    exported(tmp_path / "a.npz", tmp_path / "b.npz", lines)
    with np.load(tmp_path / "b.npz") as again:
        assert again["y"].shape == (ROWS, 3)
        assert again["y"][row].argmax() == (codes[row] + 1) % 3


def test_nothing_is_overwritten_and_nothing_half_written(tmp_path: Path) -> None:
    path = write_table(tmp_path / "a.csv")
    with pytest.raises(UserError, match=r"a.csv exists already: choose another"):
        exported(path, path)
    with pytest.raises(UserError, match=r"b.doc: a table is written as .csv"):
        exported(path, tmp_path / "b.doc")
    nothing = read_corrections(write_corrections(tmp_path / "c.csv", []))
    table = DataOptions(dataset="table", data=path)
    with pytest.raises(UserError, match=r"cannot write .*b.csv: No such file"):
        export_corrected(table, nothing, tmp_path / "nowhere" / "b.csv", unsure="stay")
    photos(tmp_path / "photos")
    with pytest.raises(UserError, match="choose a place outside the data"):
        exported(tmp_path / "photos", tmp_path / "photos" / "clean", lines=[])
    with pytest.raises(UserError, match="the run was on digits"):
        export_corrected(DataOptions(), nothing, tmp_path / "d.npz", unsure="stay")
    with pytest.raises(UserError, match="the run added noise"):
        exported(path, tmp_path / "e.csv", lines=[], noise="uniform", noise_rate=0.1)
    assert not list(tmp_path.glob("**/.*.tmp"))


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, run = write_table(tmp_path / "a.csv"), tmp_path / "run"
    corrections = write_corrections(tmp_path / "c.csv", verdicts(WRONG, unsure=WRONG[:1]))
    assert train([*QUICK, "--data", str(path), "--out", str(run)]) == 0
    out = tmp_path / "clean.csv"
    argv = ["export", str(run), "--corrected", str(out)]
    capsys.readouterr()
    assert main(argv) == 2
    assert "--corrected needs --corrections PATH" in capsys.readouterr().err
    assert main([*argv, "--corrections", str(corrections)]) == 0
    assert (
        f"119 samples, {len(WRONG) - 1} with another label, 1 left out" in capsys.readouterr().out
    )
    assert main([*argv, "--corrections", str(corrections)]) == 2
    assert "exists already: choose another path for --corrected" in capsys.readouterr().err
    assert train([*QUICK, "--data", str(out), "--out", str(tmp_path / "again")]) == 0
    assert main(["export", str(run)]) == 2
    assert "give either --corrected PATH" in capsys.readouterr().err
