"""Small pictures for tests: green on the left, blue on the right."""

from pathlib import Path

import numpy as np
from PIL import Image

GREEN, BLUE, WHITE = (30, 200, 30), (20, 20, 220), (255, 255, 255)


def picture() -> np.ndarray:
    """``(40, 60, 3)``: left green, right blue."""
    array = np.zeros((40, 60, 3), np.uint8)
    array[:, :30], array[:, 30:] = GREEN, BLUE
    return array


def grey() -> np.ndarray:
    return np.asarray(Image.fromarray(picture()).convert("L"))


def of(array: np.ndarray) -> Image.Image:
    return Image.fromarray(array)


def near(image: Image.Image, left: tuple, right: tuple, within: int = 12) -> None:
    assert image.mode == "RGB"
    assert image.size == (60, 40)
    pixel = np.asarray(image).astype(int)
    assert np.abs(pixel[20, 15] - left).max() <= within
    assert np.abs(pixel[20, 45] - right).max() <= within


def cut(file: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (90, 90, 3), dtype=np.uint8)
    of(noise).save(file, format="PNG")
    file.write_bytes(file.read_bytes()[:2000])
