"""Turn images in arrays into features of a frozen pretrained network, once for each content."""

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from mwnet.core.errors import UserError
from mwnet.core.progress import bar
from mwnet.data.cache import FeatureCache
from mwnet.data.decoding import BATCH
from mwnet.data.folder import features_of_photos
from mwnet.data.inputs import are_files
from mwnet.data.photo_networks import DEFAULT, Network, find_extractor
from mwnet.data.source import Source, channels_first

KEEP = 512
"""Images whose features are written to the cache at once."""
CHANNELS = (1, 3)


def array_features(
    x: Tensor, extractor: str = DEFAULT, *, download: bool = False, progress: bool = False
) -> np.ndarray:
    """Compute the features of images in an array, or find them in the cache.

    An image gives the features of a photo with the same pixels: it is scaled to what the network
    wants. What was computed before an interruption is kept.

    Args:
        x: ``(n, c, h, w)`` uint8 pixels, grey (c = 1) or red, green, blue (c = 3).
        extractor: name of the network, see ``photo_networks.find_extractor``.
        download: fetch weights that are not at hand; else nothing reaches for the network.
        progress: show a bar on stderr while features are computed.

    Returns:
        ``(n, d)`` float32.

    Raises:
        UserError: other arrays; see also ``photo_networks.find_extractor``.
    """
    _check(x, extractor)
    source = find_extractor(extractor)
    of_image = _keys(x, source.maker)
    places: dict[bytes, list[int]] = {}
    for place, key in enumerate(of_image):
        places.setdefault(key, []).append(place)
    features = np.empty((len(x), 0), dtype=np.float32)

    def store(key: bytes, row: np.ndarray) -> None:
        nonlocal features
        if not features.shape[1]:
            features = np.empty((len(x), len(row)), dtype=np.float32)
        features[places.pop(key)] = row

    with FeatureCache() as cache:
        for key, row in cache.get(places):
            store(key, row)
        if not places:
            return features
        left = list(places)
        network = source.load(download)
        known = len(x) - sum(map(len, places.values()))
        with bar(len(x), known, "image", shown=progress) as counted:
            for start in range(0, len(left), KEEP):
                keys = left[start : start + KEEP]
                fresh = []
                for at in range(0, len(keys), BATCH):
                    some = keys[at : at + BATCH]
                    rows = seen(network, x[[places[key][0] for key in some]])
                    fresh += zip(some, rows, strict=True)
                    counted.update(sum(len(places[key]) for key in some))
                cache.put(fresh)
                for key, row in fresh:
                    store(key, row)
    return features


def seen(network: Network, x: Tensor) -> np.ndarray:
    """Compute ``(n, d)`` features of ``(n, c, h, w)`` uint8 images by a frozen network."""
    rgb = x.expand(-1, 3, -1, -1).permute(0, 2, 3, 1).contiguous().numpy()
    batch = np.stack([network.see(Image.fromarray(image)) for image in rgb])
    pixels = torch.from_numpy(batch).contiguous(memory_format=torch.channels_last)
    with torch.inference_mode():
        return network.module(pixels).flatten(1).numpy()


def with_features(
    source: Source, extractor: str, *, download: bool = False, progress: bool = False
) -> Source:
    """Return the source with features of a frozen network instead of its images.

    Args:
        source: of images in an array.
        extractor: see ``array_features``.
        download: see ``array_features``.
        progress: see ``array_features``.

    Raises:
        UserError: see ``array_features``.
    """
    if source.table is not None:
        raise UserError(
            f"`features={extractor!r}` is for images, and this data has {len(source.table.columns)}"
            " numbers a sample"
        )
    found = array_features(source.x, extractor, download=download, progress=progress)
    note = f"{len(found)} images are seen through {found.shape[1]} features of {extractor}"
    x = channels_first(torch.from_numpy(found))
    return replace(source, x=x, extractor=extractor, notes=(*source.notes, note))


def seen_through(x: Any, extractor: str) -> Any:
    """Return features of image files or of images; what is neither comes back as it is.

    Args:
        x: a list of files, images as uint8 in an array, or something else.
        extractor: see ``array_features``.
    """
    if are_files(x):
        return features_of_photos([Path(file) for file in x], extractor)
    array = np.asarray(x) if isinstance(x, (list, tuple)) else x
    if not isinstance(array, np.ndarray) or array.ndim < 3 or array.dtype != np.uint8:
        return x
    images = channels_first(torch.from_numpy(np.ascontiguousarray(array)))
    return array_features(images, extractor)


def _check(x: Tensor, extractor: str) -> None:
    if x.ndim != 4 or x.dtype != torch.uint8 or x.shape[1] not in CHANNELS or 1 in x.shape[2:]:
        raise UserError(
            f"`features={extractor!r}` needs images as bytes (uint8) with 1 or 3 channels, got "
            f"{str(x.dtype).removeprefix('torch.')} of shape {tuple(x.shape[1:])}"
        )


def _keys(x: Tensor, maker: str) -> list[bytes]:
    """The key of each image; those of files begin with another name."""
    begin = f"{maker}\0array {tuple(x.shape[1:])}\0".encode()

    def key(image: np.ndarray) -> bytes:
        return hashlib.blake2b(begin + image.tobytes(), digest_size=20).digest()

    with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as threads:
        return list(threads.map(key, x.numpy()))
