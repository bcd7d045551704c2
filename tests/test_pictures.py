"""Photos as people have them: content, orientation, depth, transparency."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pictures import BLUE, GREEN, WHITE, cut, grey, near, of, picture
from PIL import Image

from mwnet.core.errors import UserError
from mwnet.data.images import open_rgb

Make = Callable[[Path], object]


def turned(orientation: int, back: Image.Transpose) -> Make:
    def make(file: Path) -> None:
        exif = Image.Exif()
        exif[0x0112] = orientation
        image = Image.fromarray(picture()).transpose(back)
        image.save(file, format="JPEG" if file.suffix == ".jpg" else None, exif=exif, quality=95)

    return make


def saved(image: Image.Image, **options: object) -> Make:
    return lambda file: image.save(file, **options)


T = Image.Transpose
UPRIGHT: dict[str, tuple[str, Make]] = {
    "plain": ("a.png", saved(of(picture()))),
    "mirrored": ("a.jpg", turned(2, T.FLIP_LEFT_RIGHT)),
    "half a turn": ("a.jpg", turned(3, T.ROTATE_180)),
    "to the right": ("a.jpg", turned(6, T.ROTATE_90)),
    "to the left": ("a.jpg", turned(8, T.ROTATE_270)),
    "transposed": ("a.jpg", turned(5, T.TRANSPOSE)),
    "in a PNG": ("a.png", turned(6, T.ROTATE_90)),
    "in a TIFF": ("a.tif", turned(6, T.ROTATE_90)),
    "jfif": ("a.jfif", saved(of(picture()), format="JPEG", quality=95)),
    "no suffix": ("a", saved(of(picture()), format="PNG")),
    "wrong suffix": ("a.jpg", saved(of(picture()), format="PNG")),
    "palette": ("a.png", saved(of(picture()).quantize(4))),
    "first frame": (
        "a.gif",
        saved(of(picture()), save_all=True, append_images=[of(255 - picture())]),
    ),
}


@pytest.mark.parametrize(("name", "make"), UPRIGHT.values(), ids=UPRIGHT)
def test_upright_and_in_colour(tmp_path: Path, name: str, make: Make) -> None:
    make(tmp_path / name)
    near(open_rgb(tmp_path / name), GREEN, BLUE)


def test_cmyk(tmp_path: Path) -> None:
    of(picture()).convert("CMYK").save(tmp_path / "a.jpg", quality=95)
    near(open_rgb(tmp_path / "a.jpg"), GREEN, BLUE)


DEEP = {
    "16 bits": ("a.png", grey().astype(np.uint16) * 257, None),
    "12 bits": ("a.png", grey().astype(np.uint16) * 16, None),
    "dim 16 bits": ("a.png", grey().astype(np.uint16) * 50, (25, 7)),
    "8 of 16 bits": ("a.png", grey().astype(np.uint16), None),
    "32 bits": ("a.tif", grey().astype(np.int32) * 257, None),
    "negative": ("a.tif", grey().astype(np.int32) - 1000, (255, 0)),
    "beyond 16 bits": ("a.tif", grey().astype(np.int32) * 10**6, (255, 0)),
    "floats to 1": ("a.tif", grey().astype(np.float32) / 255, None),
    "other floats": ("a.tif", grey().astype(np.float32) * 7 - 3, (255, 0)),
}


@pytest.mark.parametrize(("name", "values", "wanted"), DEEP.values(), ids=DEEP)
def test_more_than_eight_bits(
    tmp_path: Path, name: str, values: np.ndarray, wanted: tuple | None
) -> None:
    Image.fromarray(values).save(tmp_path / name)
    left, right = wanted or (int(grey()[0, 0]), int(grey()[0, -1]))
    near(open_rgb(tmp_path / name), (left,) * 3, (right,) * 3, 2)


def test_floats_that_are_none(tmp_path: Path) -> None:
    values = grey().astype(np.float32) / 255
    values[0, 0], values[0, 1] = np.nan, np.inf
    Image.fromarray(values).save(tmp_path / "a.tif")
    image = open_rgb(tmp_path / "a.tif")
    near(image, (grey()[0, 0],) * 3, (grey()[0, -1],) * 3, 1)
    assert image.getpixel((0, 0)) == (0, 0, 0)


@pytest.mark.parametrize("kind", ["RGBA", "LA", "palette", "colour key"])
def test_what_is_transparent_is_white(tmp_path: Path, kind: str) -> None:
    alpha = np.zeros((40, 60), np.uint8)
    alpha[10:30, 10:50] = 255
    if kind == "LA":
        image = of(picture()).convert("LA")
        image.putalpha(of(alpha))
    elif kind == "RGBA":
        image = of(np.dstack([picture(), alpha]))
    else:
        key = (1, 2, 3)
        seen = np.where(alpha[:, :, None] > 0, picture(), np.array(key, np.uint8))
        image = of(seen)
        if kind == "palette":
            image = image.quantize(8)
            image.info["transparency"] = image.getpixel((0, 0))
        else:
            image.info["transparency"] = key
    options = {"transparency": image.info["transparency"]} if "transparency" in image.info else {}
    image.save(tmp_path / "a.png", **options)
    opened = open_rgb(tmp_path / "a.png")
    assert opened.getpixel((3, 3)) == WHITE
    middle = [(c, c, c) for c in (grey()[0, 0], grey()[0, -1])] if kind == "LA" else (GREEN, BLUE)
    near(opened, middle[0], middle[1], 3)


def program(file: Path) -> None:
    file.write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n")


def bomb(file: Path) -> None:
    Image.new("1", (20_000, 20_000)).save(file, format="PNG")


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (cut, "trunc"),
        (lambda file: file.write_bytes(b"x"), "its content is of no known format"),
        (bomb, "decompression bomb"),
        (lambda file: None, "No such file"),
        (program, "no known format"),
    ],
    ids=["cut off", "no image", "bomb", "absent", "a program"],
)
def test_unreadable_files_are_named(tmp_path: Path, make: Make, why: str) -> None:
    file = tmp_path / "a.jpg"
    make(file)
    with pytest.raises(UserError, match=r"a\.jpg is no readable image") as raised:
        open_rgb(file)
    assert why in str(raised.value)
    assert "\n" not in str(raised.value)
