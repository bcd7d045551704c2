"""What can go wrong through no fault of the program, and what its exit code is."""

import difflib
from collections.abc import Iterable, Mapping
from typing import TypeVar

T = TypeVar("T")


class UserError(ValueError):
    """Something the user can mend. Its message is one sentence: what came, what would be right."""

    exit_code = 2

    def __init__(self, message: object = "") -> None:
        # A name out of the data may hold line breaks.
        super().__init__(" ".join(str(message).splitlines()))


class WrongType(UserError, TypeError):
    """An argument of another type, where a caller may also look for a TypeError."""


class NonFiniteLoss(UserError):
    """A loss became NaN or infinite; the message names epoch, step and the last good checkpoint."""


class Interrupted(Exception):
    """The run was asked to stop (Ctrl-C, SIGTERM) and has written a checkpoint."""

    def __init__(self, message: str, signum: int) -> None:
        super().__init__(message)
        self.exit_code = 128 + signum


def nearest(name: str, known: Iterable[str]) -> str:
    """A clause that helps to correct a name: the nearest match if any, and a short list of all."""
    known = sorted(known)
    match = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    hints = [f"did you mean {match[0]}?"] if match else []
    if len(known) <= 40:
        hints.append(f"known: {', '.join(known)}")
    return " ".join(hints) or "see mwnet train --help"


def first_line(error: Exception) -> str:
    """What a library's exception says, without its paragraphs of advice."""
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__


def lookup(registry: Mapping[str, T], name: str, kind: str) -> T:
    """The entry of a registry, or a ValueError that names the nearest match and all known names."""
    if name not in registry:
        raise ValueError(f"unknown {kind} '{name}' ({nearest(name, registry)})")
    return registry[name]


def reason(error: Exception) -> str:
    """Why an operation failed, in a few words."""
    return getattr(error, "strerror", None) or first_line(error)
