"""The scikit-learn classifier: scikit-learn's own checks, labels of all kinds, saving, weights."""

import datetime as dt
import json
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
import torch
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks
from torch import nn

import mwnet

BATCHES = (
    "training goes in batches of a fixed size: a sample that is there twice is in two batches, one "
    "of weight two in a single one"
)
EXPECTED = {
    "check_sample_weight_equivalence_on_dense_data": BATCHES,
    "check_sample_weight_equivalence_on_sparse_data": BATCHES,
}


@parametrize_with_checks([mwnet.MWNetClassifier()], expected_failed_checks=lambda _: EXPECTED)
def test_scikit_learns_checks(estimator: Any, check: Any) -> None:
    check(estimator)


@pytest.fixture(scope="module")
def noisy() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """600 digits, their given labels with 30 % replaced, and which of them are wrong."""
    x, y = load_digits(return_X_y=True)
    rng = np.random.default_rng(0)
    given = y.copy()
    chosen = rng.random(len(y)) < 0.3
    given[chosen] = rng.integers(0, 10, chosen.sum())
    return x[:600], given[:600], (given != y)[:600]


def small(**changes: Any) -> mwnet.MWNetClassifier:
    return mwnet.MWNetClassifier(**{"epochs": 6, "model_options": {"width": 32}, **changes})


def test_wrong_labels_are_found(noisy: tuple) -> None:
    x, given, wrong = noisy
    issues = mwnet.find_label_issues(x, given, estimator=small(epochs=20))
    assert list(issues.columns) == [
        "is_label_issue", "label_quality", "given_label", "predicted_label", "weight", "loss",
    ]  # fmt: skip
    assert issues["label_quality"].is_monotonic_increasing
    assert sorted(issues.index) == list(range(600))
    auc = mwnet.metrics.roc_auc(wrong, issues["label_quality"].sort_index())
    assert auc is not None
    assert auc > 0.95
    assert issues["label_quality"].between(0, 1).all()


def test_index_and_labels_come_back_as_they_were_given(noisy: tuple) -> None:
    x, given, _ = noisy
    names = [f"row {i}" for i in range(len(x))]
    kinds: list[Any] = [
        given,
        given.astype(np.uint8),
        np.array(list("abcdefghij"))[given],
        pd.Series(np.array(list("abcdefghij"), dtype=object)[given], index=names),
        pd.Categorical.from_codes(given, list("abcdefghij")),
        [("digit", int(label)) for label in given],
        (given > 4).tolist(),
        [("one", 2) if label > 4 else "other" for label in given],
    ]
    for labels in kinds:
        fitted = small(epochs=1).fit(pd.DataFrame(x, index=names), labels)
        assert list(fitted.label_issues_.index) == names
        assert fitted.label_issues_["given_label"].tolist() == list(labels)
        assert set(fitted.predict(pd.DataFrame(x))) <= set(labels)
        kind = {type(label) for label in fitted.label_issues_["given_label"].tolist()}
        assert {type(label) for label in fitted.classes_.tolist()} == kind


def test_tables_of_numbers_are_all_the_same(noisy: tuple) -> None:
    x, given, _ = noisy
    wanted = small().fit(x, given).predict_proba(x)
    frame = pd.DataFrame(x, columns=[f"pixel {i}" for i in range(64)])
    for kind in (frame, csr_array(x), x.tolist(), x.astype(np.int64)):
        fitted = small().fit(kind, given)
        np.testing.assert_array_equal(fitted.predict_proba(kind), wanted)
    assert list(small(epochs=1).fit(frame, given).feature_names_in_) == list(frame.columns)
    images = small().fit(x.reshape(-1, 8, 8), given)
    assert images.predict_proba(x[:3].reshape(-1, 8, 8)).shape == (3, 10)


def test_inside_scikit_learn_and_cleanlab(noisy: tuple, tmp_path: Path) -> None:
    x, given, _ = noisy
    pipeline = make_pipeline(StandardScaler(), small(epochs=2))
    search = GridSearchCV(pipeline, {"mwnetclassifier__lr": [0.01, 0.05]}, cv=2).fit(x, given)
    assert search.best_params_["mwnetclassifier__lr"] in (0.01, 0.05)
    probabilities = cross_val_predict(small(epochs=2), x, given, cv=2, method="predict_proba")
    assert probabilities.shape == (600, 10)
    fitted = clone(small(epochs=2, lr=0.02)).fit(x, given)
    assert fitted.get_params()["lr"] == 0.02
    joblib.dump(fitted, tmp_path / "fitted.joblib")
    again = joblib.load(tmp_path / "fitted.joblib")
    np.testing.assert_array_equal(again.predict_proba(x), fitted.predict_proba(x))


