"""A fitted classifier in a folder: what comes back, and what a damaged one says."""

import datetime as dt
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from estimators import small

import mwnet
from mwnet.core.errors import UserError


@pytest.mark.parametrize("labels", ["numbers", "words", "tuples"])
def test_saved_and_loaded_is_the_same(noisy: tuple, tmp_path: Path, labels: str) -> None:
    x, given, _ = noisy
    kinds = {
        "numbers": given,
        "words": np.array(list("abcdefghij"))[given],
        "tuples": [("digit", int(label)) for label in given],
    }
    frame = pd.DataFrame(x, columns=[f"pixel {i}" for i in range(64)])
    fitted = small().fit(frame, kinds[labels])
    fitted.save(tmp_path / "model")
    names = {path.name for path in (tmp_path / "model").iterdir()}
    assert names == {"classifier.json", "model.json", "model.safetensors"}
    again = mwnet.load(tmp_path / "model")
    np.testing.assert_array_equal(again.predict_proba(frame), fitted.predict_proba(frame))
    assert again.predict(frame).tolist() == fitted.predict(frame).tolist()
    pd.testing.assert_frame_equal(again.label_issues_, fitted.label_issues_)
    assert again.get_params() == fitted.get_params()
    np.testing.assert_array_equal(again.feature_names_in_, fitted.feature_names_in_)


def test_a_damaged_model_is_one_sentence(noisy: tuple, tmp_path: Path) -> None:
    x, given, _ = noisy
    folder = tmp_path / "model"
    small(epochs=1).fit(x, given).save(folder)
    tensors = (folder / "model.safetensors").read_bytes()
    for damaged in (b"", tensors[:100], tensors[:-10], b"\x80\x04K\x01."):
        (folder / "model.safetensors").write_bytes(damaged)
        with pytest.raises(ValueError, match="model"):
            mwnet.load(folder)
    (folder / "model.safetensors").write_bytes(tensors)
    described = json.loads((folder / "model.json").read_text())
    (folder / "model.json").write_text(json.dumps({**described, "shape": [3, 1, 1]}))
    with pytest.raises(ValueError, match="damaged"):
        mwnet.load(folder)
    with pytest.raises(ValueError, match="no folder"):
        mwnet.load(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="neither a run nor"):
        mwnet.load(tmp_path)


@pytest.mark.parametrize("name", ["classifier.json", "model.json"])
def test_any_other_entry_of_a_saved_file_is_damage(noisy: tuple, tmp_path: Path, name: str) -> None:
    x, given, _ = noisy
    small(epochs=1).fit(x, given).save(tmp_path)
    whole = json.loads((tmp_path / name).read_text())
    (tmp_path / name).write_text(json.dumps(dict(reversed(whole.items()))))
    mwnet.load(tmp_path)  # the order of entries says nothing
    for key in whole:
        (tmp_path / name).write_text(json.dumps({**whole, key: [whole[key]]}))
        with pytest.raises(UserError, match=r"classifier|model"):
            mwnet.load(tmp_path)


def test_a_network_that_gives_no_probabilities(noisy: tuple, tmp_path: Path) -> None:
    x, given, _ = noisy
    fitted = small(epochs=1).fit(x, given)
    with torch.no_grad():
        next(fitted.model_.network.parameters()).fill_(float("nan"))
    with pytest.raises(UserError, match="the network gives NaN or infinity"):
        fitted.predict(x)


def test_no_run_is_overwritten(noisy: tuple, tmp_path: Path) -> None:
    x, given, _ = noisy
    (tmp_path / "config.yaml").write_text("seed: 0")
    with pytest.raises(ValueError, match="folder of a run"):
        small(epochs=1).fit(x, given).save(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"config.yaml"}


def test_every_index_comes_back(noisy: tuple, tmp_path: Path) -> None:
    x, given, _ = noisy
    indices = [
        pd.date_range("2020-01-01", periods=600, name="day"),
        pd.MultiIndex.from_product([range(60), range(10)], names=["a", "b"]),
        pd.Index([f"row {i % 50}" for i in range(600)], name="id"),
    ]
    for number, index in enumerate(indices):
        fitted = small(epochs=1).fit(pd.DataFrame(x, index=index), given)
        fitted.save(tmp_path / str(number))
        again = mwnet.load(tmp_path / str(number))
        assert again.label_issues_.index.equals(index)
        assert again.label_issues_.index.names == index.names
    dates = [dt.date(2020, 1, 1 + label) for label in given.tolist()]
    with pytest.raises(ValueError, match="JSON has no date"):
        small(epochs=1).fit(x, dates).save(tmp_path / "dates")


def test_whatever_is_missing_in_a_saved_file_is_one_sentence(noisy: tuple, tmp_path: Path) -> None:
    x, given, _ = noisy
    small(epochs=1).fit(x, given).save(tmp_path)
    for name in ("classifier.json", "model.json"):
        whole = json.loads((tmp_path / name).read_text())
        seal = whole.pop("seal")
        assert len(seal) == 32
        for key in whole:
            for damaged in ({k: v for k, v in whole.items() if k != key}, {**whole, key: 7}):
                (tmp_path / name).write_text(json.dumps(damaged))
                harmless = key in ("n_features_in", "engine", "image_size")
                if harmless and key in damaged:  # a number is what they may be
                    continue
                with pytest.raises(ValueError, match=r"classifier|model"):
                    mwnet.load(tmp_path)
        (tmp_path / name).write_text(json.dumps(whole))
