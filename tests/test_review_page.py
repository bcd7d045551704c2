"""The review page in a browser: every control, by mouse and by keys."""

import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("playwright.sync_api", reason="there is no playwright")

from review_pages import (
    cards,
    current,
    digits,
    digits_page,
    download,
    listed,
    press,
    reading,
)

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return digits_page(tmp_path_factory.mktemp("page") / "digits.html")


@pytest.fixture
def page(chromium: "Browser", file: Path) -> Iterator["Page"]:
    with reading(chromium, file) as opened:
        yield opened


def focused(page: "Page") -> str:
    return page.evaluate("document.activeElement.id")


def test_it_shows_the_suspects_most_suspect_first(page: "Page") -> None:
    assert page.title() == "digits · review"
    assert page.locator("#shown").inner_text() == "40 of 200"
    assert cards(page)[:3] == ["0", "5", "10"]
    text = page.locator("#card-0").inner_text()
    assert re.sub(r"\s+", " ", text).startswith("0 given 1 suggested 0 90 % score 0.001 weight 0")
    assert page.locator("#card-0 .strip").count() == 2
    assert page.locator("#card-0 .strip .picture").count() == 6
    assert page.locator("#done-text").inner_text() == "0 of 40 suspects decided"
    assert page.locator("#left-text").inner_text() == "about 50 errors left (40\u201360)"
    assert "all 200 training samples" in page.locator("#about").inner_text()


def test_the_picture_is_that_of_the_sample(page: "Page") -> None:
    """The middle of each pixel on the screen has the grey of the pixel in the data."""
    x, _ = digits()
    box = page.locator("#card-1 .frame .picture")
    page.wait_for_timeout(200)
    seen = np.asarray(Image.open(io.BytesIO(box.screenshot())).convert("L"), dtype=float)
    step = seen.shape[0] / 8
    middle = ((np.arange(8) + 0.5) * step).astype(int)
    wanted = x[5] / 16 * 255
    assert np.abs(seen[np.ix_(middle, middle)] - wanted).max() < 4


def test_each_verdict_has_a_key(page: "Page", tmp_path: Path) -> None:
    assert focused(page) == "grid"
    press(page, "k", "s", "u")
    assert current(page) == "15"
    press(page, "c")
    page.keyboard.type("7")
    press(page, "Enter")
    assert page.locator("#done-text").inner_text() == "4 of 40 suspects decided"
    assert page.locator("#left-text").inner_text().startswith("about 48 errors left")
    assert [page.locator(f"#card-{i} .state").inner_text() for i in range(4)] == [
        "✓ kept", "→ 5", "? unsure", "→ 7",
    ]  # fmt: skip
    assert focused(page) == "grid"
    lines = download(page, tmp_path / "c.csv").decode().split("\r\n")
    assert lines == [
        "id,given,verdict,label,note", "0,1,keep,1,", "5,6,correct,5,", "10,1,unsure,,",
        "15,6,correct,7,", "",
    ]  # fmt: skip


def test_the_given_class_chosen_by_letters_is_kept(page: "Page") -> None:
    press(page, "c")
    page.keyboard.type("1")
    press(page, "Enter")
    assert page.locator("#card-0 .state").inner_text() == "✓ kept"


def test_undo_goes_back_step_by_step(page: "Page") -> None:
    press(page, "k", "s", "z")
    assert current(page) == "5"
    assert page.locator(".card .state").count() == 1
    press(page, "z", "z")
    assert current(page) == "0"
    assert page.locator(".card .state").count() == 0
    assert page.locator("#undo").is_disabled()
    assert page.locator("#download").is_disabled()


def test_arrows_move(page: "Page") -> None:
    edges = "[...document.querySelectorAll('.card')].map(card => card.getBoundingClientRect().x)"
    across = len(set(page.evaluate(edges)))
    assert across > 1
    press(page, "ArrowRight", "ArrowDown")
    assert current(page) == str(5 * (1 + across))
    press(page, "ArrowUp", "ArrowLeft")
    assert current(page) == "0"
    press(page, "End")
    assert current(page) == "195"
    active = page.locator("#grid").get_attribute("aria-activedescendant")
    assert page.locator(f"#{active}").get_attribute("aria-selected") == "true"
    assert page.locator(f"#{active}").is_visible()
    press(page, "PageUp")
    assert current(page) not in ("0", "195")
    press(page, "Home", "ArrowLeft", "ArrowUp")
    assert current(page) == "0"


def test_the_keys_are_told_and_found(page: "Page") -> None:
    press(page, "?")
    assert page.locator("#help").is_visible()
    press(page, "Escape", "/")
    assert focused(page) == "f-text"
    page.keyboard.type("k")
    assert page.locator(".card .state").count() == 0
    press(page, "Escape", "n")
    assert focused(page) == "note"
    page.keyboard.type("sku")
    press(page, "Escape")
    assert focused(page) == "grid"
    page.click("#help-button")
    page.get_by_role("button", name="Close").click()
    assert not page.locator("#help").is_visible()


