"""Clothing1M in the layout in which its authors give it out.

    ROOT/images/0/00/NAME.jpg ...
    ROOT/noisy_train_key_list.txt, clean_test_key_list.txt    one path of an image a line
    ROOT/noisy_label_kv.txt, clean_label_kv.txt               path and class number a line
    ROOT/category_names_eng.txt                               one class name a line

Xiao, Xia, Yang, Huang and Wang, "Learning from massive noisy labeled data for image
classification", CVPR 2015: a million training images with labels from the text around them, about
ten thousand test images with labels by hand.
"""

import hashlib
import logging
import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from mwnet.core import files
from mwnet.core.errors import reason
from mwnet.data.images import fitted
from mwnet.data.source import Source

log = logging.getLogger(__name__)

PARTS = {
    "noisy_train_key_list.txt": "noisy_label_kv.txt",
    "clean_test_key_list.txt": "clean_label_kv.txt",
}
"""Lists of images, training part first, and where their labels are."""
CHUNK = 4096
"""Images that are decoded before they are written."""


def clothing1m(root: Path, image_size: int) -> Source:
    """The noisy training part and the clean test part.

    Images are decoded once, their shorter side scaled to ``image_size`` and the centre kept, into
    one file beside the lists (150 GB at 224 pixels), which later runs map into memory; so the set
    may be larger than memory. The file is known by the size and the lists: remove it after
    replacing images. Runs that begin at the same time each decode, and one of their files stays.
    True labels of the training part are not known.

    Raises:
        ValueError: a missing list or image, a label that is no class number, an unreadable image,
            no room for the decoded ones.
    """
    classes = tuple(_lines(root / "category_names_eng.txt"))
    keys, labels, sizes = [], [], []
    for key_list, label_list in PARTS.items():
        given = _labels(root / label_list, len(classes))
        part = _lines(root / key_list)
        for key in part:
            if key not in given:
                raise ValueError(f"{root / key_list} names {key}, which {label_list} lacks")
        keys += part
        labels += [given[key] for key in part]
        sizes.append(len(part))
    digest = hashlib.blake2b("\n".join(keys).encode(), digest_size=6).hexdigest()
    path = root / f"mwnet-{image_size}-{digest}.uint8"
    return Source(
        name="clothing1m",
        x=_decoded(path, root, keys, image_size),
        labels=torch.tensor(labels),
        truth=None,
        classes=classes,
        test_ids=torch.arange(sizes[0], sum(sizes)),
        names=tuple(keys),
        clean_test=True,
        fingerprint=path.name,
    )


def _lines(path: Path) -> list[str]:
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(
            f"cannot read {path} ({reason(error)}); `data_root` must be the folder of Clothing1M "
            "with its lists and images/"
        ) from None
    lines = [line for line in lines if line]
    if not lines:
        raise ValueError(f"{path} is empty")
    return lines


def _labels(path: Path, num_classes: int) -> dict[str, int]:
    labels = {}
    for line in _lines(path):
        key, _, text = line.rpartition(" ")
        if not key or not text.isdecimal() or int(text) >= num_classes:
            raise ValueError(
                f"{path} has the line '{line}'; expected a path and a class from 0 to "
                f"{num_classes - 1}"
            )
        labels[key] = int(text)
    return labels


def _decoded(path: Path, root: Path, keys: list[str], size: int) -> Tensor:
    """``(n, 3, size, size)`` uint8 of the keys, mapped from a file that is made if need be."""
    if not path.exists():
        log.info("decoding %s images once into %s", f"{len(keys):,}", path)
        try:
            with (
                files.atomic(path) as file,
                ThreadPoolExecutor(os.cpu_count()) as threads,
            ):
                for images in _chunks(root, keys, size, threads):
                    for image in images:
                        file.write(image.numpy().data)
        except OSError as error:
            raise ValueError(f"cannot write {path}: {reason(error)}") from None
    expected = len(keys) * 3 * size * size
    if path.stat().st_size != expected:
        raise ValueError(f"{path} has {path.stat().st_size} bytes instead of {expected}: remove it")
    mapped = torch.from_file(str(path), False, expected, dtype=torch.uint8)
    return mapped.view(len(keys), 3, size, size)


def _chunks(
    root: Path, keys: list[str], size: int, threads: ThreadPoolExecutor
) -> Iterable[list[Tensor]]:
    def read(key: str) -> Tensor:
        try:
            return torch.from_numpy(fitted(size)(root / key))
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            raise ValueError(
                f"{root / key} is no readable image ({reason(error)}); mend it or take it off its "
                "key list"
            ) from None

    for start in range(0, len(keys), CHUNK):
        yield list(threads.map(read, keys[start : start + CHUNK]))
