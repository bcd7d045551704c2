"""50,000 samples: what is not seen is not in the page."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

import mwnet

pytest.importorskip("playwright.sync_api", reason="there is no playwright")

from review_pages import cards, current, issues_of, listed, press, reading

if TYPE_CHECKING:
    from playwright.sync_api import Browser

N = 50_000


def test_50000_samples(chromium: "Browser", tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x = rng.integers(0, 255, (N, 8, 8)).astype(np.uint8)
    y = rng.integers(0, 10, N)
    wrong = rng.random(N) < 0.4
    given = np.where(wrong, (y + 1) % 10, y)
    file = mwnet.review(issues_of(given, y, wrong), x, tmp_path / "page.html", limit=N, umap=False)
    assert file.stat().st_size < 30e6
    with reading(chromium, file) as page:
        elements = "document.querySelectorAll('*').length"
        few = page.evaluate(elements)
        assert few < 3000
        page.select_option("#f-issue", "all")
        assert listed(page) == N
        press(page, "g", "End")
        assert len(cards(page)) < 60
        last = current(page)
        page.evaluate("document.getElementById('scroll').scrollTop /= 2")
        page.wait_for_timeout(200)
        assert last not in cards(page)
        assert 0 < len(cards(page)) < 60
        press(page, "k", "Home", "s")
        assert page.evaluate(elements) < few + 500
        assert (
            page.locator("#done-text").inner_text().endswith(f"of {wrong.sum():,} suspects decided")
        )
        page.reload()
        assert page.locator("#card-0 .state").inner_text().startswith("→")
