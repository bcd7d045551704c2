"""The parameters of the classifier as the options of a run."""

import math
import numbers
import secrets
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from sklearn.utils import check_random_state

from mwnet.config.checks import validate
from mwnet.config.schema import Config
from mwnet.core.arguments import mapping
from mwnet.core.errors import UserError
from mwnet.data.corrections import Review
from mwnet.data.split import default_meta_size
from mwnet.methods import METHODS

if TYPE_CHECKING:
    from mwnet.library.estimator import MWNetClassifier

NOT_OPTIONS = frozenset({"model", "random_state"})
"""Parameters of the estimator that are not passed on as they are."""


def config_of(estimator: "MWNetClassifier", clean: bool, count: int, unsure: str) -> Config:
    """Make the options of a run of the parameters.

    Args:
        estimator: whose parameters.
        clean: whether there are clean meta samples of the caller.
        count: of samples with a weight above 0.
        unsure: what becomes of samples whose reviewer was unsure.
    """
    values = estimator.get_params(deep=False)
    options = {name: value for name, value in values.items() if name not in NOT_OPTIONS}
    for name, value in options.items():
        if isinstance(value, float) and not math.isfinite(value):
            raise UserError(f"`{name}` got {value}: input should be a finite number")
    for name in ("method_options", "model_options", "loss_options", "meta_loss_options"):
        options[name] = mapping(options[name], name)
    options["lr_milestones"] = _milestones(estimator.lr_milestones)
    if isinstance(estimator.model, str):
        options["model"] = estimator.model
    if estimator.method == "auto":
        options["method"] = "mwnet" if clean else "cross-fit"
    if estimator.meta_size is None and options["method"] != "cross-fit":
        options["meta_size"] = max(1, default_meta_size(count))  # also few samples need one
    seed = {"seed": _seed(estimator.random_state), "unsure": unsure}
    return validate({**options, **seed, "dataset": "memory", "meta_noisy": not clean})


def check_meta(estimator: "MWNetClassifier", x_meta: Any, review: Review | None) -> bool:
    """Refuse clean samples that the method does not look at, and a method without those.

    Returns:
        Whether the method takes clean samples alone.
    """
    wanted = METHODS.get(estimator.method) if isinstance(estimator.method, str) else None
    clean_only = wanted is not None and wanted.meta == "clean"
    if clean_only and x_meta is None and review is None:
        raise UserError(
            f"`method={estimator.method!r}` learns from clean samples: give `X_meta` and `y_meta`"
        )
    if wanted is not None and wanted.meta == "none" and x_meta is not None:
        takes = ", ".join(name for name, one in METHODS.items() if one.meta != "none")
        raise UserError(
            f"`method={estimator.method!r}` has no meta set: leave `X_meta` out, or take one of "
            f"{takes}"
        )
    return clean_only


def check_clean(estimator: "MWNetClassifier") -> None:
    """Refuse parameters that a clean meta set would leave without a meaning."""
    if estimator.meta_size is not None:
        raise UserError(
            f"`meta_size={estimator.meta_size!r}` is for a meta set that is held out of `X`, and "
            "`X_meta` is used as it is: leave one of them out"
        )
    if estimator.meta_source != "held-out":
        raise UserError(
            f"`meta_source={estimator.meta_source!r}` takes the meta set from `X`, and there is "
            "`X_meta`: leave one of them out"
        )


def _seed(random_state: Any) -> int:
    if random_state is None:
        return secrets.randbits(31)
    if isinstance(random_state, numbers.Integral):
        return int(random_state)
    try:
        return int(check_random_state(random_state).randint(2**31 - 1))
    except ValueError:
        raise UserError(
            "`random_state` must be a whole number from 0, a numpy.random.RandomState or None, got "
            f"{random_state!r}"
        ) from None


def _milestones(epochs: Any) -> list[Any]:
    if isinstance(epochs, (str, bytes, Mapping)) or not isinstance(epochs, Iterable):
        raise UserError(f"`lr_milestones` must be a list of epochs, got {epochs!r}")
    return list(epochs)
