"""The review page in a browser: tables, texts, and a narrow window."""

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("playwright.sync_api", reason="there is no playwright")

from review_pages import (
    digits_page,
    listed,
    press,
    reading,
    table_page,
    texts_page,
)

if TYPE_CHECKING:
    from playwright.sync_api import Browser


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return digits_page(tmp_path_factory.mktemp("page") / "digits.html")


def test_a_table_shows_what_is_unusual(chromium: "Browser", tmp_path: Path) -> None:
    with reading(chromium, table_page(tmp_path / "t.html")) as page:
        first = page.locator("#card-0 tbody tr").first.inner_text()
        assert first.startswith("weight in kg")
        assert page.locator("#card-0 thead").inner_text().split() == ["here", "dog", "cat"]
        assert page.locator("#desk .beside table").count() == 2


def test_a_text_shows_the_words_for_each_class(chromium: "Browser", tmp_path: Path) -> None:
    with reading(chromium, texts_page(tmp_path / "t.html")) as page:
        card = page.locator("#card-0")
        assert {"good", "happy"} == set(card.locator("mark.for-suggested").all_inner_texts())
        assert page.locator("#desk .texts li").count() == 6


def test_it_fits_a_narrow_window(chromium: "Browser", file: Path) -> None:
    with reading(chromium, file, viewport={"width": 360, "height": 640}) as page:
        assert page.evaluate("document.documentElement.scrollWidth") == 360
        press(page, "s")
        assert page.locator("#done-text").inner_text() == "1 of 40 suspects decided"
        assert not page.locator("#f-text").is_visible()
        page.click("#tools-button")
        page.fill("#f-text", "19")
        page.click("#tools-button")
        assert listed(page) == 2