def test_buttons_do_what_keys_do(page: "Page") -> None:
    page.click("#desk [data-verdict=suggest]")
    assert page.locator("#card-0 .state").inner_text() == "→ 0"
    page.click("#card-3")
    assert current(page) == "15"
    page.click("#desk [data-verdict=unsure]")
    page.click("#card-3")
    assert page.locator("#desk [aria-pressed=true]").inner_text().startswith("?")
    page.click("#desk [data-verdict=choose]")
    page.click("#choose-list li >> nth=8")
    assert page.locator("#card-3 .state").inner_text() == "→ 8"
    page.click("#undo")
    assert page.locator("#card-3 .state").inner_text() == "? unsure"


@pytest.mark.parametrize(
    ("field", "value", "left"),
    [
        ("#f-issue", "all", 200),
        ("#f-given", "1", 5),
        ("#f-suggested", "0", 5),
        ("#f-text", "19", 2),
        ("#f-low", "0.05", 32),
        ("#f-high", "0.05", 8),
    ],
)
def test_filters(page: "Page", field: str, value: str, left: int) -> None:
    if page.locator(field).evaluate("e => e.tagName") == "SELECT":
        page.select_option(field, value)
    else:
        page.fill(field, value)
    _, issues = digits()
    suspects = issues[issues["is_label_issue"]]
    wanted = {
        "#f-issue": len(issues),
        "#f-given": (suspects["given_label"] == 1).sum(),
        "#f-suggested": (suspects["predicted_label"] == 0).sum(),
        "#f-text": sum("19" in str(i) for i in suspects.index),
        "#f-low": (suspects["label_quality"] >= 0.05).sum(),
        "#f-high": (suspects["label_quality"] <= 0.05).sum(),
    }[field]
    assert listed(page) == wanted
    page.click("#reset")
    assert listed(page) == 40
    assert page.locator("#reset").is_disabled()


def test_the_filter_by_verdict_lets_decided_samples_go(page: "Page") -> None:
    page.select_option("#f-verdict", "open")
    page.focus("#grid")
    press(page, "k", "s")
    assert listed(page) == 38
    assert current(page) == "10"
    for value, left in (("decided", 2), ("keep", 1), ("correct", 1), ("unsure", 0), ("any", 40)):
        page.select_option("#f-verdict", value)
        assert listed(page) == left
    page.select_option("#f-verdict", "unsure")
    assert page.locator("#nothing").is_visible()
    press(page, "g", "k")
    page.click("#reset")
    assert page.locator("#done-text").inner_text() == "2 of 40 suspects decided"


def test_orders(page: "Page") -> None:
    _, issues = digits()
    suspects = issues[issues["is_label_issue"]]
    for value, column in (("given", "given_label"), ("suggested", "predicted_label")):
        page.select_option("#f-sort", value)
        wanted = suspects.sort_values(column, kind="stable").index.astype(str).tolist()
        got = cards(page)
        assert got == wanted[: len(got)]
    page.select_option("#f-sort", "random")
    first = cards(page)
    assert first != sorted(first, key=int)
    page.reload()
    page.select_option("#f-sort", "random")
    assert cards(page) == first
    page.select_option("#f-sort", "margin")
    assert cards(page)[:2] == ["0", "5"]


def test_a_cell_of_the_matrix_shows_its_pair(page: "Page") -> None:
    cell = page.get_by_role("button", name="given 1, suggested 0: ")
    number = int(cell.inner_text())
    cell.click()
    assert listed(page) == number
    assert page.locator("#f-given").input_value() == "1"
    assert page.locator("#f-suggested").input_value() == "0"
    assert page.locator(".pair[aria-pressed=true]").count() == 1
    page.locator(".pair[aria-pressed=true]").click()
    assert listed(page) == 40


def test_the_matrix_by_keys(page: "Page") -> None:
    page.focus(".pair[tabindex='0']")
    before = page.evaluate("document.activeElement.dataset.pair")
    press(page, "ArrowDown")
    after = page.evaluate("document.activeElement.dataset.pair")
    assert before != after
    assert page.locator(".pair[tabindex='0']").count() == 1
    press(page, "Enter")
    assert listed(page) < 40
    assert page.evaluate("document.activeElement.dataset.pair") == after


def test_a_lasso_on_the_map_filters(page: "Page") -> None:
    page.select_option("#f-issue", "all")
    page.locator("#map").scroll_into_view_if_needed()
    box = page.locator("#map").bounding_box()
    assert box is not None
    x, y, width, height = box["x"], box["y"], box["width"], box["height"]
    half = [(1, 1), (width / 2, 1), (width / 2, height - 1), (1, height - 1)]
    page.mouse.move(x + 1, y + 1)
    page.mouse.down()
    for left, top in half:
        page.mouse.move(x + left, y + top, steps=4)
    page.mouse.up()
    left_half = listed(page)
    assert 0 < left_half < 200
    page.click("#map-clear")
    assert listed(page) == 200
    page.mouse.click(x + width / 2, y + height / 2)
    assert listed(page) == 200
    assert current(page) != "0"


def test_the_map_by_keys(page: "Page") -> None:
    page.select_option("#f-issue", "all")
    page.fill("#near-count", "12")
    page.focus("#near")
    press(page, "Enter")
    assert listed(page) == 12
    assert current(page) == "0"
    page.click("#reset")
    assert listed(page) == 40
