"""Plain values that a user hands over, checked where they enter: one sentence for what is wrong."""

import math
import numbers
from collections.abc import Mapping
from os import PathLike, fspath
from pathlib import Path
from typing import Any, TypeVar

from mwnet.core.errors import UserError, nearest

T = TypeVar("T")


def entry(registry: Mapping[str, T], name: object, argument: str) -> T:
    """Look up what an argument names.

    Raises:
        UserError: an unknown name; the sentence has the nearest match and the known ones.
    """
    if not isinstance(name, str) or name not in registry:
        raise UserError(f"`{argument}` got unknown {name!r} ({nearest(str(name), registry)})")
    return registry[name]


def whole(value: object, argument: str) -> int:
    """Take any whole number, also one of numpy's, and refuse any other value."""
    if not isinstance(value, numbers.Integral) or isinstance(value, bool):
        raise UserError(f"`{argument}` must be a whole number, got {value!r}")
    return int(value)


def count(value: object, argument: str, least: int = 1) -> int:
    """Take a whole number from ``least`` on, and refuse any other value."""
    if not isinstance(value, numbers.Integral) or isinstance(value, bool) or value < least:
        raise UserError(f"`{argument}` must be a whole number from {least}, got {value!r}")
    return int(value)


def rate(value: Any, argument: str) -> float:
    """Take a finite number from 0 on, and refuse any other value."""
    try:
        real = isinstance(value, numbers.Real) and not isinstance(value, bool)
        number = float(value) if real else math.nan
    except OverflowError:
        number = math.inf
    if not 0 <= number < math.inf:
        raise UserError(f"`{argument}` must be a finite number from 0, got {value!r}")
    return number


def switch(value: object, argument: str) -> bool:
    """Take True or False, and refuse any other value, also one that is only true enough."""
    if not isinstance(value, bool):
        raise UserError(f"`{argument}` must be True or False, got {value!r}")
    return value


def location(value: object, argument: str) -> Path:
    """Take the path of a file or folder, and refuse any other value."""
    if not isinstance(value, (str, PathLike)) or isinstance(fspath(value), bytes):
        raise UserError(f"`{argument}` must be a path, got {value!r}")
    return Path(value)


def mapping(value: object, argument: str) -> dict[str, Any]:
    """Take a mapping as a dictionary, None as an empty one, and refuse any other value."""
    if value is None:
        return {}
    if not isinstance(value, Mapping) or not all(isinstance(name, str) for name in value):
        raise UserError(f"`{argument}` must be a dictionary of values by name, got {value!r}")
    return dict(value)
