"""Review pages for the tests, made without training, and somebody who uses them."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from playwright.sync_api import Browser, Page
from sklearn.datasets import load_digits

import mwnet

HOSTILE = (
    "</script><img src=x onerror=window.hacked=1>",
    '"quo"ted\', 100 %',
    "שלום עולם",
    "日本語",
    "<!--<script>window.hacked=1",
    "a\u2028b",
    "=1+1",
    "{{ 7*7 }}",
    "__proto__",
    "\ud800 half",
)


def issues_of(
    given: Sequence[Any],
    predicted: Sequence[Any],
    wrong: np.ndarray,
    index: Any = None,
    probability: float = 0.9,
) -> pd.DataFrame:
    """A table of issues in which the wrong labels are the most suspect."""
    n = len(given)
    quality = np.where(wrong, 0.001, 0.5) + np.arange(n) / (4 * n)
    loss = np.where(wrong, 3.0, 0.1)
    return pd.DataFrame(
        {
            "is_label_issue": wrong,
            "label_quality": quality,
            "given_label": given,
            "predicted_label": predicted,
            "weight": np.linspace(0, 1, n),
            "loss": loss,
            "margin": -np.log(probability) - loss,
        },
        index=index,
    )


def digits(n: int = 200, every: int = 5) -> tuple[np.ndarray, pd.DataFrame]:
    """Pictures of 8x8, and issues in which every k-th label is one too high."""
    x, y = load_digits(return_X_y=True)
    x, y = x[:n].reshape(-1, 8, 8), y[:n]
    wrong = np.arange(n) % every == 0
    return x, issues_of(np.where(wrong, (y + 1) % 10, y), y, wrong)


def digits_page(path: Path, **options: Any) -> Path:
    x, issues = digits()
    estimate = {"rate": 0.25, "interval": [0.2, 0.3]}
    return mwnet.review(issues, x, path, noise_estimate=estimate, **options)


def table_page(path: Path) -> Path:
    rng = np.random.default_rng(0)
    y = np.repeat(["cat", "dog"], 60)
    frame = pd.DataFrame(
        {
            "weight in kg": np.where(y == "cat", 4.0, 30.0) + rng.normal(size=120),
            "colour": rng.choice(["black", "white"], 120),
            "age": rng.integers(1, 15, 120),
        },
        index=[f"row {i}" for i in range(120)],
    )
    wrong = np.arange(120) % 10 == 0
    other = np.where(y == "cat", "dog", "cat")
    return mwnet.review(issues_of(np.where(wrong, other, y), y, wrong, frame.index), frame, path)


def texts_page(path: Path) -> Path:
    texts = [f"a good and happy film, number {i}" for i in range(40)]
    texts += [f"a bad and boring film, number {i}" for i in range(40)]
    y = np.repeat(["praise", "blame"], 40)
    wrong = np.arange(80) % 10 == 0
    other = np.where(y == "praise", "blame", "praise")
    return mwnet.review(issues_of(np.where(wrong, other, y), y, wrong), texts, path)


def hostile_page(path: Path) -> Path:
    x, issues = digits(100)
    for name in ("given_label", "predicted_label"):
        issues[name] = pd.Series([HOSTILE[code] for code in issues[name]], dtype=object)
    issues.index = pd.Index([f"{i}/{HOSTILE[i % 10]}.png" for i in range(100)], dtype=object)
    numbers = pd.DataFrame(x.reshape(100, 64), index=issues.index)
    title = "</title><script>window.hacked=1</script>"
    return mwnet.review(issues, numbers, path, image_shape=(8, 8), title=title)


@contextmanager
def reading(browser: Browser, path: Path, **options: Any) -> Iterator[Page]:
    """Open a page; nothing may be asked for, no script may fail."""
    context = browser.new_context(accept_downloads=True, **options)
    page = context.new_page()
    asked: list[str] = []
    failed: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: failed.append(str(error)))
    page.on("console", lambda said: failed.append(said.text) if said.type == "error" else None)
    page.goto(path.as_uri())
    try:
        yield page
        # Blobs are pieces of the page itself.
        assert {url for url in asked if not url.startswith("blob:null/")} == {path.as_uri()}
        assert not failed
    finally:
        context.close()


def press(page: Page, *keys: str) -> None:
    for key in keys:
        page.keyboard.press(key)


def listed(page: Page) -> int:
    """How many samples the filters leave."""
    return int(page.locator("#shown").inner_text().split(" of ")[0].replace(",", ""))


def current(page: Page) -> str:
    """The id of the current sample."""
    return page.locator("#desk h2").inner_text()


def cards(page: Page) -> list[str]:
    """Ids on the cards that are in the page, in the order of the list."""
    found = page.locator("#grid .card").all()
    numbered = sorted((int(one.get_attribute("data-place") or -1), one) for one in found)
    return [one.locator(".id").inner_text() for _, one in numbered]


def download(page: Page, to: Path) -> bytes:
    with page.expect_download() as waiting:
        page.click("#download")
    assert waiting.value.suggested_filename == "corrections.csv"
    waiting.value.save_as(to)
    return to.read_bytes()
