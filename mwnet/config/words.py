"""Write what a run refuses in the words of the scikit-learn estimator."""

import re
from collections.abc import Collection, Iterator
from contextlib import contextmanager

from mwnet.config.schema import Config
from mwnet.core.errors import UserError, WrongType, first_line

OTHER_WORDS = {
    "seed": "random_state",
    "meta_noisy": "the meta labels are the given, noisy ones unless there is `X_meta`",
    "validation_size": "no samples are kept for validation",
    "train_size": "all samples are trained on but those of the meta set",
    "test_fraction": "no samples are kept for testing",
    "noise_rate_estimate": "the noise rate is estimated where a method needs it",
    "noise_rate_known": "the noise rate is estimated where a method needs it",
    "inner_steps": "there is one look-ahead step",
    "labels": "load an .npy with numpy and give `X` and `y`",
    "skip_bad": "take unreadable photos out of the folder",
    "columns": "`X` may be a DataFrame with the columns of your choice",
    "drop": "`X` may be a DataFrame with the columns of your choice",
}
"""Options of a run that are no parameters here: the parameter instead, or what holds without."""
OPTION = re.compile(r"`([a-z]\w*)(?:\.(\w+))?(=[^`]*)?`|--([a-z]+(?:-[a-z]+)*)")


@contextmanager
def own_words(own: Collection[str]) -> Iterator[None]:
    """Within the block messages name parameters of the estimator where they named a run's options.

    An option that is no parameter loses its backticks, and what holds instead stands at the end.

    Args:
        own: names of the parameters.
    """
    try:
        yield
    except UserError as error:
        text = in_own_words(str(error), own)
        if text == str(error):
            raise
        raise type(error)(text) from error


def in_own_words(message: str, own: Collection[str]) -> str:
    """Write the options of a run that a message names as parameters of the estimator.

    Args:
        message: with options in backticks.
        own: names of the parameters.

    Examples:
        >>> own = {"random_state", "model_options", "meta_size"}
        >>> in_own_words("`seed` got -1, `model.depht` is unknown", own)
        "`random_state` got -1, `model_options['depht']` is unknown"
        >>> in_own_words("lower `meta_size` or `validation_size`", own)
        'lower `meta_size` or validation_size (no samples are kept for validation)'
    """
    absent: dict[str, None] = {}

    def other(match: re.Match[str]) -> str:
        name, key, value = match[1] or match[4].replace("-", "_"), match[2], match[3] or ""
        if key is not None and f"{name}_options" in own:
            return f"`{name}_options[{key!r}]{value}`"
        if name not in Config.model_fields:
            return match[0]
        instead = name if name in own else OTHER_WORDS.get(name, f"{name} is no option here")
        if instead in own:
            return f"`{instead}{value}`"
        absent[instead] = None
        return f"{name}{value}"

    text = OPTION.sub(other, message)
    return f"{text} ({'; '.join(absent)})" if absent else text


@contextmanager
def naming(argument: str) -> Iterator[None]:
    """Within the block scikit-learn's refusals are one sentence that names the argument.

    Those about names of features stay as they are: its checks of an estimator read every line.
    """
    try:
        yield
    except UserError:
        raise
    except (ValueError, TypeError) as error:
        text = first_line(error).rstrip(":")
        if "feature names" in text.lower():
            raise
        if text.startswith("Expected 2D array"):
            text += ". Reshape your data to (n, features), or to (n, h, w) for images"
        if text.startswith(f"{argument[0]} "):
            text = (argument if argument == "X" else f"`{argument}`") + text[1:]
        else:
            text = f"`{argument}`: {text}"
        raise (WrongType if isinstance(error, TypeError) else UserError)(text) from error
