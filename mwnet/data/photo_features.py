"""Turn photos into features of a frozen pretrained network, once for each content of a file."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from mwnet.core.progress import bar
from mwnet.data.cache import FeatureCache, keys
from mwnet.data.decoding import decoded, worker_count
from mwnet.data.images import ADVICE
from mwnet.data.photo_networks import DEFAULT, find_extractor

KEEP = 64
"""Files whose features are written to the cache at once."""


def photo_features(
    files: Sequence[Path],
    extractor: str = DEFAULT,
    *,
    download: bool = False,
    progress: bool = False,
    workers: int | None = None,
    advice: str = ADVICE,
) -> np.ndarray:
    """Compute the features of photos, or find them in the cache.

    Features are what goes into the network's classification layer. They depend on a file's content
    and the network; batch size, workers and threads change them by rounding.

    Args:
        files: pictures; the same content is looked at once.
        extractor: name of the network, see ``photo_networks.find_extractor``.
        download: fetch weights that are not at hand; else nothing reaches for the network.
        progress: show a bar on stderr while features are computed.
        workers: processes that decode; None: half the CPUs, none for few files.
        advice: ends the message about a file that cannot be read.

    Returns:
        ``(n, d)`` float32; d is 1,280 for the default network.

    Raises:
        UserError: the first file that cannot be read; see also ``photo_networks.find_extractor``.
    """
    source = find_extractor(extractor)
    of_file = keys(files, source.maker)
    places: dict[bytes | int, list[int]] = {}
    for place, key in enumerate(of_file):
        places.setdefault(place if key is None else key, []).append(place)
    features = np.empty((len(files), 0), dtype=np.float32)

    def store(key: bytes | int, row: np.ndarray) -> None:
        nonlocal features
        if not features.shape[1]:
            features = np.empty((len(files), len(row)), dtype=np.float32)
        features[places.pop(key)] = row

    with FeatureCache() as cache:
        for key, row in cache.get([key for key in places if isinstance(key, bytes)]):
            store(key, row)
        left = list(places)
        if not left:
            return features
        network = source.load(download)
        firsts = [files[places[key][0]] for key in left]
        count = (worker_count(len(left)) + 1) // 2 if workers is None else workers
        fresh: list[tuple[bytes, np.ndarray]] = []
        at = 0
        known = len(files) - len(left)
        with bar(len(files), known, "photo", shown=progress) as counted:
            for batch in decoded(firsts, network.read, workers=count, advice=advice):
                x = torch.from_numpy(batch).contiguous(memory_format=torch.channels_last)
                with torch.inference_mode():
                    rows = network.module(x).flatten(1).numpy()
                for key, row in zip(left[at:], rows, strict=False):
                    store(key, row)
                    if isinstance(key, bytes):
                        fresh.append((key, row))
                at += len(rows)
                if len(fresh) >= KEEP or at == len(left):
                    cache.put(fresh)
                    fresh = []
                counted.update(len(rows))
    return features
