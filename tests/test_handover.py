"""Files for other tools, checked against the packages that are installed, else their formats."""

import json
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from estimators import small
from PIL import Image
from reviewers import QUICK, ROWS, features, given, verdicts, write_corrections, write_table

import mwnet
from mwnet.__main__ import main, train
from mwnet.core.errors import UserError
from mwnet.reviewing.samples import of_memory

TOOLS = ["spotlight", "embedding-atlas", "label-studio"]
CLASSES = {"ant", "bee", "cow"}


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    index = [f"animal {row}" for row in range(ROWS)]
    found = pd.DataFrame(features(), columns=["a", "b", "x"], index=index)
    return found.assign(coat=["fur" if row % 3 else "none" for row in range(ROWS)])


@pytest.fixture(scope="module")
def issues(frame: pd.DataFrame) -> pd.DataFrame:
    return mwnet.find_label_issues(frame, given(), estimator=small(epochs=2))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photos, with pixels as features so that no package is needed."""
    root = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    for row, label in enumerate(given()):
        (root / label).mkdir(exist_ok=True)
        pixels = rng.integers(0, 255, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(root / label / f"a photo {row}.png")
    return root


@pytest.fixture(scope="module")
def run(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "run"
    few = ["--features", "none", "--image-size", "8", "--method", "erm"]
    assert train([*QUICK, "--data", str(folder), *few, "--out", str(out)]) == 0
    return out


def test_parquet_for_embedding_atlas(
    issues: pd.DataFrame, frame: pd.DataFrame, tmp_path: Path
) -> None:
    path = tmp_path / "atlas.parquet"
    assert mwnet.hand_over(issues, frame, path, to="embedding-atlas") == [path]
    found = pd.read_parquet(path)
    assert found["id"].tolist() == issues.index.tolist()
    assert found["label_quality"].is_monotonic_increasing
    assert set(found["given_label"]) == CLASSES
    assert found["coat"].tolist() == frame.loc[issues.index, "coat"].tolist()
    assert found["x_of_data"].tolist() == frame.loc[issues.index, "x"].tolist()
    near = found["neighbors"].tolist()
    assert all(set(one) == {"ids", "distances"} for one in near)
    for row, one in enumerate(near):
        assert row not in one["ids"]
        assert (np.diff(one["distances"]) >= 0).all()
        assert 0 <= min(one["ids"]) < max(one["ids"]) < ROWS
    assert np.isfinite(found[["x", "y", "confidence"]]).all(axis=None)


def test_embedding_atlas_reads_it(
    issues: pd.DataFrame, frame: pd.DataFrame, tmp_path: Path
) -> None:
    metrics = pytest.importorskip("embedding_atlas.graph_metrics")
    path = tmp_path / "atlas.parquet"
    mwnet.hand_over(issues, frame, path, to="embedding-atlas")
    ranks = metrics.compute_pagerank_column(pd.read_parquet(path), neighbors="neighbors")
    assert len(ranks) == ROWS


def test_parquet_for_spotlight(run: Path, folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "spotlight.parquet"
    assert main(["export", str(run), "--to", "spotlight", str(path)]) == 0
    found = pd.read_parquet(path)
    assert all(Path(image).is_file() for image in found["image"])
    names = set(found["id"])
    assert all(set(one.split(", ")) <= names for one in found["neighbors"])
    assert {len(one) for one in found["embedding"]} == {50}


def test_spotlight_reads_it(run: Path, tmp_path: Path) -> None:
    data_source = pytest.importorskip("renumics.spotlight.data_source")
    store = pytest.importorskip("renumics.spotlight.data_store")
    path = tmp_path / "spotlight.parquet"
    main(["export", str(run), "--to", "spotlight", str(path)])
    found = store.DataStore(data_source.create_datasource(path), {})
    kinds = {name: kind.name for name, kind in found.dtypes.items()}
    assert (kinds["image"], kinds["embedding"]) == ("Image", "Embedding")
    assert (kinds["label_quality"], kinds["is_label_issue"]) == ("float", "bool")


def test_tasks_for_label_studio(issues: pd.DataFrame, frame: pd.DataFrame, tmp_path: Path) -> None:
    path = tmp_path / "tasks.json"
    written = mwnet.hand_over(issues, frame, path, to="label-studio")
    assert written == [path, tmp_path / "tasks.xml"]
    tasks = json.loads(path.read_text())
    assert len(tasks) == ROWS
    first = tasks[0]
    assert first["data"]["sample_id"] == issues.index[0]
    assert "coat: fur" in first["data"]["sample"] or "coat: none" in first["data"]["sample"]
    suggested = first["predictions"][0]["result"][0]
    assert suggested["value"]["choices"] == [str(issues["predicted_label"].iloc[0])]
    interface = ET.fromstring((tmp_path / "tasks.xml").read_text())
    assert {choice.get("value") for choice in interface.iter("Choice")} == CLASSES
    assert suggested["to_name"] == interface[0].get("name")


@pytest.mark.parametrize("photos", [False, True])
def test_label_studio_takes_them(
    issues: pd.DataFrame, frame: pd.DataFrame, run: Path, tmp_path: Path, photos: bool
) -> None:
    interfaces = pytest.importorskip("label_studio_sdk.label_interface")
    path = tmp_path / "tasks.json"
    if photos:
        assert main(["export", str(run), "--to", "label-studio", str(path)]) == 0
    else:
        mwnet.hand_over(issues, frame, path, to="label-studio")
    interface = interfaces.LabelInterface((tmp_path / "tasks.xml").read_text())
    interface.validate()
    for task in json.loads(path.read_text()):
        assert interface.validate_task({"data": task["data"]})
        assert interface.validate_prediction(task["predictions"][0])


def test_a_dataset_for_fiftyone(run: Path, folder: Path, tmp_path: Path) -> None:
    """The keys that ``fiftyone.Dataset.from_json`` reads, and the types that it knows."""
    path = tmp_path / "dataset.json"
    assert main(["export", str(run), "--to", "fiftyone", str(path)]) == 0
    found = json.loads(path.read_text())
    assert (found["name"], found["media_type"]) == ("dataset", "image")
    listed = mwnet.load(run).label_issues
    assert [one["sample_id"] for one in found["samples"]] == listed.index.tolist()
    for sample, (name, line) in zip(found["samples"], listed.iterrows(), strict=True):
        assert sample["filepath"] == str(folder / str(name))
        assert sample["mistakenness"] == pytest.approx(1 - line["label_quality"])
        assert sample["ground_truth"]["_cls"] == "Classification"
        assert sample["ground_truth"]["label"] == line["given_label"]
    own = set(found["samples"][0]) - {"filepath", "tags", "metadata", "_media_type"}
    assert own == set(found["sample_fields"])


def test_fiftyone_itself_reads_the_samples(run: Path, tmp_path: Path) -> None:
    """Its data set needs a MongoDB, a sample of it does not."""
    fiftyone = pytest.importorskip("fiftyone", reason="there is no FiftyOne: pip install fiftyone")
    path = tmp_path / "dataset.json"
    assert main(["export", str(run), "--to", "fiftyone", str(path)]) == 0
    for one in json.loads(path.read_text())["samples"]:
        sample = fiftyone.Sample.from_dict(one)
        assert sample.mistakenness == one["mistakenness"]
        assert sample.ground_truth.label == one["ground_truth"]["label"]
        assert sample.predictions.confidence == one["predictions"]["confidence"]


def test_confidence_is_that_of_the_predicted_label(run: Path) -> None:
    """It follows from loss and margin, so that a list of issues suffices."""
    from mwnet.reviewing.samples import of_run
    from mwnet.runs.folder import RunFolder

    listed = of_run(run)
    probabilities, _ = RunFolder(run).predictions()
    order = [line["sample_id"] for line in RunFolder(run).label_quality()]
    largest = dict(zip(order, probabilities.max(1), strict=True))
    wanted = [largest[name] for name in listed.issues.index]
    assert listed.confidence == pytest.approx(wanted, abs=1e-3)


@pytest.mark.parametrize(
    "x",
    [
        features(),
        [f"a {row % 5} text of {row % 3}" for row in range(ROWS)],
        features().reshape(ROWS, 1, 3),
    ],
    ids=["numbers", "texts", "images"],
)
def test_everything_that_fit_takes(x: Any, tmp_path: Path) -> None:
    found = mwnet.find_label_issues(x, given(), estimator=small(epochs=1))
    for tool in TOOLS:
        mwnet.hand_over(found, x, tmp_path / f"{tool}.out", to=tool)
    assert len(pd.read_parquet(tmp_path / "spotlight.out")) == ROWS


def test_paths_and_refusals(issues: pd.DataFrame, frame: pd.DataFrame, tmp_path: Path) -> None:
    path = write_table(tmp_path / "a.csv")
    found = mwnet.find_label_issues(path, estimator=small(epochs=1))
    out = tmp_path / "b.parquet"
    mwnet.hand_over(found, path, out, to="spotlight")
    with pytest.raises(UserError, match=r"b.parquet exists already"):
        mwnet.hand_over(found, path, out, to="spotlight")
    with pytest.raises(UserError, match="`to` got unknown 'excel'"):
        mwnet.hand_over(found, path, tmp_path / "c", to="excel")
    with pytest.raises(UserError, match="FiftyOne shows files"):
        mwnet.hand_over(found, path, tmp_path / "c", to="fiftyone")
    with pytest.raises(UserError, match="`X` has no sample 'animal"):
        mwnet.hand_over(issues, features(), tmp_path / "c", to="spotlight")
    with pytest.raises(UserError, match="`issues` must be the DataFrame of find_label_issues"):
        of_memory(frame, frame)
    assert not (tmp_path / "c").exists()


def test_what_changed_from_one_run_to_another(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write_table(tmp_path / "a.csv")
    runs = [str(tmp_path / name) for name in ("before", "after", "test")]
    assert train([*QUICK, "--data", str(data), "--out", runs[0]]) == 0
    before = mwnet.load(runs[0])
    trained = before.label_issues.index.tolist()
    others = [row for row in range(ROWS) if row not in trained]
    for rows, out in ((trained, runs[1]), (others, runs[2])):
        path = write_corrections(Path(f"{out}.csv"), verdicts(rows))
        assert train([*QUICK, "--data", str(data), "--corrections", str(path), "--out", out]) == 0
    capsys.readouterr()
    assert main(["compare", *runs[:2]]) == 0
    said = capsys.readouterr().out
    flagged = before.label_issues["is_label_issue"]
    assert f"labels called wrong{int(flagged.sum()):>25}{0:>10}" in said
    assert "24 test samples, with the same labels" in said
    wrong = [row for row in flagged.index[flagged] if given()[row] != verdicts([row])[0][3]]
    assert f"{int(flagged.sum())} were looked at and {len(wrong)} were wrong" in said
    assert main(["compare", runs[0], runs[2]]) == 0
    said = capsys.readouterr().out
    assert "accuracies are those on the 24 held-out samples of both runs" in said
    assert main(["compare", runs[0], str(tmp_path)]) == 2
    assert "cannot read" in capsys.readouterr().err


def test_the_command_names_what_is_wrong(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = str(tmp_path / "out")
    for argv, said in (
        ([str(run), "--to", "excel", out], "--to got unknown 'excel'"),
        ([str(run), "--to", "spotlight", out, "--corrections", out], "--corrections go with"),
        ([str(tmp_path), "--to", "spotlight", out], str(tmp_path)),
        ([str(run), "--to", "spotlight", f"{out}/a/b.parquet"], "cannot write"),
    ):
        assert main(["export", *argv]) == 2
        message = capsys.readouterr().err
        assert said in message
        assert message.count("\n") == 1
    assert not list(tmp_path.iterdir())
