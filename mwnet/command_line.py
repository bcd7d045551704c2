"""Command-line arguments -> Config. pydantic-settings generates the parser from the schema."""

import argparse
from pathlib import Path
from typing import Any, NoReturn

import yaml
from pydantic import Field
from pydantic_settings import CliSettingsSource

from mwnet.config import OPTION_FIELDS, RESUMABLE_CHANGES, Config
from mwnet.errors import UserError, nearest
from mwnet.recipe import load_yaml
from mwnet.validation import validate

RECIPES = Path(__file__).resolve().parent.parent / "configs"

EPILOG = """\
Without --config the recipe configs/DATASET.yaml of the data set is taken (to search a loss
configs/search/DATASET.yaml or default.yaml), then the flags; the defaults above are those of the
schema, where the recipe says nothing. Hyper-parameters of a model or loss are set by its flag
and their name, for instance --model.width 8.
"""


class Flags(Config):
    """The schema and the two flags that choose a configuration instead of being part of one."""

    config: Path | None = Field(
        None,
        description="Recipe (YAML) to use instead of the data set's own.",
        json_schema_extra={"group": "run"},
    )
    resume: Path | None = Field(
        None,
        description="Run folder to continue, bit for bit.",
        json_schema_extra={"group": "run"},
    )


class _Parser(argparse.ArgumentParser):
    """argparse, but options stand under the headings of the schema and errors are one sentence."""

    def __init__(self) -> None:
        super().__init__("train.py", epilog=EPILOG, allow_abbrev=False)
        self.headings: dict[str, Any] = {}

    def add_option(self, *names: str, **kwargs: Any) -> argparse.Action:
        field = Flags.model_fields[kwargs["dest"]]
        extra = field.json_schema_extra
        if "{" not in kwargs.get("metavar", "{"):
            kwargs["metavar"] = kwargs["metavar"].upper().replace("LIST[INT]", "INT,INT")
        heading = str(extra["group"]) if isinstance(extra, dict) else "hidden"
        if heading not in self.headings:
            self.headings[heading] = self.add_argument_group(heading)
        return self.headings[heading].add_argument(*names, **kwargs)

    def error(self, message: str) -> NoReturn:
        unknown = message.removeprefix("unrecognized arguments: ")
        if unknown != message:
            flag = unknown.split()[0]
            known = [name for action in self._actions for name in action.option_strings]
            raise UserError(f"unknown argument {flag} ({nearest(flag.split('=')[0], known)})")
        raise UserError(message)


def parse(argv: list[str]) -> tuple[Config, Path | None]:
    """Turn command-line arguments into a Config.

    Returns:
        The Config, and the run folder to resume or None.

    Raises:
        UserError: an unknown flag, key or data set, a value of the wrong type or range.
        SystemExit: after ``--help``.
    """
    flags = _given(argv)
    config_file, resume = flags.pop("config", None), flags.pop("resume", None)
    if resume is not None:
        if config_file is not None:
            raise UserError("--resume takes its configuration from the run; leave --config out")
        return _resumed(flags, Path(resume)), Path(resume)
    if config_file is None:
        recipe = load_yaml(_recipe_of(flags.get("dataset", "digits"), flags.get("mode", "train")))
    else:
        recipe = load_yaml(Path(config_file))
        meant = recipe.get("dataset", "digits")
        if flags.get("dataset", meant) != meant:
            raise UserError(
                f"{config_file} is a recipe for {meant}, but --dataset asks for "
                f"{flags['dataset']}; leave one of them out"
            )
    return validate(_merged(recipe, flags)), None


def _given(argv: list[str]) -> dict[str, Any]:
    """Exactly what the command line says, by field name; values are checked later."""
    argv, options = _split_options(argv)
    parser = _Parser()
    source = CliSettingsSource(
        Flags,  # pyright: ignore[reportArgumentType]  (a BaseModel works as well)
        cli_parse_args=argv,
        root_parser=parser,
        add_argument_method=_Parser.add_option,
        cli_kebab_case=True,
        cli_implicit_flags=True,
        cli_hide_none_type=True,
        cli_avoid_json=True,
    )
    return {**source(), **options}


def _split_options(argv: list[str]) -> tuple[list[str], dict[str, Any]]:
    """Take ``--model.width 8`` and its like out of the arguments, as ``model_options``."""
    rest: list[str] = []
    options: dict[str, Any] = {}
    queue = list(argv)
    while queue:
        argument = queue.pop(0)
        flag, _, value = argument.partition("=")
        owner, dot, key = flag.removeprefix("--").replace("-", "_").partition(".")
        if not (argument.startswith("--") and dot and owner in OPTION_FIELDS):
            rest.append(argument)
            continue
        if "=" not in argument:
            if not queue:
                raise UserError(f"argument {flag}: expected one argument")
            value = queue.pop(0)
        try:
            parsed = yaml.safe_load(value)
        except yaml.YAMLError:
            parsed = value
        if not isinstance(parsed, (int, float, str)):
            raise UserError(f"{flag} got '{value}', expected a number or a word")
        options.setdefault(f"{owner}_options", {})[key] = parsed
    return rest, options


def _merged(recipe: dict[str, Any], flags: dict[str, Any]) -> dict[str, Any]:
    """Flags over recipe; a flag that names another model drops the recipe's options for its own."""
    merged = {**recipe, **flags}
    for owner in OPTION_FIELDS:
        name = f"{owner}_options"
        kept = recipe.get(name, {}) if flags.get(owner) in (None, recipe.get(owner)) else {}
        merged[name] = {**kept, **flags.get(name, {})}
    if flags.get("noise") in ("none", "file") and "noise_rate" not in flags:
        merged["noise_rate"] = 0.0  # a recipe's rate is that of the recipe's noise
    elif "noise" in flags and not merged.get("noise_rate") and "noise_rate" not in flags:
        raise UserError(f"--noise {flags['noise']} needs --noise-rate, for instance 0.4")
    return merged


def _recipe_of(dataset: str, mode: str) -> Path:
    recipes = {path.stem: path for path in RECIPES.glob("*.yaml")}
    known = [name for name in recipes if load_yaml(recipes[name]).get("dataset") == name]
    if dataset not in known:
        raise UserError(f"unknown data set '{dataset}' ({nearest(dataset, known)})")
    if mode == "loss-search":
        own = RECIPES / "search" / f"{dataset}.yaml"
        return own if own.exists() else RECIPES / "search" / "default.yaml"
    return recipes[dataset]


def _resumed(flags: dict[str, Any], folder: Path) -> Config:
    """The configuration of the run in ``folder``; flags may only repeat it or be harmless."""
    path = folder / "config.yaml"
    if not path.is_file():
        raise UserError(f"{folder} holds no run to resume: there is no {path.name} in it")
    started = validate(load_yaml(path), f"{path}: ")
    out = flags.pop("out", folder)
    if Path(out).resolve() != folder.resolve():
        raise UserError(f"--resume {folder} continues in that folder; leave --out {out} out")
    asked = validate(_merged(started.model_dump(), flags))
    for name in sorted(flags.keys() - RESUMABLE_CHANGES):
        before, now = getattr(started, name), getattr(asked, name)
        if before != now:
            raise UserError(
                f"{folder} was started with {name} = {before}, so it cannot be resumed with {now}; "
                f"leave --{name.replace('_', '-')} out or start a new run"
            )
    return asked
