"""From photos in class folders to a source: features of a frozen network, or pixels."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from mwnet.core.errors import UserError
from mwnet.data.images import class_folders, pixels
from mwnet.data.labels import class_counts, encode_names
from mwnet.data.photo_networks import DEFAULT
from mwnet.data.source import Source, channels_first


def folder(
    path: Path,
    *,
    features: str | None = "auto",
    image_size: int = 32,
    skip_bad: bool = False,
    download: bool = False,
    progress: bool = False,
) -> Source:
    """Read photos in ``path/CLASS/...``, or in ``path/train/CLASS/...`` and ``path/test/...``.

    Args:
        path: of the tree, see ``class_folders``.
        features: frozen network that they go through; ``auto`` for efficientnet-lite0; ``none`` for
            pixels; None to look at no photo, where features come from elsewhere.
        image_size: side in pixels of photos that are kept as pixels.
        skip_bad: leave unreadable photos out.
        download: whether weights of the frozen network may be fetched.
        progress: show a bar while features are taken.

    Raises:
        UserError: no such folder, no classes, an unreadable photo (unless ``skip_bad``), an unknown
            network.
    """
    tree = class_folders(path, skip_bad=skip_bad)
    own = len(tree.labels) if tree.test_start is None else tree.test_start
    classes, ids = encode_names(tree.labels[:own], tree.labels[own:], str(tree.parts[0]))
    extractor = None
    if features is None:
        x = torch.empty(len(ids), 0, 1, 1)
    elif features == "none":
        x = pixels(tree.files, image_size)
    else:
        extractor = DEFAULT if features == "auto" else features
        found = features_of_photos(tree.files, extractor, download=download, progress=progress)
        x = channels_first(torch.from_numpy(found))
    what = "pixels" if extractor is None else f"{x.shape[1]} features of {extractor}"
    note = f"{path}: {len(ids)} photos, {class_counts(classes, ids)}"
    return Source(
        name="folder",
        x=x,
        labels=ids,
        truth=None,
        classes=classes,
        test_ids=None if tree.test_start is None else torch.arange(own, len(ids)),
        names=tree.names,
        skipped=tree.skipped,
        extractor=extractor,
        notes=(note if features is None else f"{note}, {what}", *tree.notes),
    )


def features_of_photos(
    files: Sequence[Path], extractor: str, *, download: bool = False, progress: bool = False
) -> np.ndarray:
    """Return ``(n, d)`` float32 features of photos, computed or from the cache.

    Raises:
        UserError: see ``photo_features``.
    """
    if extractor.startswith(("sentence-transformers:", "tfidf")):
        raise UserError(f"`features={extractor!r}` is for texts, and these are photos")
    from mwnet.data.photo_features import photo_features

    return photo_features(files, extractor, download=download, progress=progress)
