"""From a name on the command line to a loaded source."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from mwnet.core.errors import UserError, nearest
from mwnet.data import builtin
from mwnet.data.remarks import remarks
from mwnet.data.source import Source

DATASETS = ("digits", *builtin.TORCHVISION, "clothing1m", "folder", "arrays", "table")
SENTENCES = "sentence-transformers:"
EXTRACTORS = ("efficientnet-lite0", "efficientnet-lite0@", "torchvision:", "timm:")
"""Frozen networks that images in arrays go through; a name goes on behind : or @."""
FILES = (".npy", ".npz")
"""Endings of features that the user has computed."""


def load(
    name: str,
    *,
    path: Path | None = None,
    root: Path = Path("data"),
    download: bool = False,
    labels: Path | None = None,
    label_column: str | None = None,
    columns: Sequence[str] = (),
    drop: Sequence[str] = (),
    features: str = "auto",
    image_size: int = 32,
    skip_bad: bool = False,
    progress: bool = False,
) -> Source:
    """Load a data set.

    Args:
        name: one of ``DATASETS``.
        path: the user's own data: folder, arrays or table.
        root: where benchmark sets lie.
        download: whether a missing benchmark set or frozen network may be fetched.
        labels: labels of an ``.npy``.
        label_column: of a table, see ``load_table``.
        columns: of a table, see ``load_table``.
        drop: of a table, see ``load_table``.
        features: see ``DataOptions``.
        image_size: side in pixels of photos that are trained on as they are.
        skip_bad: leave unreadable photos out.
        progress: show a bar while features are taken.

    Raises:
        ValueError: unknown name, missing or broken data.
    """
    if name == "digits":
        return builtin.digits()
    if name in builtin.TORCHVISION:
        source = builtin.torchvision_set(name, root, download)
        if features.endswith(FILES):
            return _with_features(source, Path(features))
        _check_features(features, name, ("auto", "none", *EXTRACTORS))
        return _seen(source, features, download=download, progress=progress)
    if name == "clothing1m":
        from mwnet.data.clothing1m import clothing1m

        return clothing1m(root, image_size)
    if path is None or name not in ("folder", "arrays", "table"):
        raise ValueError(f"unknown data set '{name}' ({nearest(name, DATASETS)})")
    own = Path(features) if features.endswith(FILES) else None
    if own is not None:
        features = "none" if name == "folder" else "auto"
    if name == "arrays":
        from mwnet.data.arrays import arrays

        _check_features(features, name, ("auto", "none", *EXTRACTORS))
        source = _seen(arrays(path, labels), features, download=download, progress=progress)
    elif name == "table":
        from mwnet.data.tables.loading import load_table

        _check_features(features, name, ("auto", "none", "tfidf", SENTENCES))
        source = load_table(
            path,
            label_column=label_column,
            columns=columns,
            drop=drop,
            embedding=features if features.startswith(SENTENCES) else "tfidf",
        )
    else:
        from mwnet.data.folder import folder

        source = folder(
            path,
            features=None if own is not None else features,
            image_size=image_size,
            skip_bad=skip_bad,
            download=download,
            progress=progress,
        )
    if own is not None:
        source = _with_features(source, own)
    return replace(source, notes=(*source.notes, *remarks(source)))


def _check_features(features: str, name: str, known: Sequence[str]) -> None:
    """Refuse features of another kind of data."""
    if not any(
        features == one or (one.endswith((":", "@")) and features.startswith(one)) for one in known
    ):
        raise UserError(
            f"`features={features!r}` does not fit data of the kind {name}: take one of "
            f"{', '.join(known)}, or an .npy or .npz of your own"
        )


def _seen(source: Source, features: str, *, download: bool, progress: bool) -> Source:
    """The source with features of a frozen network, where that is asked for."""
    if features in ("auto", "none"):
        return source
    from mwnet.data.array_features import with_features

    return with_features(source, features, download=download, progress=progress)


def _with_features(source: Source, path: Path) -> Source:
    """The source with features that the user has computed, instead of its samples."""
    from mwnet.data.arrays import embeddings

    names = source.names or [str(row) for row in range(len(source.labels))]
    x, order = embeddings(path, names)
    note = f"{path}: {x.shape[1]} features a sample are used instead of the data's own; {order}"
    return replace(
        source,
        x=x,
        table=None,
        feature_names=None,
        fingerprint=None,
        extractor=None,
        notes=(*source.notes, note),
    )
