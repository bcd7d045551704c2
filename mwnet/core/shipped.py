"""Find files that ship with the package: recipes, tables of runs, found losses."""

from importlib.resources import files
from pathlib import Path

from mwnet.core.errors import UserError, nearest

CONFIGS = Path(str(files("mwnet"))) / "configs"
"""Folder of all files that ship."""


def shipped(path: Path, folder: str = "") -> Path:
    """Find a file: the one that is there, or else one that ships with the package.

    ``configs/tables/digits_main.yaml`` is found wherever the program is started, and so is
    ``digits_main`` where the folder is "tables".

    Args:
        path: of the file, or a bare name without suffix.
        folder: of ``CONFIGS`` in which a bare name is looked for.

    Returns:
        The path itself if there is no such file.
    """
    if path.is_file() or path.is_absolute():
        return path
    if path.parts[:1] == ("configs",):
        found = CONFIGS / path.relative_to("configs")
    else:
        found = CONFIGS / folder / f"{path}.yaml"
        if len(path.parts) != 1 or path.suffix:
            return path
    return found if found.is_file() else path


def find_shipped(path: Path, folder: str, kind: str) -> Path:
    """Find a file as ``shipped`` does, and refuse one that is not there.

    Raises:
        UserError: no such file; with the names in the folder that are nearest to it.
    """
    found = shipped(path, folder)
    if not found.exists():
        names = [one.stem for one in (CONFIGS / folder).glob("*.yaml")]
        hint = nearest(path.stem, names)
        raise UserError(f"cannot read the {kind} {path}: no such file, here or shipped ({hint})")
    return found
