"""Decisions survive a reload, leave the page as a file, and come back from it."""

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("playwright.sync_api", reason="there is no playwright")

from review_pages import HOSTILE, digits_page, download, hostile_page, press, reading

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

HEAD = "id,given,verdict,label,note\r\n"


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return digits_page(tmp_path_factory.mktemp("page") / "digits.html")


@pytest.fixture
def opened(chromium: "Browser", file: Path) -> Iterator["Page"]:
    with reading(chromium, file) as page:
        yield page


def states(page: "Page") -> list[str]:
    return page.locator(".card .state").all_inner_texts()


def load(page: "Page", content: bytes) -> str:
    """Hand a file over; returns what the page says."""
    page.set_input_files("#load", {"name": "mine.csv", "mimeType": "text/csv", "buffer": content})
    page.wait_for_selector("#notice:not([hidden])")
    return page.locator("#notice span").inner_text()


def test_decisions_and_notes_survive_a_reload(opened: "Page") -> None:
    press(opened, "k", "s", "u", "n")
    opened.keyboard.type("a, “note”")
    opened.reload()
    assert states(opened) == ["✓ kept", "→ 5", "? unsure"]
    opened.click("#card-3")
    assert opened.locator("#note").input_value() == "a, “note”"
    assert opened.locator("#done-text").inner_text() == "3 of 40 suspects decided"


def test_another_run_has_decisions_of_its_own(
    chromium: "Browser", file: Path, tmp_path: Path
) -> None:
    other = hostile_page(tmp_path / "other.html")
    again = digits_page(tmp_path / "again.html", limit=60)
    context = chromium.new_context()
    page = context.new_page()
    for path, wanted in ((file, 0), (other, 0), (file, 1), (again, 1)):
        page.goto(path.as_uri())
        assert page.locator(".card .state").count() == wanted
        if path == file and not wanted:
            press(page, "k")
    context.close()


def test_a_page_says_that_storage_is_refused(chromium: "Browser", file: Path) -> None:
    context = chromium.new_context()
    context.add_init_script(
        "Storage.prototype.setItem = () => { throw new DOMException('no', 'QuotaExceededError'); }"
    )
    page = context.new_page()
    page.goto(file.as_uri())
    assert "decisions are lost" in page.locator("#notice").inner_text()
    press(page, "k", "z", "s")
    assert states(page) == ["→ 0"]
    context.close()


def test_damaged_storage_is_passed_over(opened: "Page") -> None:
    for damaged in ("{", "[1, null, [2], ['0', 'correct', 99]]", '[["0", "correct", 99, 5]]', "{}"):
        opened.evaluate(
            "text => localStorage.setItem(Object.keys(localStorage)[0] ?? "
            "`mwnet-review-${JSON.parse(document.getElementById('data').textContent).key}`, text)",
            damaged,
        )
        opened.reload()
        assert states(opened) == []
        assert opened.locator("#shown").inner_text() == "40 of 200"


def test_the_file_goes_round(chromium: "Browser", file: Path, tmp_path: Path) -> None:
    with reading(chromium, file) as page:
        press(page, "k", "n")
        page.keyboard.type('two "words",')
        press(page, "Escape", "s", "u")
        first = download(page, tmp_path / "first.csv")
    with reading(chromium, file) as page:
        assert states(page) == []
        assert load(page, first) == "mine.csv: 3 decisions were loaded."
        assert states(page) == ["✓ kept", "→ 5", "? unsure"]
        assert download(page, tmp_path / "second.csv") == first
        press(page, "z")
        assert states(page) == []
    rows = list(csv.reader(io.StringIO(first.decode(), newline="")))
    assert rows[2] == ["5", "6", "correct", "5", 'two "words",']


def test_a_file_of_a_spreadsheet_is_read(opened: "Page") -> None:
    """With a mark at its beginning, other ends of lines, quotes where none are needed."""
    text = '\ufeffid,given,verdict,label,note\n"0","1","keep","","two\nlines"\n5,6,correct,7,\n'
    assert load(opened, text.encode()) == "mine.csv: 2 decisions were loaded."
    assert states(opened) == ["✓ kept", "→ 7"]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "its first line must be id,given,verdict,label,note"),
        ("id,given,verdict,label\r\n", "its first line must be id,given,verdict,label,note"),
        (HEAD + "0,1,keep,1\r\n", "Line 2 has 4 cells, not 5."),
        (HEAD + "0,1,keep,1,\r\n7777,1,keep,1,\r\n", "Line 3: this page has no sample “7777”."),
        (HEAD + "0,1,keep,1,\r\n0,1,keep,1,\r\n", "Line 3: the sample “0” is there twice."),
        (HEAD + "0,2,keep,2,\r\n", "Line 2: the given label of “0” is “1” here, not “2”."),
        (HEAD + "0,1,right,1,\r\n", "Line 2: “right” is no verdict (keep, correct, unsure)."),
        (HEAD + "0,1,keep,2,\r\n", "Line 2: a kept label must be the given one."),
        (HEAD + "0,1,correct,1,\r\n", "Line 2: “1” is no other class."),
        (HEAD + "0,1,correct,eleven,\r\n", "Line 2: “eleven” is no other class."),
        (HEAD + "0,1,unsure,1,\r\n", "Line 2: an unsure sample has no label."),
        (HEAD + '0,1,keep,1,"open\r\n', "Line 2 has a quotation mark that is not closed."),
        (HEAD + '0,1,keep,"1"1,\r\n', "Line 2 has text after a closing quotation mark."),
        ("\xff\xfe", "This file is no text in UTF-8."),
    ],
)
def test_a_file_that_does_not_fit_is_refused(opened: "Page", text: str, sentence: str) -> None:
    press(opened, "k")
    said = load(opened, text.encode("latin-1" if text.startswith("\xff") else "utf-8"))
    assert said.startswith("mine.csv was not loaded. ")
    assert said.endswith(sentence if sentence.endswith(".") else f"{sentence}.")
    assert states(opened) == ["✓ kept"]


def test_hostile_names_go_round(chromium: "Browser", tmp_path: Path) -> None:
    file = hostile_page(tmp_path / "hostile.html")
    with reading(chromium, file) as page:
        for _ in range(20):
            press(page, "s")
        content = download(page, tmp_path / "c.csv")
        rows = list(csv.reader(io.StringIO(content.decode(), newline="")))
        assert len(rows) == 21
        named = {row[1] for row in rows[1:]}
        assert len(named & set(HOSTILE)) >= 5
        # A spreadsheet would run it.
        assert not any(cell.startswith("=") for row in rows for cell in row)
        before = states(page)
        assert load(page, content) == "mine.csv: 20 decisions were loaded."
        assert states(page) == before
