"""Build what a method is trained on: the data set, its batches, and the meta set."""

import torch

from mwnet.builders.dataset import dataset
from mwnet.builders.meta import meta_batches, trusted_meta
from mwnet.config.schema import DataOptions, NetworkOptions, TrainingOptions
from mwnet.core.errors import UserError, lookup
from mwnet.data import Batches, Source
from mwnet.data.dataset import Dataset
from mwnet.data.meta import MetaSource
from mwnet.losses import LOSSES, OF_BATCH, TWO_VIEWS
from mwnet.methods import METHODS, Method

TRUST = 2.0
"""How much more a label counts that a reviewer vouches for, where a method takes weights."""


def samples(
    data_options: DataOptions,
    network_options: NetworkOptions,
    options: TrainingOptions,
    wanted: type[Method],
    device: torch.device,
    source: Source,
) -> tuple[Dataset, Batches, MetaSource | None, bool]:
    """Return the data, the batches of training and meta samples, and whether the latter are clean.

    Raises:
        UserError: labels, sizes or options that do not fit the data or the method.
    """
    lookup(LOSSES, options.meta_loss, "meta loss")  # also where the method does not read it
    of_training = options.meta_source != "held-out"
    own_meta = source.meta_ids is not None
    clean_meta = wanted.meta != "none" and not (options.meta_noisy or of_training)
    may_trust = wanted.meta != "none" and not (of_training or own_meta)
    may_trust = may_trust and source.review is not None
    if clean_meta and source.truth is None and not (own_meta or may_trust):
        hint = (
            "give `meta_noisy=True`, best with `meta_loss='mae'`, or `meta_source='confident'`"
            if wanted.meta == "any"
            else "take another method"
        )
        raise UserError(
            f"`method={options.method!r}` has a clean meta set, which needs true labels, and this "
            f"data has none (y_true): {hint}"
        )
    data = dataset(
        data_options,
        source,
        device,
        meta_size=0 if of_training or wanted.out_of_fold else options.meta_size,
        clean_meta=clean_meta and not own_meta,
        trusted_meta=may_trust,
        channels_last=network_options.channels_last,
    )
    given = data.labels.cpu()
    two_views = wanted.takes_loss == "any" and options.loss in TWO_VIEWS
    train = Batches(
        data.pixels,
        given,
        data.parts.train,
        options.batch_for(len(data.parts.train)),
        options.seed,
        "train",
        two_views=two_views,
        weights=_weights(source, data, options, wanted),
    )
    if wanted.meta == "none":
        return data, train, None, clean_meta
    if may_trust:
        ids = trusted_meta(data.corrections, data.parts, given)
        if ids is not None:
            size = options.meta_batch_size or train.batch_size
            return data, train, Batches(data.pixels, given, ids, size, options.seed, "meta"), True
    truth = data.truth if clean_meta and not own_meta else None
    return data, train, meta_batches(options, train, data.parts, given, truth), clean_meta


def _weights(
    source: Source, data: Dataset, options: TrainingOptions, wanted: type[Method]
) -> torch.Tensor | None:
    """The weights of the samples, scaled to a mean of 1 in training; None if all are equal.

    Raises:
        UserError: the method cannot weight samples, and the caller's weights differ.
    """
    weights = torch.ones(len(data.labels)) if source.weights is None else source.weights
    used = weights[data.parts.train]
    if not wanted.takes_sample_weight and not bool((used == used[0]).all()):
        known = ", ".join(name for name, entry in METHODS.items() if entry.takes_sample_weight)
        raise UserError(
            f"`method={options.method!r}` takes no `sample_weight` but 0 and one other value; "
            f"{known} do"
        )
    weighted = wanted.takes_sample_weight and options.loss not in OF_BATCH
    if weighted and data.corrections is not None:
        weights = torch.where(data.trusted, TRUST * weights, weights)
        used = weights[data.parts.train]
    return None if bool((used == used[0]).all()) else weights / used.mean()
