"""Let torch differentiate and step without its compiler, whose import takes more than a second.

Every step of a torch optimizer imports ``torch._dynamo`` to tell the compiler that it is no part of
a graph. Every gradient with given slopes imports ``torch.fx.experimental.symbolic_shapes``, and
sympy with it, to compare two shapes. Where nothing is compiled, that is all they are asked for.
"""

import importlib
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

DYNAMO = "torch._dynamo"
SHAPES = "torch.fx.experimental.symbolic_shapes"


class _Deferred(ModuleType):
    """Answers what is asked for without compiling; anything else imports the module."""

    def __getattr__(self, name: str) -> Any:
        # An import of a part of a package asks for its path.
        if name.startswith("__") and (name, self.__name__) != ("__path__", DYNAMO):
            raise AttributeError(name)
        return getattr(_import(self.__name__), name)


class _Dynamo(_Deferred):
    """What optimizers ask the compiler for."""

    @staticmethod
    def graph_break() -> None:
        """Do nothing outside a graph."""

    @staticmethod
    def disable(fn: Callable, recursive: bool = True, *, wrapping: bool = True) -> Callable:
        """Return the function as it is."""
        return fn


class _Shapes(_Deferred):
    """What gradients ask about shapes, which are known numbers where nothing is compiled."""

    @staticmethod
    def sym_eq(x: Any, y: Any) -> Any:
        """Say whether two shapes are equal."""
        if all(type(size) is int for size in (*x, *y)):
            return x == y
        return _import(SHAPES).sym_eq(x, y)

    @staticmethod
    def expect_true(a: Any, skip: int = 0) -> Any:
        """Return a known truth value."""
        return a if isinstance(a, bool) else _import(SHAPES).expect_true(a, skip)


def defer() -> None:
    """Put the import of torch's compiler off until something is compiled.

    It is for commands, which own their process. What is imported already stays.
    """
    for name, kind in ((DYNAMO, _Dynamo), (SHAPES, _Shapes)):
        if name not in sys.modules:
            deferred = sys.modules[name] = kind(name)
            setattr(_parent(name), name.rpartition(".")[2], deferred)


def is_imported() -> bool:
    """Say whether torch's compiler is imported; before, nothing can be compiled."""
    found = sys.modules.get(DYNAMO)
    return found is not None and not isinstance(found, _Deferred)


def _parent(name: str) -> ModuleType:
    return importlib.import_module(name.rpartition(".")[0])


def _import(name: str) -> ModuleType:
    if isinstance(sys.modules.get(name), _Deferred):
        del sys.modules[name]
        delattr(_parent(name), name.rpartition(".")[2])
    return importlib.import_module(name)
