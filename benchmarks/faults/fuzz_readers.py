"""The readers that are fuzzed: what each reads, and when its result is right."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from hypothesis import strategies as st
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors

import mwnet
from benchmarks.faults import fuzz_files as files
from benchmarks.faults.bad_input import prepare
from benchmarks.faults.fuzz import whole_command
from mwnet import noise
from mwnet.config.checks import validate
from mwnet.config.recipes import load_yaml
from mwnet.core.errors import UserError
from mwnet.core.sealed import digest, write_sealed
from mwnet.data.corrections import read_corrections
from mwnet.data.load import load
from mwnet.data.source import Source
from mwnet.data.tables.reading import read_frame
from mwnet.runs.folder import RunFolder
from mwnet.runs.predict import predicted

Reader = tuple[Any, Callable[[Any], object]]


def readers(folder: Path) -> dict[str, Reader]:
    """What is fuzzed by name: how its files are made, and what reads one.

    Args:
        folder: an empty one, for the files.
    """
    whole = prepare(folder)
    (folder / "fuzzed").mkdir()
    return {**of_data(folder / "fuzzed"), **of_runs(folder, whole), **of_commands(folder)}


def written(path: Path, content: bytes) -> Path:
    """Write what was made."""
    path.write_bytes(content)
    return path


def of_data(folder: Path) -> dict[str, Reader]:
    """Readers of data, labels, corrections and recipes."""
    x = folder / "x.npy"
    np.save(x, np.linspace(0, 1, 90).reshape(30, 3))
    right = right_tables(folder)

    def table(content: bytes) -> None:
        usable(load("table", path=written(folder / "table.csv", content)))

    def binary_table(made: tuple[str, list[tuple[float, str, bytes]]]) -> None:
        kind, changes = made
        read_frame(written(folder / f"table.{kind}", files.mutate(right[kind], changes)))

    def labels(content: bytes) -> None:
        source = load("arrays", path=x, labels=written(folder / "labels.txt", content))
        usable(source)

    def label_array(content: bytes) -> None:
        usable(load("arrays", path=x, labels=written(folder / "labels.npy", content)))

    def named(made: tuple[bytes, str, str]) -> None:
        content, key, end = made
        path = written(folder / f"noise{end}", content)
        try:
            noise.array_from_file(f"{path}{key}")
        except ValueError as error:  # its callers add their own words
            raise UserError(str(error)) from None

    def recipe(content: bytes) -> None:
        validate(load_yaml(written(folder / "recipe.yaml", content)))

    return {
        "tables of text": (files.tables(), table),
        "parquet, feather, xlsx, packed tables": (
            st.tuples(st.sampled_from(KINDS), files.mutations), binary_table),
        ".npz": (files.npz(), lambda c: usable(
            load("arrays", path=written(folder / "data.npz", c)))),
        ".npy of samples": (files.npy(), lambda c: usable(
            load("arrays", path=written(folder / "data.npy", c),
                 labels=written(folder / "lines.txt", b"a\nb\n" * 15)))),
        "labels in a text file": (files.label_lines(), labels),
        "labels in an .npy": (files.npy(), label_array),
        "an array by its key": (
            st.tuples(files.npz() | files.npy(), st.sampled_from(("", ":x", ":y", ":nothing")),
                      st.sampled_from((".npz", ".npy", ".pt"))), named),
        "corrections": (files.corrections(), lambda c: applied(folder, c)),
        "recipes": (files.recipes(), recipe),
    }  # fmt: skip


KINDS = ("parquet", "feather", "xlsx", "csv.gz", "csv.bz2", "csv.xz", "zip")


def right_tables(folder: Path) -> dict[str, bytes]:
    """The same table in every binary format."""
    frame = pd.DataFrame({
        "a": np.arange(30) / 7, "b": list("xyz") * 10, "label": [f"c{i % 3}" for i in range(30)],
        "when": pd.date_range("2024-01-01", periods=30), "kind": pd.Categorical(list("pq") * 15),
    })  # fmt: skip
    made = {}
    for kind in KINDS:
        path = folder / f"right.{kind}"
        if kind == "parquet":
            frame.to_parquet(path)
        elif kind == "feather":
            frame.to_feather(path)
        elif kind == "xlsx":
            frame.to_excel(path, index=False)
        else:
            frame.to_csv(path, index=False)
        made[kind] = path.read_bytes()
    return made


def usable(source: Source) -> None:
    """Check what was read: as many samples as labels, every class in use, finite features.

    Raises:
        AssertionError: the result is wrong.
    """
    rows = torch.arange(len(source.labels))
    assert len(source.x) == len(rows), f"{len(source.x)} samples, {len(rows)} labels"
    assert len(source.classes) >= 2, f"classes {source.classes}"
    assert len(set(source.classes)) == len(source.classes), f"classes {source.classes}"
    used = source.labels.unique().tolist()
    assert set(used) <= set(range(len(source.classes))), f"ids {used}"
    prepared = source.prepared(rows)
    assert len(prepared.x) == len(rows), f"{len(prepared.x)} prepared samples"
    assert torch.isfinite(prepared.x[:1000].float()).all(), "features that are not finite"


def applied(folder: Path, content: bytes) -> None:
    """Read corrections and compare them with three samples."""
    review = read_corrections(written(folder / "corrections.csv", content))
    names, classes = ("0", "1", "2", "07", "x"), ("0", "1", "2")
    found = review.applied(names, classes, torch.tensor([0, 1, 2, 0, 1]))
    assert len(found.ids) == len(review.lines), "lines were lost"


def of_runs(folder: Path, whole: Path) -> dict[str, Reader]:
    """Readers of a finished run, its network, a saved classifier; and of new rows."""
    run, saved = folder / "changed", folder / "classifier"
    shutil.copytree(whole, run)
    shutil.copytree(whole, folder / "network")
    rows = pd.read_csv(folder / "right.csv").iloc[:3, :4]
    fitted = mwnet.MWNetClassifier(epochs=1, model="mlp2", model_options={"width": 4})
    fitted.fit(rows.sample(60, replace=True, random_state=0), np.arange(60) % 3).save(saved)
    described = json.loads((whole / "model.json").read_text())
    summary = json.loads((whole / "summary.json").read_text())
    classifier = json.loads((saved / "classifier.json").read_text())
    tensors = load_tensors((whole / "model.safetensors").read_bytes())

    def network(content: bytes) -> None:
        (run / "model.json").write_bytes(content)
        probable(mwnet.load(run).predict_proba(rows))

    def weights(made: tuple[str, np.ndarray]) -> None:
        # The digest fits, so that what is in the file is looked at.
        name, value = made
        content = save_tensors({**tensors, name: np.ascontiguousarray(value)})
        (folder / "network" / "model.safetensors").write_bytes(content)
        write_sealed(folder / "network" / "model.json", {**described, "digest": digest(content)})
        probable(mwnet.load(folder / "network").predict_proba(rows))

    def numbers(content: bytes) -> None:
        (run / "summary.json").write_bytes(content)
        opened = mwnet.load(run)
        assert isinstance(opened.summary, dict)
        assert len(opened.label_issues), "no issues"

    def own(content: bytes) -> None:
        (saved / "classifier.json").write_bytes(content)
        probable(mwnet.load(saved).predict_proba(rows))

    def config(content: bytes) -> None:
        RunFolder(written(run / "config.yaml", content).parent).config()

    new = mwnet.load(whole).model

    def new_rows(content: bytes) -> None:
        probable(predicted(new, written(folder / "new.csv", content)).probabilities)

    values = st.sampled_from((np.float32, np.float64, np.int64, np.uint8, np.float16))
    shapes = st.sampled_from(((), (0,), (1,), (3,), (8, 4), (4, 8), (3, 8), (4,), (8,)))
    tensor = st.builds(lambda kind, shape, value: np.full(shape, value).astype(kind), values,
                       shapes, st.sampled_from((0.0, 1.0, np.nan, np.inf, 1e30)))  # fmt: skip
    return {
        "model.json": (files.edited(described), network),
        "tensors of a network": (st.tuples(st.sampled_from((*tensors, "more")), tensor), weights),
        "summary.json": (files.edited(summary), numbers),
        "classifier.json": (files.edited(classifier), own),
        "config.yaml of a run": (files.recipes(), config),
        "new rows": (files.tables(), new_rows),
    }


def probable(probabilities: np.ndarray) -> None:
    """Check probabilities.

    Raises:
        AssertionError: they are none.
    """
    assert probabilities.ndim == 2, f"shape {probabilities.shape}"
    if len(probabilities):
        assert np.isfinite(probabilities).all(), "probabilities that are not finite"
        assert np.allclose(probabilities.sum(1), 1, atol=1e-4), "they do not sum to one"


def of_commands(folder: Path) -> dict[str, Reader]:
    """Whole commands on what was made."""
    place = folder / "commands"
    place.mkdir()
    for name in ("table.csv", "recipe.yaml", "data.npz"):
        (place / name).touch()

    def on_table(content: bytes) -> object:
        path = written(place / "table.csv", content)
        return whole_command(
            place, "--data", str(path), "--epochs=1", "--model=mlp2", "--model.width=4"
        )

    def on_recipe(content: bytes) -> object:
        path = written(place / "recipe.yaml", content)
        return whole_command(place, "--config", str(path), "--train-size=100", "--epochs=1")

    def on_arrays(content: bytes) -> object:
        path = written(place / "data.npz", content)
        return whole_command(
            place, "--data", str(path), "--epochs=1", "--model=mlp2", "--model.width=4"
        )

    return {
        "mwnet train on a table": (files.tables(), on_table),
        "mwnet train with a recipe": (files.recipes(), on_recipe),
        "mwnet train on an .npz": (files.npz(), on_arrays),
    }
