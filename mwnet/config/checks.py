"""Turn plain values into options, and refuse those that do not fit each other in one sentence.

Messages name options as Python arguments in backticks (`noise_rate=0.4`); the command line turns
them into flags. Like the schema this module imports neither torch nor the rest of mwnet.
"""

from reprlib import Repr
from typing import Any, TypeVar

from pydantic import ValidationError

from mwnet.config.command import Command
from mwnet.config.schema import USER_DATASETS, Config, DataOptions, OptimizerOptions
from mwnet.config.search import SearchConfig
from mwnet.core.errors import UserError, nearest

SHORT = Repr()
"""Writes what came without the whole of a value that is large, or that a YAML alias repeats."""
SHORT.maxstring = SHORT.maxother = SHORT.maxlong = 200
SHORT.maxlevel = 2

CommandT = TypeVar("CommandT", bound=Command)


def validate(values: dict[str, Any], source: str = "") -> Config:
    """Build the options of a training run.

    Args:
        values: by field name.
        source: what the message begins with, for instance the file that holds them.

    Raises:
        UserError: the first thing that is wrong.
    """
    config = _built(Config, values, source)
    _check_data(config)
    _check_optimizer(config)
    _check_training(config)
    return config


def validate_search(values: dict[str, Any], source: str = "") -> SearchConfig:
    """Build the options of a search for a loss; see ``validate``."""
    config = _built(SearchConfig, values, source)
    _check_data(config)
    _check_optimizer(config)
    return config


def of_mode(values: dict[str, Any], source: str = "") -> Config | SearchConfig:
    """Build the options that ``mode`` among the values asks for."""
    if values.get("mode") == "loss-search":
        return validate_search(values, source)
    return validate(values, source)


def _built(kind: type[CommandT], values: dict[str, Any], source: str) -> CommandT:
    try:
        return kind(**values)
    except ValidationError as error:
        raise UserError(source + _sentence(error, kind)) from None


def _sentence(error: ValidationError, kind: type[Command]) -> str:
    """The first complaint of pydantic as one sentence that names the option and what came."""
    first = error.errors()[0]
    name = str(first["loc"][0])
    if first["type"] == "extra_forbidden":
        if kind is SearchConfig and name in {*Config.model_fields, "method_options"}:
            flag = name.removesuffix("_options")
            return f"a search trains with the losses it tries: leave `{flag}` out"
        return f"unknown key '{name}' ({nearest(name, kind.model_fields)})"
    message = first["msg"][0].lower() + first["msg"][1:]
    if first["type"] == "path_type":
        message = "input should be a path"
    if name.endswith("_options") and len(first["loc"]) > 1:
        name = f"{name.removesuffix('_options')}.{first['loc'][1]}"
        message = "input should be a finite number or a word"
    return f"`{name}` got {SHORT.repr(first['input'])}: {message}"


def _check_data(options: DataOptions) -> None:
    """Refuse options of data and noise that do not fit each other."""
    if options.noise == "file" and options.noise_file is None:
        raise UserError("`noise='file'` needs `noise_file='labels.npz:key'`")
    if options.noise == "file" and options.noise_rate:
        raise UserError(f"`noise='file'` has the rate of its labels, got {options.noise_rate}")
    if options.noise.startswith("pmd") and options.noise_file is None:
        raise UserError(
            f"`noise={options.noise!r}` needs `noise_file` with a prediction for each training "
            "sample"
        )
    if options.noise_file is not None and not options.noise.startswith(("file", "pmd")):
        raise UserError(f"`noise_file` needs `noise='file'` or pmd, got `noise={options.noise!r}`")
    if options.dataset in USER_DATASETS and options.data is None:
        raise UserError(f"`dataset={options.dataset!r}` needs `data=PATH`")
    if options.dataset != "table":
        for name in ("label_column", "columns", "drop"):
            if getattr(options, name):
                raise UserError(f"`{name}` is for tables, not for {options.dataset}")
    if options.features not in ("auto", "none") and options.dataset in ("digits", "clothing1m"):
        raise UserError(
            f"`features` is for your own `data` and the sets of torchvision: leave "
            f"`features={options.features!r}` out"
        )
    if options.labels is not None and options.dataset != "arrays":
        raise UserError("`labels` is for samples in an .npy file")
    if options.data is not None and options.dataset not in USER_DATASETS:
        raise UserError(
            f"`data` is for `dataset` {', '.join(USER_DATASETS)}, not for {options.dataset}"
        )


def _check_optimizer(options: OptimizerOptions) -> None:
    """Refuse options of optimizer and schedule that do not fit each other."""
    if options.lr_schedule == "multistep" and not options.lr_milestones:
        raise UserError("`lr_schedule='multistep'` needs `lr_milestones`, for instance 40,50")
    if options.nesterov and not options.momentum:
        raise UserError("`nesterov` needs `momentum` above 0")


def _check_training(config: Config) -> None:
    """Refuse options of method and engine that do not fit each other."""
    if config.engine in ("ghost", "forward") and config.inner_steps != 1:
        raise UserError(
            f"`engine={config.engine!r}` is for one look-ahead step, got `inner_steps="
            f"{config.inner_steps}`; take `engine='higher'` or auto"
        )
    if config.cuda_graphs and config.engine == "higher":
        raise UserError(
            "`cuda_graphs` cannot record `engine='higher'`: take auto, ghost or forward"
        )
    if config.lag and (config.virtual_step, config.inner_steps) != ("optimizer", 1):
        raise UserError(
            "`lag` takes the look-ahead as the step, so it needs `virtual_step='optimizer'` and "
            "`inner_steps=1`"
        )
    if config.meta_source == "next-batch" and config.meta_size:
        raise UserError(
            f"`meta_source='next-batch'` holds no samples out: leave "
            f"`meta_size={config.meta_size}` out"
        )
    if config.meta_source == "confident" and config.meta_size == 0:
        raise UserError("`meta_source='confident'` needs `meta_size` above 0")
    if config.noise_rate_known and config.noise_rate_estimate is not None:
        raise UserError("`noise_rate_estimate` and `noise_rate_known` exclude each other")
    if config.seeds == 1 and (config.jobs is not None or config.ray not in (None, "none")):
        name = "jobs" if config.jobs is not None else "ray"
        raise UserError(f"`{name}` is for several trainings: give `seeds`, or leave it out")
