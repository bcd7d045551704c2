"""What the classifier refuses: one sentence in the caller's words."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from estimators import small
from sklearn.exceptions import NotFittedError


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


def test_a_fit_that_fails_leaves_no_half_fitted_classifier(noisy: tuple) -> None:
    x, given, _ = noisy
    fitted = small(epochs=1).fit(x, given)
    with pytest.raises(ValueError, match="`lr`"):
        fitted.set_params(lr=-1.0).fit(x, given.astype(str))
    with pytest.raises(NotFittedError):
        fitted.predict(x)
