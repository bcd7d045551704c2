"""Folders of photos: classes, parts, what lies beside them, and pixels."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from pictures import BLUE, GREEN, cut, of, picture
from PIL import Image

from mwnet.core.errors import UserError
from mwnet.data.decoding import FEW, decoded, worker_count
from mwnet.data.images import all_images, class_folders, fitted, open_rgb, pixels


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
