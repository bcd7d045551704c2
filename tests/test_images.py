"""Photos as people have them: content, orientation, depth, transparency, what lies beside them."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mwnet.core.errors import UserError
from mwnet.data.decoding import FEW, decoded, worker_count
from mwnet.data.images import all_images, class_folders, fitted, open_rgb, pixels

GREEN, BLUE, WHITE = (30, 200, 30), (20, 20, 220), (255, 255, 255)
Make = Callable[[Path], object]


def picture() -> np.ndarray:
    """``(40, 60, 3)``: left green, right blue."""
    array = np.zeros((40, 60, 3), np.uint8)
    array[:, :30], array[:, 30:] = GREEN, BLUE
    return array


def grey() -> np.ndarray:
    return np.asarray(Image.fromarray(picture()).convert("L"))


def turned(orientation: int, back: Image.Transpose) -> Make:
    def make(file: Path) -> None:
        exif = Image.Exif()
        exif[0x0112] = orientation
        image = Image.fromarray(picture()).transpose(back)
        image.save(file, format="JPEG" if file.suffix == ".jpg" else None, exif=exif, quality=95)

    return make


def saved(image: Image.Image, **options: object) -> Make:
    return lambda file: image.save(file, **options)


def of(array: np.ndarray) -> Image.Image:
    return Image.fromarray(array)


def near(image: Image.Image, left: tuple, right: tuple, within: int = 12) -> None:
    assert image.mode == "RGB"
    assert image.size == (60, 40)
    pixel = np.asarray(image).astype(int)
    assert np.abs(pixel[20, 15] - left).max() <= within
    assert np.abs(pixel[20, 45] - right).max() <= within


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


def cut(file: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (90, 90, 3), dtype=np.uint8)
    of(noise).save(file, format="PNG")
    file.write_bytes(file.read_bytes()[:2000])


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


def tree(root: Path) -> Path:
    for c, array in (("c0", picture()), ("c1", picture()[:, ::-1])):
        (root / c / "deep").mkdir(parents=True)
        for place in ("0.png", "1.png", "deep/2.png"):
            of(array).save(root / c / place)
    return root


def test_class_folders(tmp_path: Path) -> None:
    root = tree(tmp_path)
    of(picture()).save(root / "c0" / "no_suffix", format="JPEG")
    (root / "c0" / "Thumbs.db").write_bytes(b"x")
    (root / ".DS_Store").write_bytes(b"x")
    (root / "c0" / ".hidden.png").write_bytes(b"x")
    (root / "__MACOSX" / "c0").mkdir(parents=True)
    (root / "__MACOSX" / "c0" / "0.png").write_bytes(b"x")
    (root / "empty").mkdir()
    (root / "readme.txt").write_text("photos")
    of(picture()).save(root / "cover.png")
    found = class_folders(root)
    deep = str(Path("c0", "deep", "2.png"))
    assert found.names == ("c0/0.png", "c0/1.png", deep, "c0/no_suffix", *(
        f"c1/{name}" for name in ("0.png", "1.png", "deep/2.png")
    ))  # fmt: skip
    assert found.labels == ("c0",) * 4 + ("c1",) * 3
    assert found.files == tuple(root / name for name in found.names)
    assert found.parts == (root,)
    assert found.test_start is None
    assert found.skipped == 0
    assert found.notes == (
        "left out 1 file with no image in them: c0/Thumbs.db",
        "left out 1 image outside the class folders: cover.png",
        "passed over 1 empty class folder with no image in them: empty",
    )


@pytest.mark.parametrize("name", ["test", "val", "valid", "validation"])
def test_parts(tmp_path: Path, name: str) -> None:
    tree(tmp_path / "train")
    tree(tmp_path / name)
    (tmp_path / "backup").mkdir()
    found = class_folders(tmp_path)
    assert found.parts == (tmp_path / "train", tmp_path / name)
    assert found.test_start == 6
    assert found.labels == (("c0",) * 3 + ("c1",) * 3) * 2
    assert found.names[0] == "train/c0/0.png"
    assert found.names[6] == f"{name}/c0/0.png"
    assert found.notes == ("did not use 1 folder beside the two parts: backup",)


def test_unreadable_images_are_left_out_and_named(tmp_path: Path) -> None:
    root = tree(tmp_path)
    cut(root / "c1" / "bad.png")
    (root / "c1" / "worse.jpg").symlink_to("nowhere")
    found = class_folders(root)
    with pytest.raises(UserError, match=r"bad\.png is no readable image.*`skip_bad=True`"):
        pixels(found.files, 8)
    found = class_folders(root, skip_bad=True)
    assert len(found.files) == len(found.labels) == 6
    assert found.skipped == 2
    assert found.notes == ("left out 2 unreadable images: c1/bad.png, c1/worse.jpg",)


def test_notes_name_five_at_most(tmp_path: Path) -> None:
    root = tree(tmp_path)
    for number in range(7):
        (root / "c0" / f"{number}.txt").write_text("x")
    (note,) = class_folders(root).notes
    assert note.endswith("c0/4.txt ...")


def test_linked_class_folders_are_followed_and_loops_are_not(tmp_path: Path) -> None:
    tree(tmp_path / "real")
    (tmp_path / "root").mkdir()
    for name in ("c0", "c1"):
        (tmp_path / "root" / name).symlink_to(tmp_path / "real" / name)
    (tmp_path / "real" / "c0" / "up").symlink_to(tmp_path / "real")
    assert len(class_folders(tmp_path / "root").files) == 6
    assert len(class_folders(tmp_path / "real").files) == 6


@pytest.mark.parametrize(
    ("prepare", "message"),
    [
        (lambda root: root / "none", "there is no folder"),
        (lambda root: root, "holds no readable images in class folders"),
    ],
)
def test_no_tree(tmp_path: Path, prepare: Callable[[Path], Path], message: str) -> None:
    of(picture()).save(tmp_path / "flat.png")
    with pytest.raises(UserError, match=message):
        class_folders(prepare(tmp_path))


def test_names_must_be_utf8(tmp_path: Path) -> None:
    root = tree(tmp_path)
    try:
        (root / "c0" / "0.png").rename(os.fsdecode(os.fsencode(root / "c0") + b"/\xff.png"))
    except OSError:
        pytest.skip("this file system has UTF-8 names only")
    with pytest.raises(UserError, match=r"'.*\\udcff\.png' is no valid UTF-8"):
        class_folders(root)


def test_all_images_at_any_depth(tmp_path: Path) -> None:
    root = tree(tmp_path)
    of(picture()).save(root / "flat.png")
    (root / "notes.txt").write_text("x")
    files, notes = all_images(root)
    assert len(files) == 7
    assert files == tuple(sorted(files))
    assert notes == ("left out 1 file with no image in them: notes.txt",)
    (root / "nothing").mkdir()
    with pytest.raises(UserError, match="nothing holds no images"):
        all_images(root / "nothing")
    with pytest.raises(UserError, match="there is no folder"):
        all_images(root / "none")


def test_pixels_are_the_centre(tmp_path: Path) -> None:
    of(picture()).save(tmp_path / "a.png")
    x = pixels([tmp_path / "a.png"], 20)
    assert x.shape == (1, 3, 20, 20)
    assert x.dtype == torch.uint8
    assert tuple(x[0, :, 10, 2].tolist()) == GREEN
    assert tuple(x[0, :, 10, 17].tolist()) == BLUE


def test_large_photos_are_decoded_at_a_fraction(tmp_path: Path) -> None:
    file = tmp_path / "a.jpg"
    y, x = np.mgrid[:1024, :1536]
    smooth = np.stack([x / 6, y / 4, (x + y) / 10.1], 2).astype(np.uint8)
    of(smooth).save(file, quality=95)
    assert open_rgb(file).size == (1536, 1024)
    assert open_rgb(file, 64).size == (192, 128)
    assert open_rgb(file, 300).size == (1536, 1024)
    full = of(smooth).resize((96, 64), Image.Resampling.BILINEAR).crop((16, 0, 80, 64))
    apart = np.abs(fitted(64)(file).transpose(1, 2, 0).astype(int) - np.asarray(full))
    assert apart.max() <= 3


def test_workers_change_nothing(tmp_path: Path) -> None:
    files = []
    for number in range(FEW + 9):
        files.append(tmp_path / f"{number}.png")
        of(np.full((6, 6, 3), number, np.uint8)).save(files[-1])
    state = torch.get_rng_state()
    alone, together = (pixels(files, 4, workers=workers) for workers in (0, 2))
    assert torch.equal(alone, together)
    assert alone[:, 0, 0, 0].tolist() == list(range(FEW + 9))
    assert torch.equal(torch.get_rng_state(), state)
    files[20].write_bytes(b"x")
    files[21].write_bytes(b"x")
    for workers in (0, 2):
        with pytest.raises(UserError, match=r"20\.png is no readable image \(.*\); mend or remove"):
            pixels(files, 4, workers=workers)
    assert next(decoded(files, fitted(4), workers=2)).shape == (16, 3, 4, 4)  # and stops


def test_few_files_need_no_workers() -> None:
    assert worker_count(FEW) == 0
    assert worker_count(10**6) <= (os.cpu_count() or 1)
