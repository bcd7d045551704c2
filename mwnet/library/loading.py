"""Open what was saved: a run folder, or a classifier."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from mwnet.core.arguments import location
from mwnet.core.errors import UserError, first_line, reason
from mwnet.core.plain import restored
from mwnet.core.sealed import check_sealed
from mwnet.data.hashable import label_array
from mwnet.library.estimator import CLASSIFIER, FORMAT, MWNetClassifier
from mwnet.runs.folder import MARGINS, RunFolder
from mwnet.runs.issues import issue_table
from mwnet.runs.model import TrainedModel, load_model
from mwnet.runs.opened import Run


def load(path: str | Path, model: Callable[..., nn.Module] | None = None) -> Any:
    """Open a run folder, or a classifier that was saved. Nothing in it is executed.

    Args:
        path: of the folder.
        model: builds the network, for a classifier whose network was of your own making.

    Returns:
        A ``Run``, or a fitted ``MWNetClassifier``.

    Raises:
        ValueError: there is neither, or it is damaged.

    Examples:
        >>> import tempfile
        >>> from sklearn.datasets import load_digits
        >>> import mwnet
        >>> X, y = load_digits(return_X_y=True)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     mwnet.MWNetClassifier(epochs=1).fit(X, y).save(folder)
        ...     mwnet.load(folder).predict(X).shape
        (1797,)

        A run folder gives a ``Run``:

        >>> from mwnet.config.checks import validate
        >>> from mwnet.runs.run import run
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     options = {"dataset": "digits", "epochs": 1, "out": f"{folder}/run"}
        ...     summary = run(validate(options))
        ...     opened = mwnet.load(f"{folder}/run")
        ...     opened.summary == summary, opened.predict_proba(X[:2].reshape(2, 8, 8)).shape
        (True, (2, 10))
    """
    folder = location(path, "path")
    if not (model is None or callable(model)):
        raise UserError(f"`model` must be a function that builds a network, got {model!r}")
    if (folder / CLASSIFIER).is_file():
        return load_classifier(folder, model)
    if not folder.is_dir():
        raise UserError(f"there is no folder {folder}")
    if not RunFolder(folder).has_config():
        raise UserError(f"{folder} holds neither a run nor a saved classifier")
    if not RunFolder(folder).finished():
        raise UserError(f"the run in {folder} is not finished: mwnet resume {folder} continues it")
    return Run(folder)


def load_classifier(folder: Path, model: Callable[..., nn.Module] | None = None) -> MWNetClassifier:
    """Read a classifier that ``save`` has written; see ``load``."""
    try:
        found = json.loads((folder / CLASSIFIER).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{folder} holds no readable classifier: {reason(error)}") from None
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        raise UserError(f"{folder / CLASSIFIER} is no classifier of this version ({FORMAT})")
    check_sealed(folder / CLASSIFIER, found)
    try:
        return _classifier(found, load_model(folder, model), model)
    except UserError:
        raise
    except Exception as error:  # whatever a damaged description leads to
        raise UserError(f"{folder} holds a damaged classifier: {first_line(error)}") from None


def _classifier(
    found: dict[str, Any], trained: TrainedModel, model: Callable[..., nn.Module] | None
) -> MWNetClassifier:
    import pandas as pd

    parameters = {name: restored(value) for name, value in found["parameters"].items()}
    own = {} if model is None else {"model": model}
    fitted: Any = MWNetClassifier(**{**parameters, **own})
    labels = [restored(label) for label in found["classes"]]
    fitted.classes_ = label_array(labels, found["classes_dtype"])
    fitted.n_features_in_ = found["n_features_in"]
    if found["feature_names_in"] is not None:
        fitted.feature_names_in_ = np.array(list(found["feature_names_in"]), dtype=object)
    fitted.engine_, fitted.model_ = found["engine"], trained
    fitted.noise_estimate_ = found["noise_estimate"]
    if not isinstance(fitted.noise_estimate_, dict | None):
        raise TypeError(f"the noise estimate is {fitted.noise_estimate_!r}")
    issues = found["issues"]
    fitted._codes = np.array(issues["given"], dtype=np.int64)
    fitted._predicted = np.array(issues["predicted"], dtype=np.int64)
    labels_of_rows = [restored(label) for label in issues["index"]]
    names = [restored(name) for name in issues["index_names"]]
    index = (
        pd.MultiIndex.from_tuples(labels_of_rows, names=names)
        if len(names) > 1
        else pd.Index(labels_of_rows, name=names[0])
    )
    fitted.label_issues_ = issue_table(
        is_issue=np.array(issues["is_label_issue"]),
        quality=np.array(issues["label_quality"]),
        given=fitted.classes_[fitted._codes],
        predicted=fitted.classes_[fitted._predicted],
        weight=np.array(issues["weight"]),
        loss=np.array(issues["loss"]),
        margins={name: np.array(issues[name]) for name in MARGINS},
        verdict=issues.get("verdict"),
        index=index,
    )
    fitted.label_quality_ = fitted.label_issues_["label_quality"].to_numpy()
    fitted.sample_weight_ = fitted.label_issues_["weight"].to_numpy()
    return fitted
