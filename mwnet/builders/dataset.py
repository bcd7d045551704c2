"""Build the data set that the options name: load, add noise, divide, bring to the device."""

from dataclasses import replace

import torch
from torch import Tensor

from mwnet.builders.labels import given_labels
from mwnet.builders.meta import FEWEST, trusted_meta
from mwnet.config.schema import DataOptions
from mwnet.core.errors import UserError
from mwnet.data import Pixels, Source, Split, split
from mwnet.data.corrections import read_corrections
from mwnet.data.dataset import Dataset
from mwnet.data.load import load
from mwnet.data.verdicts import UNSURE, Corrections


def load_source(options: DataOptions, *, progress: bool = False) -> Source:
    """Load the data set, and what a reviewer said about its labels.

    Args:
        options: of the data.
        progress: show a bar on stderr while features of photos are taken.

    Raises:
        ValueError: unknown name, missing or broken data or corrections.
    """
    # First, since photos take a while.
    review = None if options.corrections is None else read_corrections(options.corrections)
    source = load(
        options.dataset,
        path=options.data,
        root=options.data_root,
        download=options.download,
        labels=options.labels,
        label_column=options.label_column,
        columns=options.columns,
        drop=options.drop,
        features=options.features,
        image_size=options.image_size,
        skip_bad=options.skip_bad,
        progress=progress,
    )
    return replace(source, review=review)


def dataset(
    options: DataOptions,
    source: Source,
    device: torch.device,
    *,
    meta_size: int | None,
    clean_meta: bool,
    trusted_meta: bool = False,
    channels_last: bool = False,
) -> Dataset:
    """Add the noise that the options ask for, divide the samples, and bring them to the device.

    Corrections change no part, so that runs with and without them have the same test part; samples
    that are left out are in none.

    Args:
        options: of the data.
        source: as loaded, or as handed over by the caller.
        device: of the run.
        meta_size: samples in a held-out meta set; None for the default size.
        clean_meta: whether the meta set will have true labels, so that it is balanced over those.
        trusted_meta: hold no meta set out where trusted training samples make one.
        channels_last: memory format of the samples.

    Raises:
        ValueError: noise or corrections that do not fit the data, too few samples.
    """
    given, truth, matrix = given_labels(options, source)
    corrections = None
    if source.review is not None:
        corrections = source.review.applied(source.sample_names(), source.classes, given)
    parts = _divided(
        options,
        source,
        given,
        corrections,
        meta_size=meta_size,
        clean_meta=clean_meta,
        trusted=trusted_meta,
    )
    if corrections is not None:
        given = corrections.corrected(given)
    source = source.prepared(parts.train)
    if options.augment != "none" and source.image_size == (1, 1):
        raise UserError("`augment` is for images; feature vectors can only have `augment='none'`")
    pixels = Pixels.of(
        source.x,
        parts.train,
        device,
        options.augment,
        channels_last=channels_last,
        scaled=source.preparation is not None,
    )
    return Dataset(source, given.to(device), truth, matrix, parts, pixels, corrections)


def _divided(
    options: DataOptions,
    source: Source,
    given: Tensor,
    corrections: Corrections | None,
    *,
    meta_size: int | None,
    clean_meta: bool,
    trusted: bool,
) -> Split:
    """The parts, by the labels before corrections, without samples that are left out.

    Raises:
        UserError: too few trusted samples for a clean meta set, a class that corrections empty.
    """

    def parts_with(meta_size: int | None) -> Split:
        parts = split(
            source,
            given,
            meta_size=meta_size,
            clean_meta=clean_meta,
            validation_size=options.validation_size,
            test_fraction=options.test_fraction,
            seed=options.seed,
            train_size=options.train_size,
        )
        if corrections is None:
            return parts
        out = corrections.of(UNSURE) if options.unsure == "leave-out" else torch.arange(0)
        kept = {name: ids[~torch.isin(ids, out)] for name, ids in vars(parts).items()}
        labels = corrections.corrected(given)
        empty = set(range(source.num_classes)) - set(labels[kept["train"]].tolist())
        if empty:
            names = ", ".join(source.classes[label] for label in sorted(empty))
            raise UserError(
                f"{corrections.where} leaves no training sample with the label {names}: mend the "
                "corrections or drop the class from the data"
            )
        return Split(**kept)

    if not trusted or corrections is None:
        return parts_with(meta_size)
    parts = parts_with(0)
    if trusted_meta(corrections, parts, corrections.corrected(given)) is not None:
        return parts
    if clean_meta and source.truth is None:
        raise UserError(
            f"a clean meta set of trusted samples needs {FEWEST} of each class in the training "
            f"part, and {corrections.where} has fewer: look at more samples, or give "
            "`meta_noisy=True` to a method that takes noisy ones"
        )
    return parts_with(meta_size)
