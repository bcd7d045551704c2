"""Make the given labels of a run: those of the source, with the noise that the run adds."""

import torch
from torch import Tensor

from mwnet import noise
from mwnet.config.schema import DataOptions
from mwnet.core import seeding
from mwnet.core.errors import UserError, lookup
from mwnet.data import Source

# Noise whose rows differ between samples, so that it has no matrix.
SAMPLE_NOISES = ("instance", "pmd1", "pmd2", "pmd3")


def given_labels(
    options: DataOptions, source: Source
) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """Return given labels, true labels and the transition matrix of the noise that the run adds."""
    if options.noise == "none" and not options.noise_rate:
        return source.labels, source.truth, None
    pool = source.not_test()
    given = source.labels.clone()
    truth = source.labels if source.truth is None else source.truth
    if options.noise == "file":
        assert options.noise_file is not None  # validate() has asked for it
        test = len(given) - len(pool)
        given[pool] = noise.labels_from_file(
            options.noise_file, len(pool), source.classes, test=test
        )
        return given, truth, None
    known = [*noise.NOISES, *SAMPLE_NOISES, "file"]
    lookup(dict.fromkeys(known), options.noise, "noise")
    seed = options.seed if options.noise_seed is None else options.noise_seed
    draws = seeding.generator(seed, "noise", "draws")
    matrix_draws = seeding.generator(seed, "noise", "matrix")
    labels, matrix = source.labels[pool], None
    if options.noise.startswith("pmd"):
        assert options.noise_file is not None  # validate() has asked for it
        p = torch.from_numpy(noise.array_from_file(options.noise_file).astype("float64"))
        if p.shape != (len(pool), source.num_classes):
            raise UserError(
                f"{options.noise_file} has shape {tuple(p.shape)}; a prediction for each of "
                f"{len(pool)} training samples and {source.num_classes} classes is needed"
            )
        rows = noise.pmd(p, options.noise_rate, int(options.noise[-1]))
        labels = p.argmax(1)
    elif options.noise == "instance":
        x = source.prepared(pool).x[pool].float()
        x = (x - x.mean()) / x.std().clamp_min(1e-12)
        rows = noise.instance(x, labels, options.noise_rate, matrix_draws, source.num_classes)
    else:
        builder = noise.NOISES[options.noise]
        rows = matrix = builder(
            source.num_classes, options.noise_rate, matrix_draws, dataset=options.dataset
        )
    given[pool] = noise.corrupt(labels, rows, draws, counts=options.noise_counts)
    return given, truth, matrix
