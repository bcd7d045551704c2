"""Name a run by what tells it apart."""

from mwnet.config.schema import Config


def describe(config: Config) -> str:
    """Name the method with what tells its variants apart, for instance ``mwnet-mae-noisy``."""
    if config.method != "mwnet":
        return config.method
    labels = "noisy" if config.meta_noisy else "clean"
    if config.meta_source != "held-out":
        labels = config.meta_source
    return f"mwnet-{config.meta_loss}-{labels}"


def folder_name(config: Config) -> str:
    """Name the run folder: data set, method, noise and seed."""
    rate = f"{config.noise_rate:g}" if config.noise_rate else ""
    return f"{config.dataset}-{describe(config)}-{config.noise}{rate}-seed{config.seed}"
