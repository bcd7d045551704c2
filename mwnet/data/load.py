"""From a name on the command line to a loaded source."""

from pathlib import Path

from mwnet.core.errors import nearest
from mwnet.data import builtin
from mwnet.data.source import Source

DATASETS = ("digits", *builtin.TORCHVISION, "clothing1m", "folder", "arrays", "table")


def load(
    name: str,
    *,
    path: Path | None = None,
    root: Path = Path("data"),
    download: bool = False,
    label_column: str = "label",
    image_size: int = 32,
    skip_bad: bool = False,
) -> Source:
    """Load a data set by name; ``path`` is where the user's own lies, ``root`` that of a
    benchmark set.

    Raises:
        ValueError: unknown name, missing or broken data.
    """
    if name == "digits":
        return builtin.digits()
    if name in builtin.TORCHVISION:
        return builtin.torchvision_set(name, root, download)
    if name == "clothing1m":
        from mwnet.data.clothing1m import clothing1m

        return clothing1m(root, image_size)
    if path is not None:
        from mwnet.data import user  # Pillow is only needed from here on

        if name == "folder":
            return user.folder(path, image_size, skip_bad)
        if name == "arrays":
            return user.arrays(path)
        if name == "table":
            return user.table(path, label_column)
    raise ValueError(f"unknown data set '{name}' ({nearest(name, DATASETS)})")
