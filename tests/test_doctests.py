"""The examples in public docstrings."""

import doctest
import importlib

import pytest

MODULES = (
    "mwnet.estimator",
    "mwnet.loading",
    "mwnet.detection.metrics",
    "mwnet.core.commands",
    "mwnet.core.plain",
    "mwnet.models.tabm",
)


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings(name: str) -> None:
    results = doctest.testmod(importlib.import_module(name))
    assert results.attempted
    assert not results.failed
