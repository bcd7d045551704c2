"""The examples in docstrings: every public name and every entry of a registry has one that runs."""

import doctest
import importlib
import inspect
from functools import partial
from types import ModuleType
from typing import Any

import pytest

import mwnet
from mwnet import noise
from mwnet.losses import STATEFUL

ENTRIES = {
    f"{registry}-{name}": entry
    for registry, entries in {
        "LOSSES": mwnet.LOSSES,
        "STATEFUL": STATEFUL,
        "MODELS": mwnet.MODELS,
        "NOISES": mwnet.NOISES,
    }.items()
    for name, entry in entries.items()
}
"""A method takes dozens of lines to build, so METHODS is no part of this: its package, the base of
all methods and Meta-Weight-Net have an example."""

HOMES = {"Run": "mwnet.library.loading"}
"""Where the example of a public name stands, if neither in its docstring nor in its module's."""

OTHERS = (
    "mwnet.config.words",
    "mwnet.core.commands",
    "mwnet.core.plain",
    "mwnet.data.verdicts",
    "mwnet.methods.base",
    "mwnet.methods.mwnet",
)


def called(entry: Any) -> Any:
    """The function or class of an entry, without the arguments that are bound to it."""
    return called(entry.func) if isinstance(entry, partial) else entry


def documented(name: str) -> Any:
    """What has the example of a public name: itself, or a module."""
    value = getattr(mwnet, name)
    if name in HOMES or isinstance(value, dict):
        return importlib.import_module(HOMES.get(name, mwnet._HOMES[name]))
    return value


def module_of(value: Any) -> str:
    module = inspect.getmodule(value)
    assert module is not None
    return module.__name__


def wanted(value: Any) -> int:
    """How many examples of a docstring state what comes out; those of a module in all of them."""
    finder = doctest.DocTestFinder(recurse=isinstance(value, ModuleType))
    return sum(bool(example.want) for test in finder.find(value) for example in test.examples)


MODULES = sorted(
    {
        *map(module_of, map(called, ENTRIES.values())),
        *map(module_of, map(documented, mwnet.__all__)),
        *(module_of(getattr(noise, name)) for name in noise.__all__ if callable(vars(noise)[name])),
        *OTHERS,
    }
)


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings(name: str) -> None:
    results = doctest.testmod(importlib.import_module(name))
    assert results.attempted
    assert not results.failed


@pytest.mark.parametrize("name", ENTRIES)
def test_every_entry_of_a_registry_has_an_example(name: str) -> None:
    entry = called(ENTRIES[name])
    assert module_of(entry) in MODULES
    assert wanted(entry)


@pytest.mark.parametrize("name", mwnet.__all__)
def test_every_public_name_has_an_example(name: str) -> None:
    assert wanted(documented(name))
