"""The picture of the review page in the README: digits with 40 % label noise.

python -m benchmarks.review_screenshot [--out docs/review.png]

Needs playwright and Chromium.
"""

import argparse
import io
import shutil
import tempfile
from pathlib import Path

from PIL import Image

from mwnet.config.flags import parse_training
from mwnet.core import files
from mwnet.reviewing.from_run import leave_page
from mwnet.runs.run import run

KEYS = "ssksu"
COLOURS = 128


def main() -> None:
    from playwright.sync_api import sync_playwright  # pyright: ignore[reportMissingImports]

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("docs/review.png"))
    out = parser.parse_args().out
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as session:
        where = Path(folder) / "digits"
        flags = ["--method", "cross-fit", "--no-tensorboard", "--out", str(where)]
        run(parse_training(flags), leave=leave_page)
        browser = session.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        page.goto((where / "review.html").as_uri())
        for key in KEYS:
            page.keyboard.press(key)
        page.wait_for_timeout(500)
        shot = Image.open(io.BytesIO(page.screenshot()))
        browser.close()
    small = io.BytesIO()
    shot.convert("RGB").quantize(COLOURS).save(small, "PNG", optimize=True)
    with files.atomic(out) as file:
        file.write(small.getvalue())
    print(f"{out}: {len(small.getvalue()) / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
