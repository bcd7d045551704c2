"""Plain values -> Config, where options that do not fit each other become one sentence.

Like the schema it imports neither torch nor the rest of mwnet.
"""

from typing import Any

from pydantic import ValidationError

from mwnet.config import USER_DATASETS, Config
from mwnet.errors import UserError, nearest


def validate(values: dict[str, Any], source: str = "") -> Config:
    """Build a Config from plain values; the first thing wrong becomes one sentence."""
    try:
        config = Config(**values)
    except ValidationError as error:
        raise UserError(source + _sentence(error)) from None
    _check_noise(config)
    if config.dataset in USER_DATASETS and config.data is None:
        raise UserError(f"--dataset {config.dataset} needs --data PATH")
    if config.data is not None and config.dataset not in USER_DATASETS:
        raise UserError(
            f"--data is for --dataset {', '.join(USER_DATASETS)}, not for {config.dataset}"
        )
    if config.lr_schedule == "multistep" and not config.lr_milestones:
        raise UserError("--lr-schedule multistep needs --lr-milestones, for instance 40,50")
    if config.engine == "forward" and config.inner_steps != 1:
        raise UserError(
            f"--engine forward is for one look-ahead step, got --inner-steps {config.inner_steps}; "
            "take --engine higher or auto"
        )
    if config.cuda_graphs and config.engine == "higher":
        raise UserError("--cuda-graphs cannot record --engine higher: take auto or forward")
    if config.meta_source == "confident" and config.meta_size == 0:
        raise UserError("--meta-source confident needs --meta-size above 0")
    if config.mode == "loss-search":
        _check_search(config)
    if config.nesterov and not config.momentum:
        raise UserError("--nesterov needs --momentum above 0")
    return config


def _check_search(config: Config) -> None:
    """Refuse what contradicts a search: its losses are its own, and so is how it trains."""
    if config.epochs < 4**config.search_halving:
        raise UserError(
            f"--search-halving {config.search_halving} begins with a {4**config.search_halving}th "
            f"of the epochs, and there are {config.epochs}"
        )
    for name in ("method", "loss", "method_options", "loss_options", "max_steps", "seeds"):
        if getattr(config, name) != Config.model_fields[name].default:
            flag = name.removesuffix("_options").replace("_", "-")
            raise UserError(
                f"--mode loss-search trains with the losses it tries: leave --{flag} out"
            )
    if config.train_size is not None:
        raise UserError("--train-size is for one training; a search has --search-samples")
    for flag in ("compile", "cuda_graphs", "eval_every"):
        if getattr(config, flag) != Config.model_fields[flag].default:
            raise UserError(f"--mode loss-search does not go with --{flag.replace('_', '-')}")


def _check_noise(config: Config) -> None:
    """Refuse noise options that do not fit each other."""
    if config.noise == "file" and config.noise_file is None:
        raise UserError("--noise file needs --noise-file labels.npz:key")
    if config.noise == "file" and config.noise_rate:
        raise UserError(f"--noise file has the rate of its labels, got {config.noise_rate}")
    if config.noise.startswith("pmd") and config.noise_file is None:
        raise UserError(
            f"--noise {config.noise} needs --noise-file with a prediction for each training sample"
        )
    if config.noise_file is not None and not config.noise.startswith(("file", "pmd")):
        raise UserError(f"--noise-file needs --noise file or pmd, got --noise {config.noise}")
    if config.noise_rate_known and config.noise_rate_estimate is not None:
        raise UserError("--noise-rate-estimate and --noise-rate-known exclude each other")


def _sentence(error: ValidationError) -> str:
    """The first complaint of pydantic as one sentence that names the flag and what came."""
    first = error.errors()[0]
    name = str(first["loc"][0])
    if first["type"] == "extra_forbidden":
        return f"unknown key '{name}' ({nearest(name, Config.model_fields)})"
    message = first["msg"][0].lower() + first["msg"][1:]
    return f"--{name.replace('_', '-')} got {first['input']!r}: {message}"
