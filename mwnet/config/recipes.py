"""Read recipes, YAML files of options, and write a resolved configuration as one."""

from pathlib import Path
from typing import Any

import yaml

from mwnet.config.command import Command
from mwnet.config.schema import Config
from mwnet.config.search import SearchConfig
from mwnet.core.errors import UserError, nearest
from mwnet.core.shipped import CONFIGS, shipped
from mwnet.core.yaml_file import read_yaml

RECIPES = CONFIGS
"""Folder of the recipes that ship with the package."""


RUN_CONFIG = "config.yaml"
"""The resolved configuration in a run folder, itself a recipe."""


def load_yaml(path: Path, depth: int = 0) -> dict[str, Any]:
    """Read a recipe; a ``base:`` key names another file beside it whose values come first.

    Raises:
        UserError: the file cannot be read, is no mapping, or has a key that no option is called.
    """
    values = read_yaml(path, "configuration")
    if values is None:
        values = {}
    if not isinstance(values, dict):
        raise UserError(f"{path} must hold 'key: value' lines, got a {type(values).__name__}")
    fields = {**Config.model_fields, **SearchConfig.model_fields}
    for key in values:
        if key != "base" and key not in fields:
            raise UserError(f"{path}: unknown key '{key}' ({nearest(str(key), fields)})")
    base = values.pop("base", None)
    if base is None:
        return values
    if depth > 8:
        raise UserError(f"{path}: the chain of base: files does not end")
    return {**load_yaml(path.parent / str(base), depth + 1), **values}


def load_run(folder: Path) -> dict[str, Any]:
    """Read the resolved configuration in a run folder.

    Raises:
        UserError: as ``load_yaml``, or it is empty: then its defaults would be another run.
    """
    path = folder / RUN_CONFIG
    values = load_yaml(path)
    if not values:
        raise UserError(f"{path} is empty: the options of the run are lost")
    return values


def recipe_of(dataset: str, mode: str, *, pixels: bool = False) -> dict[str, Any]:
    """Read the recipe that ships for a data set.

    Args:
        dataset: its name.
        mode: "train" or "loss-search".
        pixels: whether photos of a folder are trained on as they are, without frozen features.

    Raises:
        UserError: there is none.
    """
    recipes = {path.stem: path for path in RECIPES.glob("*.yaml")}
    recipe = load_yaml(recipes[dataset]) if dataset in recipes else {}
    if recipe.get("dataset") != dataset:
        known = [name for name, path in recipes.items() if load_yaml(path).get("dataset") == name]
        raise UserError(f"unknown data set '{dataset}' ({nearest(dataset, known)})")
    if mode == "loss-search":
        own = RECIPES / "search" / f"{dataset}.yaml"
        return load_yaml(own if own.exists() else RECIPES / "search" / "default.yaml")
    return load_yaml(recipes["folder_pixels"]) if pixels and dataset == "folder" else recipe


def find_file(path: Path) -> Path:
    """Find a recipe: the file itself, or the one that ships; see ``shipped``."""
    return shipped(path)


def dump(config: Command) -> str:
    """Write the resolved configuration as YAML that ``--config`` reads back."""
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False)
