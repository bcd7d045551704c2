"""Build the meta set that the method needs, and refuse options that contradict the method."""

import torch
from torch import Tensor

from mwnet.config.schema import TrainingOptions
from mwnet.core.errors import UserError
from mwnet.data import Batches, Split
from mwnet.data.meta import MetaSource, NextBatches
from mwnet.data.split import default_meta_size
from mwnet.data.verdicts import Corrections
from mwnet.methods import METHODS, Method
from mwnet.methods.confident import ConfidentBatches

FEWEST = 5
"""Trusted samples of each class that a meta set of them needs."""
NOT_TOLD = -1
"""Where a clean meta set has a label for another sample than its own."""


def check_needs(options: TrainingOptions, wanted: type[Method]) -> None:
    """Refuse options that contradict what the method needs.

    Raises:
        UserError: one sentence that names the option to change.
    """
    name = f"`method={options.method!r}`"
    if wanted.meta == "clean" and options.meta_noisy:
        raise UserError(
            f"{name} learns from a clean meta set, which needs true labels: give "
            "`meta_noisy=False` where the data has them, or take another method"
        )
    if wanted.meta == "clean" and options.meta_source != "held-out":
        raise UserError(
            f"{name} learns from a clean meta set, which `meta_source={options.meta_source!r}` is "
            "not"
        )
    if options.lag and not wanted.takes_lag:
        able = ", ".join(key for key, entry in METHODS.items() if entry.takes_lag)
        raise UserError(f"{name} takes no `lag`; {able} do")
    if options.meta_source == "confident" and options.epochs == 1:
        raise UserError(
            "`meta_source='confident'` needs a first epoch to look at: `epochs` above 1"
        )
    if wanted.meta == "none" and options.meta_source != "held-out":
        raise UserError(f"{name} uses no meta set: leave `meta_source` out")
    if wanted.out_of_fold and options.meta_size:
        raise UserError(
            f"`meta_size={options.meta_size}` is for a meta set that is held out, and {name} holds "
            "none out: leave one of them out"
        )
    told = options.noise_rate_known or options.noise_rate_estimate is not None
    if told and not wanted.needs_noise_rate:
        needing = ", ".join(key for key, entry in METHODS.items() if entry.needs_noise_rate)
        raise UserError(f"{name} does not ask for a noise rate; {needing} do")


def trusted_meta(corrections: Corrections | None, parts: Split, labels: Tensor) -> Tensor | None:
    """Return the training samples that a reviewer vouches for, if they make a clean meta set.

    Args:
        corrections: what the reviewer said.
        parts: of the samples.
        labels: ``(n,)`` labels after corrections.

    Returns:
        Their ids; None if a class has fewer than ``FEWEST`` of them.
    """
    if corrections is None:
        return None
    ids = corrections.trusted
    ids = ids[torch.isin(ids, parts.train)]
    classes = int(labels.max()) + 1
    return ids if int(labels[ids].bincount(minlength=classes).min()) >= FEWEST else None


def meta_batches(
    options: TrainingOptions,
    train: Batches,
    parts: Split,
    given: Tensor,
    truth: Tensor | None,
) -> MetaSource:
    """Build what a method with a meta set is given at each step.

    Args:
        options: of the training.
        train: the training samples.
        parts: which samples are held out as the meta set.
        given: ``(n,)`` given labels by sample id.
        truth: ``(n,)`` true labels if the meta set is to have them, else None. The batches hold
            them for the meta samples alone: a method cannot look up any other.

    Raises:
        UserError: no samples for a meta set, or fewer than asked for.
    """
    size = options.meta_batch_size or options.batch_for(len(parts.train))
    if options.meta_source == "next-batch":
        return NextBatches(train)
    if options.meta_source == "confident":
        available = len(parts.train)
        wanted = default_meta_size(available) if options.meta_size is None else options.meta_size
        if not 0 < wanted <= available:
            raise UserError(
                f"`meta_source='confident'` needs `meta_size` from 1 to {available}, got {wanted}"
            )
        return ConfidentBatches(train, wanted, size)
    if not len(parts.meta):
        raise UserError(
            f"`method={options.method!r}` needs a meta set, and of {len(parts.train)} training "
            "samples none is held out for it: give `meta_size` above 0"
        )
    labels = given
    if truth is not None:
        labels = torch.full_like(truth, NOT_TOLD)
        labels[parts.meta] = truth[parts.meta]
    return Batches(train.pixels, labels, parts.meta, size, options.seed, "meta")
