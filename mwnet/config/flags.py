"""Command-line arguments -> options. pydantic-settings generates the parser from the schema."""

import argparse
import functools
from pathlib import Path
from typing import Any, NoReturn

import yaml
from pydantic import Field, create_model
from pydantic_settings import CliSettingsSource

from mwnet.config.checks import SHORT, of_mode
from mwnet.config.command import Command
from mwnet.config.recipes import RUN_CONFIG, find_file, load_run, load_yaml, recipe_of
from mwnet.config.schema import OPTION_FIELDS, Config
from mwnet.config.search import SearchConfig
from mwnet.config.section import GROUPS
from mwnet.core.commands import with_remedy
from mwnet.core.errors import UserError, nearest
from mwnet.core.formats import dataset_of
from mwnet.core.scheduling import with_address

EPILOG = """\
Defaults are those of the recipe of the data set (configs/DATASET.yaml; to search a loss
configs/search/DATASET.yaml or default.yaml), and of the schema where the recipe says nothing:
--dataset NAME --help shows those of another data set. Flags win over the recipe. Hyper-parameters
of a method, model or loss are set by its flag and their name, for instance --model.width 8.
"""

DESCRIPTION = {
    "train": "Train on noisy labels and rank the suspect ones.",
    "loss-search": "Search for a Taylor loss that is robust to noisy labels.",
}

CHOICES = {
    "config": (Path | None, "Recipe (YAML) to use instead of the data set's own."),
    "resume": (Path | None, "Run folder to continue, bit for bit."),
}
"""Flags that choose a configuration instead of being part of one."""


class _Parser(argparse.ArgumentParser):
    """argparse, but options stand under the headings of the schema and errors are one sentence.

    Args:
        program: name for ``--help``.
        fields: of the schema, by name.
        recipe: values that the help shows as defaults instead of the schema's.
    """

    def __init__(self, program: str, fields: dict[str, Any], recipe: dict[str, Any]) -> None:
        usage, what = f"{program} [options]", DESCRIPTION.get(recipe.get("mode", "train"))
        super().__init__(program, usage, what, epilog=EPILOG, allow_abbrev=False)
        self.fields, self.recipe = fields, recipe
        self.headings = {name: self.add_argument_group(name) for name in (*GROUPS, "hidden")}

    def add_option(self, *names: str, **kwargs: Any) -> argparse.Action:
        name = kwargs["dest"]
        extra = self.fields[name].json_schema_extra
        if "{" not in kwargs.get("metavar", "{"):
            kwargs["metavar"] = kwargs["metavar"].upper().replace("LIST[INT]", "INT,INT")
            kwargs["metavar"] = kwargs["metavar"].replace("LIST[STR]", "NAME,NAME")
        heading = str(extra["group"]) if isinstance(extra, dict) else "hidden"
        if name in self.recipe and self.fields[name].description:
            value = self.recipe[name]
            items = value if isinstance(value, list) else [value]
            shown = ",".join(item if isinstance(item, str) else SHORT.repr(item) for item in items)
            kwargs["help"] = f"{self.fields[name].description} (default: {shown})"
        return self.headings[heading].add_argument(*names, **kwargs)

    def error(self, message: str) -> NoReturn:
        unknown = message.removeprefix("unrecognized arguments: ")
        if unknown != message:
            flag = unknown.split()[0]
            name = flag.split("=")[0].removeprefix("--").replace("-", "_")
            option, off = name.removeprefix("no_"), "=False" * name.startswith("no_")
            if option in Config.model_fields.keys() - self.fields.keys():
                option = f"`{option}{off}`"
                raise UserError(f"a search trains with the losses it tries: leave {option} out")
            known = [name for action in self._actions for name in action.option_strings]
            raise UserError(f"unknown argument {flag} ({nearest(flag.split('=')[0], known)})")
        raise UserError(with_remedy(message, self.prog.removesuffix(" [options]")))


def parse(
    argv: list[str], program: str = "train.py", mode: str | None = None
) -> tuple[Config | SearchConfig, Path | None]:
    """Turn command-line arguments into options.

    Args:
        argv: the arguments.
        program: name for ``--help``.
        mode: "train" or "loss-search"; None: as ``--mode``, the recipe or the resumed run says.

    Returns:
        The options, and the run folder to resume or None.

    Raises:
        UserError: an unknown flag, key or data set, a value of the wrong type or range.
        SystemExit: after ``--help``.
    """
    argv, options = _split_options(with_address(argv))
    ahead = _look_ahead(argv)
    recipe, source = _recipe(ahead, mode or ahead.mode)
    asked = mode or ahead.mode or recipe.get("mode", "train")
    if mode is not None and ahead.mode not in (None, mode):
        raise UserError(f"this command has the mode {mode}: leave `mode={ahead.mode!r}` out")
    if asked not in ("train", "loss-search"):
        raise UserError(f"`mode` got {asked!r}, expected train or loss-search")
    kind = SearchConfig if asked == "loss-search" else Config
    flags = {**_given(argv, kind, recipe, program), **options}
    flags.pop("config", None)
    if mode is not None:
        flags["mode"] = mode
    if flags.pop("resume", None) is not None:
        folder = Path(ahead.resume)
        return _resumed(flags, folder, of_mode(recipe, f"{source}: ")), folder
    return of_mode(_merged(recipe, flags)), None


