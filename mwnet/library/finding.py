"""The list of labels that are probably wrong, in one call."""

import logging
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sklearn.base import clone

from mwnet.config.words import in_own_words, own_words
from mwnet.core.errors import UserError, WrongType
from mwnet.core.formats import dataset_of
from mwnet.data.corrections import review_of
from mwnet.data.load import load as load_data
from mwnet.library.estimator import CORRECTING, MWNetClassifier
from mwnet.methods import METHODS

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger(__name__)


def find_label_issues(
    X: Any,  # noqa: N803
    y: Any = None,
    *,
    X_meta: Any = None,  # noqa: N803
    y_meta: Any = None,
    sample_weight: Any = None,
    estimator: MWNetClassifier | None = None,
    label_column: str | None = None,
    corrections: Any = None,
    unsure: str = "leave-out",
) -> "pd.DataFrame":
    """Train on samples and their labels, and list the labels with the most suspect first.

    Args:
        X: samples, see ``fit``; or the path of a table, an ``.npz`` or a folder of class folders of
            photos, with the labels in it.
        y: ``(n,)`` given labels; None where ``X`` is a path.
        X_meta: clean samples for the meta set, or None.
        y_meta: their labels.
        sample_weight: ``(n,)`` weights, or None.
        estimator: what is trained, a copy of it; None for ``MWNetClassifier()``.
        label_column: label column of a table that ``X`` is the path of; None for a column called
            label, target, class or y.
        corrections: what a reviewer said about the labels, see ``fit``; ``id`` is the index of the
            list that this function returns.
        unsure: "leave-out" or "stay", see ``fit``.

    Returns:
        One row a sample with cleanlab's columns ``is_label_issue``, ``label_quality`` (in [0, 1],
        low = suspect), ``given_label`` and ``predicted_label``; then ``weight``, ``loss``,
        ``margin`` and ``mean_margin`` (nats), ``wrong_share`` and ``forgotten``; see ``Scored``.
        With corrections ``verdict`` too, empty where nobody has looked.
        The index is that of ``X`` if it is a DataFrame, the file names of photos in a folder, else
        the position of the sample.

    Raises:
        ValueError: arguments that do not fit.

    Examples:
        >>> from sklearn.datasets import load_digits
        >>> import mwnet
        >>> X, y = load_digits(return_X_y=True)
        >>> issues = mwnet.find_label_issues(X, y, estimator=mwnet.MWNetClassifier(epochs=3))
        >>> issues.columns[1]
        'label_quality'
    """
    if estimator is not None and not isinstance(estimator, MWNetClassifier):
        raise WrongType(f"`estimator` must be an MWNetClassifier or None, got {estimator!r}")
    fitted: Any = clone(MWNetClassifier() if estimator is None else estimator)
    if isinstance(X, (str, os.PathLike)):
        others = {"y": y, "X_meta": X_meta, "y_meta": y_meta, "sample_weight": sample_weight}
        for name, value in others.items():
            if value is not None:
                raise UserError(f"`X` is a path, whose labels are with it: leave `{name}` out")
        path = Path(X)
        own = fitted.get_params(deep=False)
        wanted = METHODS.get(own["method"]) if isinstance(own["method"], str) else None
        if wanted is not None and wanted.meta == "clean" and corrections is None:
            raise UserError(
                f"`method={own['method']!r}` learns from clean samples, and a path brings none: "
                "read the data yourself and give `X`, `y`, `X_meta` and `y_meta`, or take another "
                "method"
            )
        with own_words({*own, "label_column", *CORRECTING}):
            review = None if corrections is None else review_of(corrections)
            kind = dataset_of(path)
            if label_column is not None and kind != "table":
                raise UserError(f"`label_column` is for tables, not for {kind}")
            source = load_data(kind, path=path, label_column=label_column)
        for note in source.notes:
            log.warning("%s", in_own_words(note, own))
        fitted._fit_source(replace(source, review=review), unsure)
    elif label_column is not None:
        raise UserError("`label_column` is for a table that `X` is the path of: give `y`")
    else:
        fitted.fit(X, y, X_meta, y_meta, sample_weight, corrections=corrections, unsure=unsure)
    return fitted.label_issues_.sort_values("label_quality", kind="stable")
