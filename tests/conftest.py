"""Fixtures: tiny problems on one thread, without network."""

import importlib.util
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from mwnet.bilevel import forward_engine

OFFLINE = Path(__file__).parent / "offline"

if TYPE_CHECKING:
    from playwright.sync_api import Browser


def pytest_configure() -> None:
    """Take the network from this process and from those that it starts."""
    others = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    if str(OFFLINE) not in others:
        os.environ["PYTHONPATH"] = os.pathsep.join([str(OFFLINE), *filter(None, others)])
    spec = importlib.util.spec_from_file_location("offline", OFFLINE / "sitecustomize.py")
    assert spec is not None
    assert spec.loader is not None
    spec.loader.exec_module(importlib.util.module_from_spec(spec))


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Features of photos are kept in a folder of the suite, never in the user's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MWNET_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def chromium() -> Iterator["Browser"]:
    """A browser for the review page."""
    playwright = pytest.importorskip("playwright.sync_api", reason="there is no playwright")
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
    if found is None:
        pytest.skip("there is no Chromium: apt-get install chromium")
    with playwright.sync_playwright() as session:
        browser = session.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def noisy() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """600 digits, their given labels with 30 % replaced, and which of them are wrong."""
    x, y = load_digits(return_X_y=True)
    rng = np.random.default_rng(0)
    given = y.copy()
    chosen = rng.random(len(y)) < 0.3
    given[chosen] = rng.integers(0, 10, chosen.sum())
    return x[:600], given[:600], (given != y)[:600]


@pytest.fixture
def without_ghost(monkeypatch: pytest.MonkeyPatch) -> None:
    """The automatic choice as if there were no ghost engine, so that it has to look at forward."""
    monkeypatch.setattr("mwnet.bilevel.choice.FAST", {"forward": forward_engine})