def test_inside_clean_learning(noisy: tuple) -> None:
    classification = pytest.importorskip("cleanlab.classification")
    x, given, wrong = noisy
    wrapper = classification.CleanLearning(
        small(epochs=10), cv_n_folds=2, find_label_issues_kwargs={"n_jobs": 1}
    )
    wrapper.fit(x, given)
    auc = mwnet.metrics.roc_auc(wrong, wrapper.get_label_issues()["label_quality"])
    assert auc is not None
    assert auc > 0.9


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


def perceptron(num_classes: int, in_channels: int, image_size: Any) -> nn.Module:
    return nn.Sequential(
        nn.Flatten(), nn.Linear(in_channels, 16), nn.Tanh(), nn.Linear(16, num_classes)
    )


def test_a_network_of_ones_own(noisy: tuple, tmp_path: Path) -> None:
    x, given, _ = noisy
    fitted = small(model=perceptron, model_options=None).fit(x, given)
    assert isinstance(fitted.network_[2], nn.Tanh)
    fitted.save(tmp_path / "own")
    with pytest.raises(ValueError, match="`model`"):
        mwnet.load(tmp_path / "own")
    again = mwnet.load(tmp_path / "own", model=perceptron)
    np.testing.assert_array_equal(again.predict_proba(x), fitted.predict_proba(x))


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


def test_samples_of_weight_zero_are_left_out_and_scored(noisy: tuple) -> None:
    x, given, _ = noisy
    weight = np.ones(600)
    weight[500:] = 0
    other = given.copy()
    other[500:] = (other[500:] + 1) % 10
    fitted = small().fit(x, given, sample_weight=weight)
    changed = small().fit(x, other, sample_weight=weight)
    np.testing.assert_array_equal(fitted.predict_proba(x), changed.predict_proba(x))
    assert len(fitted.label_issues_) == 600
    alone = small().fit(x[:500], given[:500])
    np.testing.assert_array_equal(fitted.predict_proba(x), alone.predict_proba(x))


@pytest.mark.parametrize("method", ["mwnet", "erm", "cmw-net", "co-teaching"])
def test_equal_weights_are_no_weights(noisy: tuple, method: str) -> None:
    x, given, _ = noisy
    plain = small(method=method).fit(x, given).predict_proba(x)
    weighted = small(method=method).fit(x, given, sample_weight=np.full(600, 3.0))
    np.testing.assert_array_equal(plain, weighted.predict_proba(x))


@pytest.mark.parametrize("method", ["mwnet", "erm", "cmw-net"])
def test_high_weights_count_more(noisy: tuple, method: str) -> None:
    """The same samples with two contradicting labels each: the heavier label wins."""
    x, given, _ = noisy
    twice, labels = np.concatenate([x, x]), np.concatenate([given, (given + 1) % 10])
    weight = np.r_[np.full(600, 0.1), np.full(600, 1.0)]
    # A held-out meta set says that both are as good; without a weight net that moves it has no say.
    fitted = small(method=method, epochs=20, weight_net_lr=0.0)
    predicted = fitted.fit(twice, labels, sample_weight=weight).predict(x)
    assert (predicted == (given + 1) % 10).mean() > 0.8


def test_methods_that_cannot_weight_say_so(noisy: tuple) -> None:
    x, given, _ = noisy
    weight = np.linspace(0.5, 1, 600)
    with pytest.raises(ValueError, match=r"`sample_weight`.*mwnet"):
        small(method="co-teaching").fit(x, given, sample_weight=weight)
    with pytest.raises(ValueError, match="non-zero"):
        small().fit(x, given, sample_weight=np.zeros(600))
    with pytest.raises(ValueError, match="from 0"):
        small().fit(x, given, sample_weight=weight - 0.7)


def test_a_clean_meta_set_is_used_as_it_is(noisy: tuple) -> None:
    x, given, _ = noisy
    rest, truth = (part[600:700] for part in load_digits(return_X_y=True))
    fitted = small(meta_loss="ce").fit(x, given, rest, truth)
    assert len(fitted.label_issues_) == 600
    other = small(meta_loss="ce").fit(x, given, rest, (truth + 1) % 10)
    assert not np.array_equal(fitted.sample_weight_, other.sample_weight_)
    small(method="glc", epochs=2).fit(x, given, rest, truth)


