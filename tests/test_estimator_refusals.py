"""What the classifier refuses: one sentence in the caller's words."""

import inspect
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from estimators import small
from sklearn.exceptions import NotFittedError

import mwnet
from mwnet.config.schema import Config
from mwnet.config.words import OTHER_WORDS, in_own_words
from mwnet.core.errors import UserError


@pytest.mark.parametrize(
    ("changes", "fit", "sentence"),
    [
        ({"method": "mwnte"}, {}, "did you mean mwnet"),
        ({"model": "mpl2"}, {}, "did you mean mlp2"),
        ({"model_options": {"depht": 2}}, {}, r"`model_options\['depht'\]`"),
        ({"lr": -1.0}, {}, "`lr` got -1.0"),
        ({"meta_size": 10_000}, {}, "`meta_size`"),
        ({"method": "auto", "meta_size": 9}, {}, "`method='cross-fit'` holds none out"),
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


def test_the_name_of_a_column_is_no_label(noisy: tuple) -> None:
    with pytest.raises(ValueError, match=r"`y` is 'kind', not labels: .* X\['kind'\]"):
        small().fit(noisy[0], "kind")


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


WRONG: list[Any] = [
    None, "a", 3, [], {}, float("nan"), float("inf"), -1, b"x", [1], object(), {1: 2}, {"a": 3},
    ["a"], (1, 2), 1.5,
]  # fmt: skip
PARAMETERS = inspect.signature(mwnet.MWNetClassifier).parameters
FIT = {"X", "y", "X_meta", "y_meta", "sample_weight"}
X = np.random.default_rng(0).normal(size=(60, 4)).astype(np.float32)
Y = np.arange(60) % 3
NAMED = re.compile(r"`([A-Za-z]\w*)")


def tiny(**changes: Any) -> mwnet.MWNetClassifier:
    options = {"method": "mwnet", "epochs": 1, "device": "cpu", "model_options": {"width": 8}}
    return mwnet.MWNetClassifier(**{**options, **changes})


def refusal(fit: dict[str, Any] | None = None, **changes: Any) -> Exception | None:
    """What a fit raises."""
    try:
        tiny(**changes).fit(**{"X": X, "y": Y, **(fit or {})})
    except Exception as error:
        return error
    return None


def assert_one_sentence(error: Exception) -> None:
    """In the caller's words: each name in backticks is a parameter or an argument of ``fit``."""
    text = str(error)
    assert isinstance(error, UserError), repr(error)
    assert "\n" not in text
    assert "--" not in text
    assert set(NAMED.findall(text)) <= PARAMETERS.keys() | FIT, text


@pytest.mark.parametrize("name", PARAMETERS)
def test_wrong_values_of_a_parameter_are_one_sentence(name: str) -> None:
    refused = [error for value in WRONG if (error := refusal(**{name: value}))]
    assert len(refused) >= 5
    for error in refused:
        assert_one_sentence(error)
        assert name.replace("_", " ") in str(error).replace("_", " ")


@pytest.mark.parametrize("argument", ["X", "y", "X_meta", "y_meta", "sample_weight"])
def test_wrong_arguments_of_fit_are_one_sentence(argument: str) -> None:
    more: list[Any] = [
        [b"a", b"b", b"c"] * 20, np.array([b"a", b"b", b"c"] * 20), np.array([b"a", "b"] * 30, "O"),
        np.full((60, 4), "a"), np.full((60, 4), None), np.zeros((60, 2, 2, 2, 2)), [[1], [2, 3]],
        np.zeros((0, 4)), np.zeros((60, 4), complex), iter([1]), 10**30, np.linspace(0, 1, 60),
        [{}] * 60,
    ]  # fmt: skip
    arguments = {"X_meta": X, "y_meta": Y} if "meta" in argument else {}
    found = [refusal({**arguments, argument: value}) for value in WRONG + more]
    refused = [error for error in found if error]
    assert len(refused) >= 20
    for error in refused:
        assert_one_sentence(error)
        assert argument in NAMED.findall(str(error)) or str(error).startswith("X has")


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"method_options": 3}, "`method_options` must be a dictionary of values by name, got 3"),
        ({"lr_milestones": 3}, "`lr_milestones` must be a list of epochs, got 3"),
        ({"meta_size": 60}, r"`meta_size` or validation_size \(no samples are kept for validation"),
        ({"meta_size": 50}, "lower `meta_size`$"),
        ({"meta_source": "confident"}, "`epochs` above 1"),
        ({"meta_loss": "forward", "method": "mwnet"}, r"`meta_loss_options\['matrix'\]`"),
        ({"method": "erm", "meta_source": "confident", "epochs": 2}, "leave `meta_source` out"),
        ({"method": "reed-hard", "loss": "mae"}, "leave `loss` out"),
        ({"lr_schedule": "multistep"}, "`lr_milestones`"),
        ({"method": "elr", "method_options": {"lam": "a"}}, r"`method_options\['lam'\]`"),
    ],
)
def test_parameters_that_contradict_each_other_are_one_sentence(
    changes: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(UserError, match=sentence) as caught:
        tiny(**changes).fit(X, Y)
    assert_one_sentence(caught.value)


def test_every_option_of_a_run_is_a_parameter_or_put_otherwise() -> None:
    assert set(OTHER_WORDS) <= Config.model_fields.keys() - PARAMETERS.keys()
    for name in Config.model_fields:
        text = in_own_words(
            f"`{name}=3` is too high: lower `{name}`, or --{name.replace('_', '-')}", PARAMETERS
        )
        assert set(NAMED.findall(text)) <= PARAMETERS.keys() | FIT
        assert name in text or OTHER_WORDS[name] in PARAMETERS


@pytest.mark.parametrize("value", [*WRONG[1:], mwnet.MWNetClassifier])
def test_what_is_no_estimator_is_refused(value: Any) -> None:
    with pytest.raises(UserError, match="`estimator` must be an MWNetClassifier or None"):
        mwnet.find_label_issues(X, Y, estimator=value)


def test_a_path_must_be_one() -> None:
    fitted = tiny().fit(X, Y)
    for value in (None, 3, [], {}, b"x", float("nan")):
        for use in (fitted.save, mwnet.load):
            with pytest.raises(UserError, match="`path` must be a path, got"):
                use(value)
    with pytest.raises(UserError, match="`model` must be a function"):
        mwnet.load("nowhere", model="mlp2")  # pyright: ignore[reportArgumentType]


def test_what_clean_samples_leave_without_a_meaning_is_refused() -> None:
    with pytest.raises(UserError, match=r"`meta_size=10` .* `X_meta` .*: leave one of them out"):
        tiny(meta_size=10).fit(X, Y, X, Y)
    with pytest.raises(UserError, match=r"`meta_source='confident'` .* `X_meta`"):
        tiny(meta_source="confident", epochs=2).fit(X, Y, X, Y)
    tiny().fit(X, Y, X, Y)


def test_clean_samples_that_a_method_would_not_look_at_are_refused(noisy: tuple) -> None:
    x, y, _ = noisy
    with pytest.raises(ValueError, match="`method='erm'` has no meta set: leave `X_meta` out, or"):
        mwnet.MWNetClassifier(method="erm").fit(x, y, x[:9], y[:9])


def test_a_method_of_clean_samples_is_refused_for_a_path(tmp_path: Path) -> None:
    """Before anything is read: no option of ``find_label_issues`` could bring clean samples."""
    with pytest.raises(ValueError, match="`method='glc'` learns from clean samples, and a path"):
        mwnet.find_label_issues(tmp_path, estimator=mwnet.MWNetClassifier(method="glc"))


def test_weights_that_empty_a_class_are_named() -> None:
    with pytest.raises(UserError, match="`sample_weight` is 0 for every sample of the class 2: "):
        tiny().fit(X, Y, sample_weight=(Y != 2).astype(float))
    with pytest.raises(UserError, match="of the class 'a', 'c': "):
        tiny().fit(X, np.array(list("abc"))[Y], X, np.array(list("abc"))[Y], (Y == 1) * 1.0)
