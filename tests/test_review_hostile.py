"""Names are data: nothing in them runs, nothing is fetched, and people can read them."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

import mwnet

pytest.importorskip("playwright.sync_api", reason="there is no playwright")

from review_pages import HOSTILE, cards, hostile_page, issues_of, listed, press, reading

if TYPE_CHECKING:
    from playwright.sync_api import Browser


def test_nothing_in_a_name_runs(chromium: "Browser", tmp_path: Path) -> None:
    with reading(chromium, hostile_page(tmp_path / "page.html")) as page:
        press(page, "s", "k", "u", "c")
        page.keyboard.type("<")
        press(page, "Escape", "End", "z")
        page.select_option("#f-issue", "all")
        assert page.evaluate("window.hacked") is None
        assert page.title() == "</title><script>window.hacked=1</script> · review"
        assert page.locator("img").count() == 0
        assert page.locator("script").count() == 2  # data and program
        press(page, "g", "Home")
        assert cards(page)[0] == f"0/{HOSTILE[0]}.png"
        names = page.locator("#f-given option").all_text_contents()
        assert sorted(names[1:]) == sorted([*HOSTILE[:-1], "\\ud800 half"])


def test_the_marker_would_be_seen(chromium: "Browser", tmp_path: Path) -> None:
    """Without escaping and policy the names do run: the test above can fail."""
    page_file = tmp_path / "bare.html"
    page_file.write_text(f"<p>{HOSTILE[0]}</p>", encoding="utf-8")
    context = chromium.new_context()
    page = context.new_page()
    page.goto(page_file.as_uri())
    page.wait_for_function("window.hacked === 1", timeout=5000)
    context.close()


def test_names_have_their_own_direction(chromium: "Browser", tmp_path: Path) -> None:
    with reading(chromium, hostile_page(tmp_path / "page.html")) as page:
        page.select_option("#f-given", HOSTILE[2])
        hebrew = page.locator("bdi.label", has_text=HOSTILE[2]).first
        assert hebrew.evaluate("e => getComputedStyle(e).direction") == "rtl"
        latin = page.locator("#tools bdi", has_text="quo").first
        assert latin.evaluate("e => getComputedStyle(e).direction") == "ltr"


def test_the_policy_forbids_every_address(chromium: "Browser", tmp_path: Path) -> None:
    context = chromium.new_context()
    page = context.new_page()
    stopped: list[str | None] = []
    page.on("requestfailed", lambda request: stopped.append(request.failure))
    page.goto(hostile_page(tmp_path / "page.html").as_uri())
    refused = page.evaluate(
        """async () => {
                const seen = [];
                const note = e => seen.push(e.effectiveDirective);
            document.addEventListener('securitypolicyviolation', note);
                const image = new Image();
                image.src = 'https://example.org/x.png';
                const script = document.createElement('script');
                script.textContent = 'window.hacked = 2';
                document.body.append(image, script);
                document.body.setAttribute('style', 'display: none');
                await new Promise(done => setTimeout(done, 300));
                return seen;
            }"""
    )
    assert page.evaluate("window.hacked") is None
    assert {"img-src", "script-src-elem", "style-src-attr"} <= set(refused)
    assert stopped == ["csp"]
    context.close()


def test_200_classes(chromium: "Browser", tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x = rng.integers(0, 255, (600, 8, 8)).astype(np.uint8)
    y = np.array([f"class {i % 200:03}" for i in range(600)])
    wrong = np.arange(600) % 3 == 0
    given = np.where(wrong, np.roll(y, 1), y)
    file = mwnet.review(issues_of(given, y, wrong), x, tmp_path / "page.html")
    with reading(chromium, file) as page:
        assert page.locator("#pairs li").count() == 30
        assert page.locator("#pairs .quiet").inner_text().startswith("and ")
        page.click("#pairs li >> nth=2")
        assert 0 < listed(page) < 200
        page.click("#reset")
        press(page, "g", "Home", "c")
        page.keyboard.type("class 19")
        assert page.locator("#choose-list li").count() == 10
        page.keyboard.type("7")
        press(page, "Enter")
        assert page.locator("#card-0 .state").inner_text() == "→ class 197"
        press(page, "c")
        page.keyboard.type("98")
        press(page, "ArrowDown", "Enter")
        assert page.locator("#card-1 .state").inner_text() == "→ class 198"
        press(page, "c")
        page.keyboard.type("nothing like it")
        assert page.locator("#choose-none").is_visible()
