"""Recipes: YAML files of options, and how a resolved configuration becomes one again."""

from pathlib import Path
from typing import Any

import yaml

from mwnet.config import Config
from mwnet.errors import UserError, nearest
from mwnet.yaml_file import read_yaml


def load_yaml(path: Path, depth: int = 0) -> dict[str, Any]:
    """Read a recipe; a ``base:`` key names another file beside it whose values come first."""
    values = read_yaml(path, "configuration")
    if values is None:
        values = {}
    if not isinstance(values, dict):
        raise UserError(f"{path} must hold 'key: value' lines, got a {type(values).__name__}")
    for key in values:
        if key != "base" and key not in Config.model_fields:
            raise UserError(
                f"{path}: unknown key '{key}' ({nearest(str(key), Config.model_fields)})"
            )
    base = values.pop("base", None)
    if base is None:
        return values
    if depth > 8:
        raise UserError(f"{path}: the chain of base: files does not end")
    return {**load_yaml(path.parent / str(base), depth + 1), **values}


def dump(config: Config) -> str:
    """The resolved configuration as YAML that ``--config`` reads back."""
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False)