@pytest.mark.parametrize(
    ("changes", "fit", "sentence"),
    [
        ({"method": "mwnte"}, {}, "did you mean mwnet"),
        ({"model": "mpl2"}, {}, "did you mean mlp2"),
        ({"model_options": {"depht": 2}}, {}, r"`model\.depht`"),
        ({"lr": -1.0}, {}, "`lr` got -1.0"),
        ({"meta_size": 10_000}, {}, "`meta_size`"),
        ({"method": "glc"}, {}, "`X_meta` and `y_meta`"),
        ({"random_state": -1}, {}, "`random_state`"),
        ({"model": 3}, {}, "`model` must be a name"),
        ({"meta_loss": "elr"}, {}, "has a memory"),
        ({}, {"y_meta": [1]}, "go together"),
        ({}, {"X_meta": np.zeros((2, 64)), "y_meta": [1, 77]}, "class 77"),
        ({}, {"X_meta": np.zeros((2, 64)), "y_meta": [1]}, "`y_meta` 1"),
        ({"device": "tpu"}, {}, "`device='tpu'`"),
    ],
)
def test_one_sentence_for_what_is_wrong(
    noisy: tuple, changes: dict, fit: dict, sentence: str
) -> None:
    x, given, _ = noisy
    with pytest.raises(ValueError, match=sentence) as caught:
        small(**changes).fit(x, given, **fit)
    assert "--" not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("label", [None, float("nan"), pd.NA])
def test_a_missing_label_is_named(noisy: tuple, label: Any) -> None:
    x, given, _ = noisy
    labels = given.astype(object)
    labels[7] = label
    with pytest.raises(ValueError, match="sample 7 is missing"):
        small().fit(x, labels)


def test_nothing_of_the_process_changes(noisy: tuple, capsys: pytest.CaptureFixture[str]) -> None:
    x, given, _ = noisy
    before = torch.get_rng_state(), np.random.get_state()[1].copy(), torch.get_num_threads()  # noqa: NPY002
    mwnet.find_label_issues(x, given, estimator=small(epochs=2, random_state=None))
    after = torch.get_rng_state(), np.random.get_state()[1], torch.get_num_threads()  # noqa: NPY002
    assert torch.equal(before[0], after[0])
    np.testing.assert_array_equal(before[1], after[1])
    assert before[2] == after[2]
    assert capsys.readouterr().out == ""


def nothing(**sizes: Any) -> None:
    return None


def five_logits(num_classes: int, in_channels: int, image_size: Any) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(in_channels, 5))


def wide(num_classes: int, in_channels: int, image_size: Any, width: int = 5) -> nn.Module:
    return nn.Sequential(
        nn.Flatten(), nn.Linear(in_channels, width), nn.Tanh(), nn.Linear(width, num_classes)
    )


def test_a_network_of_ones_own_is_checked(noisy: tuple, tmp_path: Path) -> None:
    x, given, _ = noisy
    with pytest.raises(ValueError, match=r"must build a torch\.nn\.Module"):
        mwnet.MWNetClassifier(model=nothing).fit(x, given)
    with pytest.raises(ValueError, match=r"logits of shape \(2, 10\), got \(2, 5\)"):
        mwnet.MWNetClassifier(model=five_logits).fit(x, given)
    fitted = small(model=wide, model_options={"width": 3}).fit(x, given)
    assert fitted.network_[1].out_features == 3
    fitted.save(tmp_path / "wide")
    again = mwnet.load(tmp_path / "wide", model=wide)
    np.testing.assert_array_equal(again.predict_proba(x), fitted.predict_proba(x))


def test_a_fit_that_fails_leaves_no_half_fitted_classifier(noisy: tuple) -> None:
    x, given, _ = noisy
    fitted = small(epochs=1).fit(x, given)
    with pytest.raises(ValueError, match="`lr`"):
        fitted.set_params(lr=-1.0).fit(x, given.astype(str))
    with pytest.raises(NotFittedError):
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
        for key in whole:
            for damaged in ({k: v for k, v in whole.items() if k != key}, {**whole, key: 7}):
                (tmp_path / name).write_text(json.dumps(damaged))
                harmless = key in ("n_features_in", "engine", "image_size")
                if harmless and key in damaged:  # a number is what they may be
                    continue
                with pytest.raises(ValueError, match=r"classifier|model"):
                    mwnet.load(tmp_path)
        (tmp_path / name).write_text(json.dumps(whole))


def test_clean_samples_of_another_type_are_not_cut_to_whole_numbers(noisy: tuple) -> None:
    x, given, _ = noisy
    rest, truth = (part[600:700] for part in load_digits(return_X_y=True))
    pixels = x.astype(np.uint8)
    got = small(epochs=1).fit(pixels, given, rest + 0.75, truth).sample_weight_
    wanted = small(epochs=1).fit(pixels.astype(np.float32), given, rest + 0.75, truth)
    np.testing.assert_array_equal(got, wanted.sample_weight_)
