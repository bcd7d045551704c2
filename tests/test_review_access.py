"""The review page for everybody: axe-core finds nothing, in light and dark, wide and narrow."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("playwright.sync_api", reason="there is no playwright")

from review_pages import digits_page, hostile_page, press, table_page, texts_page

axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="there is no axe-core")

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

PAGES = {"digits": digits_page, "table": table_page, "texts": texts_page, "names": hostile_page}


def violations(page: "Page") -> list[str]:
    """What axe-core finds wrong."""
    found: dict[str, Any] = axe.Axe().run(page).response
    assert len(found["passes"]) > 15
    return [
        f"{one['id']}: {node['html'][:200]}" for one in found["violations"] for node in one["nodes"]
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("kind", PAGES)
def test_axe_finds_nothing(chromium: "Browser", tmp_path: Path, kind: str, scheme: Any) -> None:
    file = PAGES[kind](tmp_path / "page.html")
    # The policy of the page forbids the script of axe as well.
    context = chromium.new_context(color_scheme=scheme, bypass_csp=True)
    page = context.new_page()
    page.goto(file.as_uri())
    press(page, "s", "k", "u")
    assert violations(page) == []
    press(page, "c")
    assert violations(page) == []
    press(page, "Escape", "?")
    assert violations(page) == []
    press(page, "Escape")
    page.fill("#f-text", "no such id")
    assert violations(page) == []
    page.click("#reset")
    page.set_viewport_size({"width": 360, "height": 640})
    assert violations(page) == []
    page.click("#tools-button")
    assert violations(page) == []
    context.close()


def test_axe_would_find_something(chromium: "Browser", tmp_path: Path) -> None:
    file = tmp_path / "bad.html"
    text = digits_page(tmp_path / "page.html").read_text()
    file.write_text(text.replace('aria-labelledby="list-title"></div>', "></div>"))
    context = chromium.new_context(bypass_csp=True)
    page = context.new_page()
    page.goto(file.as_uri())
    assert any(line.startswith("aria-input-field-name") for line in violations(page))
    context.close()


def test_dark_is_dark(chromium: "Browser", tmp_path: Path) -> None:
    file = digits_page(tmp_path / "page.html")
    grounds = []
    for scheme in ("light", "dark"):
        context = chromium.new_context(color_scheme=scheme)
        page = context.new_page()
        page.goto(file.as_uri())
        grounds.append(page.evaluate("getComputedStyle(document.body).backgroundColor"))
        context.close()
    assert [int(ground.split("(")[1].split(",")[0]) > 128 for ground in grounds] == [True, False]
