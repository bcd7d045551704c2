"""The review page of many samples: how large it is, and how long a reader waits.

python -m benchmarks.review_page [--samples 50000] [--side 28]

Needs playwright and Chromium. An interaction ends when the picture after it is on the screen.
"""

import argparse
import shutil
import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import mwnet

if TYPE_CHECKING:
    import pandas as pd
    from playwright.sync_api import Page  # pyright: ignore[reportMissingImports]

REPEATS = 9
TIMED = """async ([name, argument]) => {
    const started = performance.now();
    const element = document.getElementById(argument?.id ?? 'grid');
    if (name === 'key') {
        element.dispatchEvent(new KeyboardEvent('keydown', {key: argument.key, bubbles: true}));
    } else if (name === 'value') {
        element.value = argument.value;
        element.dispatchEvent(new Event('input', {bubbles: true}));
    } else if (name === 'scroll') {
        document.getElementById('scroll').scrollTop += argument.by;
    } else {
        element.click();
    }
    await new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)));
    return performance.now() - started;
}"""
INTERACTIONS: dict[str, list[tuple[str, dict[str, Any]]]] = {
    "a verdict": [("key", {"key": "k"})],
    "undo": [("key", {"key": "z"})],
    "an arrow": [("key", {"key": "ArrowDown"})],
    "to the other end": [("key", {"key": "End"}), ("key", {"key": "Home"})],
    "scrolling by a window": [("scroll", {"by": 600})],
    "a filter by class": [
        ("value", {"id": "f-given", "value": "3"}),
        ("value", {"id": "f-given", "value": "-1"}),
    ],
    "a letter in the search": [
        ("value", {"id": "f-text", "value": "7"}),
        ("value", {"id": "f-text", "value": ""}),
    ],
    "another order": [
        ("value", {"id": "f-sort", "value": "margin"}),
        ("value", {"id": "f-sort", "value": "score"}),
    ],
    "the 50 nearest on the map": [("click", {"id": "near"}), ("click", {"id": "map-clear"})],
}


def made_up(count: int, side: int) -> tuple[np.ndarray, "pd.DataFrame"]:
    """Pictures of ten classes, and issues of which 40 % are called wrong."""
    import pandas as pd

    rng = np.random.default_rng(0)
    truth = rng.integers(0, 10, count)
    centres = rng.integers(0, 200, (10, side, side))
    x = (centres[truth] + rng.integers(0, 56, (count, side, side))).astype(np.uint8)
    wrong = rng.random(count) < 0.4
    columns = {
        "is_label_issue": wrong,
        "label_quality": np.where(wrong, 0.3, 0.6) * rng.random(count),
        "given_label": np.where(wrong, rng.integers(0, 10, count), truth),
        "predicted_label": truth,
        "weight": rng.random(count),
        "loss": rng.random(count),
        "margin": rng.normal(size=count),
    }
    return x, pd.DataFrame(columns)


def waits(page: "Page") -> dict[str, float]:
    """Median milliseconds of each interaction."""
    page.select_option("#f-issue", "all")
    found = {}
    for name, steps in INTERACTIONS.items():
        times = [page.evaluate(TIMED, list(step)) for _ in range(REPEATS) for step in steps]
        found[name] = statistics.median(times)
    return found


def main() -> None:
    from playwright.sync_api import sync_playwright  # pyright: ignore[reportMissingImports]

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=50_000)
    parser.add_argument("--side", type=int, default=28)
    args = parser.parse_args()
    x, issues = made_up(args.samples, args.side)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as session:
        started = time.perf_counter()
        file = mwnet.review(issues, x, Path(folder) / "page.html", limit=args.samples, umap=False)
        print(f"{args.samples:,} pictures of {args.side}x{args.side}")
        print(f"{time.perf_counter() - started:.1f} s to write the page")
        print(f"{file.stat().st_size / 1e6:.1f} MB")
        chromium = shutil.which("chromium")
        browser = session.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        started = time.perf_counter()
        page.goto(file.as_uri())
        page.wait_for_selector(".card")
        print(f"{time.perf_counter() - started:.1f} s until it can be used")
        for name, wait in waits(page).items():
            print(f"{wait:6.0f} ms  {name}")
        print(f"{page.locator('*').count()} elements in the page")
        browser.close()


if __name__ == "__main__":
    main()
