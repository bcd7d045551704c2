"""Let torch's optimizers work without its compiler, whose import takes a second.

Every step of a torch optimizer imports ``torch._dynamo`` to tell the compiler that it is no part of
a graph. Where nothing is compiled, that is all the compiler is asked for.
"""

import importlib
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

import torch

NAME = "torch._dynamo"


class _Deferred(ModuleType):
    """Answers what optimizers ask for; anything else imports the compiler."""

    @staticmethod
    def graph_break() -> None:
        """Do nothing outside a graph."""

    @staticmethod
    def disable(fn: Callable, recursive: bool = True, *, wrapping: bool = True) -> Callable:
        """Return the function as it is."""
        return fn

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name != "__path__":  # which an import of a part asks for
            raise AttributeError(name)
        return getattr(_import(), name)


def defer() -> None:
    """Put the import of torch's compiler off until something is compiled.

    It is for commands, which own their process. A compiler that is imported already stays.
    """
    if NAME not in sys.modules:
        sys.modules[NAME] = _Deferred(NAME)
        torch._dynamo = sys.modules[NAME]  # pyright: ignore[reportAttributeAccessIssue]


def is_imported() -> bool:
    """Say whether torch's compiler is imported; before, nothing can be compiled."""
    found = sys.modules.get(NAME)
    return found is not None and not isinstance(found, _Deferred)


def _import() -> ModuleType:
    if isinstance(sys.modules.get(NAME), _Deferred):
        del sys.modules[NAME]
        del torch._dynamo
    return importlib.import_module(NAME)