def parse_training(argv: list[str]) -> Config:
    """Turn command-line arguments into the options of a training run; see ``parse``."""
    config = parse(argv)[0]
    if not isinstance(config, Config):
        raise UserError("a cell is one training: leave mode and seeds out")
    return config


def _look_ahead(argv: list[str]) -> argparse.Namespace:
    """The flags that decide which options there are, and which defaults the help shows."""
    first = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    for name in ("mode", "dataset", "data", "features", "config", "resume"):
        first.add_argument(f"--{name}")
    try:
        return first.parse_known_args(argv)[0]
    except argparse.ArgumentError as error:
        raise UserError(str(error)) from None


def _recipe(ahead: argparse.Namespace, mode: str | None) -> tuple[dict[str, Any], Path]:
    """The values below the flags, and the file that they are from."""
    if ahead.resume is not None:
        if ahead.config is not None:
            raise UserError("`resume` takes its configuration from the run; leave `config` out")
        path = Path(ahead.resume) / RUN_CONFIG
        if not path.is_file():
            raise UserError(f"{path.parent} holds no run to resume: there is no {path.name} in it")
        return load_run(path.parent), path
    if ahead.config is None:
        dataset = ahead.dataset or "digits"
        if ahead.dataset is None and ahead.data is not None:
            dataset = dataset_of(Path(ahead.data))
        recipe = recipe_of(dataset, mode or "train", pixels=ahead.features == "none")
        return (recipe if ahead.data is None else {**recipe, "dataset": dataset}), Path()
    path = find_file(Path(ahead.config))
    recipe = load_yaml(path)
    if ahead.dataset is None and ahead.data is not None and "dataset" not in recipe:
        recipe["dataset"] = dataset_of(Path(ahead.data))
    meant = recipe.get("dataset", "digits")
    if ahead.dataset not in (None, meant):
        raise UserError(
            f"{path} is a recipe for {meant}, but `dataset` asks for {ahead.dataset}; leave one "
            "of them out"
        )
    return recipe, path


def _given(
    argv: list[str], kind: type[Command], recipe: dict[str, Any], program: str
) -> dict[str, Any]:
    """Exactly what the command line says, by field name; values are checked later."""
    flags = _flags_of(kind)
    source = CliSettingsSource(
        flags,  # pyright: ignore[reportArgumentType]  (a BaseModel works as well)
        cli_parse_args=argv,
        root_parser=_Parser(program, flags.model_fields, recipe),
        add_argument_method=_Parser.add_option,
        cli_kebab_case=True,
        cli_implicit_flags=True,
        cli_hide_none_type=True,
        cli_avoid_json=True,
    )
    return source()


@functools.cache
def _flags_of(kind: type[Command]) -> type[Command]:
    """The options of a kind of run, with what is a choice of the command line alone."""
    choices: dict[str, Any] = {
        name: (
            annotation,
            Field(None, description=description, json_schema_extra={"group": "run"}),
        )
        for name, (annotation, description) in CHOICES.items()
    }
    return create_model("Flags", __base__=kind, **choices)


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
        except (yaml.YAMLError, ValueError, AttributeError):  # no YAML, or a date that is none
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
        if not isinstance(kept, dict):  # to be refused with its name
            continue
        options = {**kept, **flags.get(name, {})}
        if options:
            merged[name] = options
        else:
            merged.pop(name, None)
    if flags.get("noise") in ("none", "file") and "noise_rate" not in flags:
        merged["noise_rate"] = 0.0  # a recipe's rate is that of the recipe's noise
    elif "noise" in flags and not merged.get("noise_rate") and "noise_rate" not in flags:
        raise UserError(f"`noise={flags['noise']!r}` needs `noise_rate`, for instance 0.4")
    return merged


def _resumed(
    flags: dict[str, Any], folder: Path, started: Config | SearchConfig
) -> Config | SearchConfig:
    """The options of the run in ``folder``; flags may only repeat them or be harmless."""
    out = flags.pop("out", folder)
    if Path(out).resolve() != folder.resolve():
        raise UserError(f"`resume={str(folder)!r}` continues in that folder; leave `out` out")
    asked = of_mode(_merged(started.model_dump(), flags))
    for name in sorted(flags.keys() - started.resumable()):
        before, now = getattr(started, name), getattr(asked, name)
        if before != now:
            raise UserError(
                f"{folder} was started with {name} = {before}, so it cannot be resumed with {now}; "
                f"leave `{name}` out or start a new run"
            )
    return asked
