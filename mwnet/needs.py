"""What a method needs beside training samples: checked against the options, and provided."""

from torch import Tensor

from mwnet.config import Config
from mwnet.data import Batches, Split
from mwnet.data.split import default_meta_size
from mwnet.errors import UserError
from mwnet.methods import METHODS, Method
from mwnet.methods.confident import ConfidentBatches


def check_needs(config: Config, wanted: type[Method]) -> None:
    """Refuse options that contradict what the method needs.

    Raises:
        UserError: one sentence that names the option to change.
    """
    name = config.method
    if wanted.meta == "clean" and config.meta_noisy:
        raise UserError(f"--method {name} learns from a clean meta set: leave --meta-noisy out")
    if wanted.meta == "clean" and config.meta_source == "confident":
        raise UserError(
            f"--method {name} learns from a clean meta set, which --meta-source confident is not"
        )
    if config.meta_source == "confident" and config.epochs == 1:
        raise UserError("--meta-source confident needs a first epoch to look at: --epochs above 1")
    if wanted.meta == "none" and config.meta_source == "confident":
        raise UserError(f"--method {name} uses no meta set: leave --meta-source out")
    told = config.noise_rate_known or config.noise_rate_estimate is not None
    if told and not wanted.needs_noise_rate:
        needing = ", ".join(key for key, entry in METHODS.items() if entry.needs_noise_rate)
        raise UserError(f"--method {name} does not ask for a noise rate; {needing} do")


def meta_batches(
    config: Config, train: Batches, parts: Split, labels: Tensor | None
) -> Batches | ConfidentBatches:
    """What a method with a meta set is given at each step.

    Args:
        config: what was asked for.
        train: the training samples.
        parts: which samples are held out as the meta set.
        labels: of the meta set, by sample id.

    Raises:
        UserError: no samples for a meta set, or fewer than asked for.
    """
    size = config.meta_batch_size or config.batch_size
    if config.meta_source == "confident":
        available = len(parts.train)
        wanted = default_meta_size(available) if config.meta_size is None else config.meta_size
        if not 0 < wanted <= available:
            raise UserError(
                f"--meta-source confident needs --meta-size from 1 to {available}, got {wanted}"
            )
        return ConfidentBatches(train, wanted, size)
    if not len(parts.meta):
        raise UserError(
            f"--method {config.method} needs a meta set, and of {len(parts.train)} training "
            "samples none is held out for it: give --meta-size above 0"
        )
    assert labels is not None  # split() has refused a clean meta set without truth
    # A clean meta set carries true labels, for its own samples only.
    return Batches(train.pixels, labels, parts.meta, size, config.seed, "meta")
