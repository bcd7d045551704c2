"""What else finds wrong labels and learns in spite of them: cleanlab, Data-OOB, a kNN vote.

A rival gets features, given labels and a seed, and says what it thinks of each label and which
class each test sample has.
"""

import functools
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from types import ModuleType
from typing import Any

import numpy as np
from sklearn.cluster import KMeans
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.neighbors import KNeighborsClassifier, NearestNeighbors
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from mwnet.core.errors import UserError

FOLDS = 5
TREES = 200
NEIGHBOURS = 15

MODELS: dict[str, Callable[[], Any]] = {
    "logistic": lambda: make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=200)),
    "forest": lambda: RandomForestClassifier(TREES, min_samples_leaf=2, random_state=0),
    "boosting": lambda: HistGradientBoostingClassifier(max_iter=100),
}
"""Models that cleanlab is wrapped around."""


@dataclass(frozen=True)
class Said:
    """What a row says.

    Attributes:
        quality: ``(n,)`` of each training label, low = suspect.
        is_issue: ``(n,)`` whether it is called wrong, at the row's own threshold.
        predicted: ``(m,)`` classes of the test samples.
        collapse: of learnt weights, or None.
    """

    quality: np.ndarray
    is_issue: np.ndarray
    predicted: np.ndarray
    collapse: str | None = None


def cleanlab_around(
    model: str, x: np.ndarray, y: np.ndarray, x_test: np.ndarray, seed: int
) -> Said:
    """Run CleanLearning around a model with out-of-sample predictions of five folds.

    The score is the self-confidence, the predicted probability of the given label. Where so much is
    dropped that the model cannot be trained on the rest, it is trained on everything.

    Args:
        model: of ``MODELS``.
        x: ``(n, d)`` features.
        y: ``(n,)`` given labels 0 to K - 1, each there at least once.
        x_test: ``(m, d)`` features.
        seed: of the folds.

    Raises:
        UserError: cleanlab is not installed.

    Source: Northcutt, Jiang and Chuang, JAIR 2021.
    """
    cleanlab = import_cleanlab()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of rare classes, and of models that did not converge
        probabilities = out_of_fold(MODELS[model], x, y, seed)
        cleaning = cleanlab.CleanLearning(MODELS[model](), find_label_issues_kwargs={"n_jobs": 1})
        issues = cleaning.find_label_issues(labels=y, pred_probs=probabilities)
        issue = issues["is_label_issue"].to_numpy(dtype=bool)
        try:
            cleaning.fit(x, y, label_issues=issues)
            predicted = cleaning.predict(x_test)
        except ValueError:
            predicted = MODELS[model]().fit(x, y).predict(x_test)
    quality = probabilities[np.arange(len(y)), y]
    return Said(quality, issue, np.asarray(predicted))


def import_cleanlab() -> ModuleType:
    """Import cleanlab, which is an extra.

    Raises:
        UserError: it is not installed.
    """
    try:
        import cleanlab.classification  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise UserError(f"this row needs cleanlab ({error}): pip install 'mwnet[bench]'") from None
    return cleanlab.classification


def out_of_fold(make: Callable[[], Any], x: np.ndarray, y: np.ndarray, seed: int) -> np.ndarray:
    """Return ``(n, K)`` probabilities by models that did not see a sample; 0 for absent classes."""
    probabilities = np.zeros((len(y), int(y.max()) + 1))
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
    for seen, held_out in folds.split(x, y):
        fitted = make().fit(x[seen], y[seen])
        probabilities[np.ix_(held_out, fitted.classes_)] = fitted.predict_proba(x[held_out])
    return probabilities


def data_oob(x: np.ndarray, y: np.ndarray, x_test: np.ndarray, seed: int) -> Said:
    """Score labels by the share of out-of-bag votes for them; two clusters of it divide them.

    Source: Kwon and Zou, Data-OOB, ICML 2023.
    """
    forest = RandomForestClassifier(TREES, oob_score=True, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of rare classes
        forest.fit(x, y)
    votes = np.nan_to_num(np.asarray(forest.oob_decision_function_), nan=0.5)
    quality = votes[np.arange(len(y)), y]
    clusters: Any = KMeans(2, random_state=0).fit(quality[:, None])
    low = int(clusters.cluster_centers_[:, 0].argmin())
    return Said(quality, clusters.labels_ == low, forest.predict(x_test))


def knn_vote(x: np.ndarray, y: np.ndarray, x_test: np.ndarray, seed: int) -> Said:
    """Score labels by the share of the nearest others that have them; a minority is called wrong.

    Test samples get the vote of the training samples that are left.
    """
    scaler: Any = StandardScaler().fit(x)
    x, x_test = scaler.transform(x), scaler.transform(x_test)
    nearest = NearestNeighbors(n_neighbors=min(NEIGHBOURS, len(x) - 1)).fit(x)
    others: Any = nearest.kneighbors(return_distance=False)
    quality = (y[others] == y[:, None]).mean(1)
    issue = quality < 0.5
    kept = ~issue if not issue.all() else issue
    voters = KNeighborsClassifier(min(NEIGHBOURS, int(kept.sum()))).fit(x[kept], y[kept])
    return Said(quality, issue, voters.predict(x_test))


RIVALS: dict[str, Callable[[np.ndarray, np.ndarray, np.ndarray, int], Said]] = {
    **{f"cleanlab-{name}": functools.partial(cleanlab_around, name) for name in MODELS},
    "data-oob": data_oob,
    "knn-vote": knn_vote,
}


def versions(command: str) -> dict[str, str]:
    """Return versions that a rival's numbers depend on beside those of every run.

    Raises:
        UserError: a package that it needs is not installed.
    """
    if not command.startswith("cleanlab-"):
        return {}
    import_cleanlab()
    return {"cleanlab": version("cleanlab")}
