"""What hostile, damaged and fuzzed files led to: each fault, and the right answer."""

import gzip
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from commands import QUICK, ROBUST, ROOT, fails, outcome, run

import mwnet
from mwnet.config.recipes import load_yaml
from mwnet.core import unpacking
from mwnet.core.errors import UserError
from mwnet.data.load import load
from mwnet.data.tables.text import TextFeatures
from mwnet.runs.folder import RunFolder


def test_small_files_that_unpack_to_much(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpacking, "LARGE", 100_000)
    text = b"a,b,label\n" + b"1,2,3\n" * 100_000
    (tmp_path / "bomb.csv.gz").write_bytes(gzip.compress(text))
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb.csv", text)
    np.savez_compressed(tmp_path / "bomb.npz", x=np.zeros((10_000, 30)), y=np.zeros(10_000))
    for name, kind in (("bomb.csv.gz", "table"), ("bomb.zip", "table"), ("bomb.npz", "arrays")):
        with pytest.raises(UserError, match=f"{name} unpacks to more than 250 times its size"):
            load(kind, path=tmp_path / name)


def test_large_files_that_pack_as_others_do_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unpacking, "LARGE", 1000)
    rng = np.random.default_rng(0)
    rows = [f"{a:.6f},{b:.6f},{label}" for a, b in rng.random((400, 2)) for label in ("p", "q")]
    (tmp_path / "right.csv.gz").write_bytes(
        gzip.compress(("a,b,label\n" + "\n".join(rows)).encode())
    )
    assert len(load("table", path=tmp_path / "right.csv.gz").labels) == 800


def test_a_damaged_packed_table_is_named(tmp_path: Path) -> None:
    path = tmp_path / "damaged.csv.gz"
    whole = gzip.compress(b"a,b,label\n" + os.urandom(3000).hex().encode())
    for place in range(12, len(whole) - 12, 97):
        content = bytearray(whole)
        content[place : place + 3] = b"\xff\xff\xff"
        path.write_bytes(content)
        with pytest.raises(UserError, match=r"damaged\.csv\.gz"):
            load("table", path=path)


def test_a_damaged_parquet_is_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "damaged.parquet"
    path.write_bytes(b"PAR1" + b"\x00" * 40 + b"PAR1")
    with pytest.raises(UserError, match=r"damaged\.parquet is no readable table") as caught:
        load("table", path=path)
    assert "\n" not in str(caught.value)


def test_an_array_whose_header_is_cut_off(tmp_path: Path) -> None:
    out = tmp_path / "run"
    run(out, *ROBUST, "--epochs", "1")
    path = out / "pred_probs.npy"
    right = path.read_bytes()
    for header in (
        b"{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4)",
        b"(((",
        b"{'a' 1",
        b"-",
    ):
        path.write_bytes(right[:10] + header.ljust(118, b" ")[:118] + right[128:])
        with pytest.raises(UserError, match=r"pred_probs\.npy"):
            RunFolder(out).predictions()


@pytest.mark.parametrize(
    "value", ["2001-13-45", "2001-02-30 25:61:00", "0b_", "!!int ''", "!!float x", "!!timestamp x"]
)
def test_values_that_yaml_itself_trips_over(tmp_path: Path, value: str) -> None:
    (tmp_path / "recipe.yaml").write_text(f"lr: {value}\n")
    with pytest.raises(UserError, match=r"recipe\.yaml is no valid YAML: ") as caught:
        load_yaml(tmp_path / "recipe.yaml")
    assert "\n" not in str(caught.value)


def test_a_flag_that_yaml_trips_over(capsys: pytest.CaptureFixture[str]) -> None:
    assert "--model.width" in fails(capsys, "--model.width=2001-13-45")


def test_lists_without_end_in_json_and_yaml(tmp_path: Path) -> None:
    deep = "[" * 100_000
    (tmp_path / "recipe.yaml").write_text(f"lr: {deep}")
    with pytest.raises(UserError, match=r"recipe\.yaml"):
        load_yaml(tmp_path / "recipe.yaml")
    for name, read in (
        ("metrics.jsonl", RunFolder(tmp_path).history),
        ("summary.json", RunFolder(tmp_path).summary),
        ("classifier.json", lambda: mwnet.load(tmp_path)),
    ):
        (tmp_path / name).write_text(deep)
        with pytest.raises(UserError):
            read()


def test_line_breaks_of_a_name_stay_out_of_the_message(tmp_path: Path) -> None:
    names = "a\nb", "c\u2028d"
    assert str(UserError(f"no {names[0]} and no {names[1]}")) == "no a b and no c d"
    rows = "".join(f"{row},{row % 2}\n" for row in range(30))
    (tmp_path / "table.csv").write_text(f'"one\ntwo","three\nfour"\n{rows}')
    with pytest.raises(UserError, match="three four") as caught:
        load("table", path=tmp_path / "table.csv")
    assert "\n" not in str(caught.value)


def test_labels_of_no_rows(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.zeros((30, 2)))
    for shape in ((0, 0), (0, 3), (30, 0)):
        np.save(tmp_path / "y.npy", np.zeros(shape, dtype=bool))
        with pytest.raises(UserError, match="must be one label per sample"):
            load("arrays", path=tmp_path / "x.npy", labels=tmp_path / "y.npy")


def test_texts_of_a_single_term() -> None:
    texts = np.array(["word word", "word"] * 10, dtype=object)
    fitted = TextFeatures.fit(texts, "tfidf", alone=True)
    features = fitted.transform(texts)
    assert features.shape == (20, 1)
    assert np.isfinite(features).all()


def test_a_summary_whose_seeds_are_no_list(tmp_path: Path) -> None:
    for seeds in ([], 3, None, {}):
        (tmp_path / "summary.json").write_text(json.dumps({"method": "erm", "seeds": seeds}))
        with pytest.raises(UserError, match="several seeds"):
            RunFolder(tmp_path).summary()


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-"])
@pytest.mark.skipif(os.name != "posix", reason="the system has no such shell")
def test_outputs_that_are_closed_from_the_start(tmp_path: Path, closed: str) -> None:
    argv = [*QUICK, "--epochs", "1", "--method", "erm", "--no-figures"]
    run(tmp_path / "right", *argv)
    line = f'exec "$0" train.py "$@" {closed}'
    done = subprocess.run(
        ["sh", "-c", line, sys.executable, *argv, "--out", str(tmp_path / "closed")],
        cwd=ROOT, check=False, capture_output=True,
    )  # fmt: skip
    assert done.returncode == 0
    assert outcome(tmp_path / "closed") == outcome(tmp_path / "right")


def test_a_mean_of_another_type(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    from mwnet.core.sealed import digest, write_sealed

    out = tmp_path / "run"
    run(out, *ROBUST, "--epochs", "1")
    x = np.zeros((1, 8, 8))
    before = mwnet.load(out).predict_proba(x)
    tensors = load_file(out / "model.safetensors")
    save_file({**tensors, "mean": tensors["mean"].double()}, out / "model.safetensors")
    described = json.loads((out / "model.json").read_text())
    content = (out / "model.safetensors").read_bytes()
    write_sealed(out / "model.json", {**described, "seal": "", "digest": digest(content)})
    assert torch.equal(torch.from_numpy(mwnet.load(out).predict_proba(x)), torch.from_numpy(before))
