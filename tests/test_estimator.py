"""The scikit-learn classifier: scikit-learn's own checks, samples and labels of all kinds."""

from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
import torch
from estimators import small
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

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


def test_wrong_labels_are_found(noisy: tuple) -> None:
    x, given, wrong = noisy
    issues = mwnet.find_label_issues(x, given, estimator=small(epochs=20))
    assert list(issues.columns) == [
        "is_label_issue", "label_quality", "given_label", "predicted_label", "weight", "loss",
        "margin", "mean_margin", "wrong_share", "forgotten",
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
    whole = x
    x = x[:, x.std(0) > 0]  # of a DataFrame constant columns are left out
    wanted = small().fit(x, given).predict_proba(x)
    frame = pd.DataFrame(x, columns=[f"pixel {i}" for i in range(x.shape[1])])
    for kind in (frame, csr_array(x), x.tolist(), x.astype(np.int64)):
        fitted = small().fit(kind, given)
        np.testing.assert_array_equal(fitted.predict_proba(kind), wanted)
    assert list(small(epochs=1).fit(frame, given).feature_names_in_) == list(frame.columns)
    images = small().fit(whole.reshape(-1, 8, 8), given)
    assert images.predict_proba(whole[:3].reshape(-1, 8, 8)).shape == (3, 10)


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


def test_nothing_of_the_process_changes(noisy: tuple, capsys: pytest.CaptureFixture[str]) -> None:
    x, given, _ = noisy
    before = torch.get_rng_state(), np.random.get_state()[1].copy(), torch.get_num_threads()  # noqa: NPY002
    mwnet.find_label_issues(x, given, estimator=small(epochs=2, random_state=None))
    after = torch.get_rng_state(), np.random.get_state()[1], torch.get_num_threads()  # noqa: NPY002
    assert torch.equal(before[0], after[0])
    np.testing.assert_array_equal(before[1], after[1])
    assert before[2] == after[2]
    assert capsys.readouterr().out == ""
