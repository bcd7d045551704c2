"""Build the data set that the options name: load, add noise, divide, bring to the device."""

import torch

from mwnet.builders.labels import given_labels
from mwnet.config.schema import DataOptions
from mwnet.core.errors import UserError
from mwnet.data import Pixels, Source, split
from mwnet.data.dataset import Dataset
from mwnet.data.load import load


def load_source(options: DataOptions, *, progress: bool = False) -> Source:
    """Load the data set.

    Args:
        options: of the data.
        progress: show a bar on stderr while features of photos are taken.

    Raises:
        ValueError: unknown name, missing or broken data.
    """
    return load(
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


def dataset(
    options: DataOptions,
    source: Source,
    device: torch.device,
    *,
    meta_size: int | None,
    clean_meta: bool,
    channels_last: bool = False,
) -> Dataset:
    """Add the noise that the options ask for, divide the samples, and bring them to the device.

    Args:
        options: of the data.
        source: as loaded, or as handed over by the caller.
        device: of the run.
        meta_size: samples in a held-out meta set; None for the default size.
        clean_meta: whether the meta set will have true labels, so that it is balanced over those.
        channels_last: memory format of the samples.

    Raises:
        ValueError: noise that does not fit the data, too few samples.
    """
    given, truth, matrix = given_labels(options, source)
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
    return Dataset(source, given.to(device), truth, matrix, parts, pixels)
