"""The given labels of a run: those of the source, with the noise that the run adds."""

import torch
from torch import Tensor

import noise
from mwnet import seeding
from mwnet.config import Config
from mwnet.data import Source
from mwnet.errors import UserError, lookup

# Noise whose rows differ between samples, so that it has no matrix.
SAMPLE_NOISES = ("instance", "pmd1", "pmd2", "pmd3")


def given_labels(config: Config, source: Source) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """Given labels, true labels and the transition matrix of the noise that the run adds."""
    if config.noise == "none" and not config.noise_rate:
        return source.labels, source.truth, None
    pool = source.not_test()
    given = source.labels.clone()
    truth = source.labels if source.truth is None else source.truth
    if config.noise == "file":
        assert config.noise_file is not None  # validate() has asked for it
        given[pool] = noise.labels_from_file(config.noise_file, len(pool), source.classes)
        return given, truth, None
    known = [*noise.NOISES, *SAMPLE_NOISES, "file"]
    lookup(dict.fromkeys(known), config.noise, "noise")
    seed = config.seed if config.noise_seed is None else config.noise_seed
    draws = seeding.generator(seed, "noise", "draws")
    matrix_draws = seeding.generator(seed, "noise", "matrix")
    labels, matrix = source.labels[pool], None
    if config.noise.startswith("pmd"):
        assert config.noise_file is not None  # validate() has asked for it
        p = torch.from_numpy(noise.array_from_file(config.noise_file).astype("float64"))
        if p.shape != (len(pool), source.num_classes):
            raise UserError(
                f"{config.noise_file} has shape {tuple(p.shape)}; a prediction for each of "
                f"{len(pool)} training samples and {source.num_classes} classes is needed"
            )
        rows = noise.pmd(p, config.noise_rate, int(config.noise[-1]))
        labels = p.argmax(1)
    elif config.noise == "instance":
        x = source.x[pool].float()
        x = (x - x.mean()) / x.std().clamp_min(1e-12)
        rows = noise.instance(x, labels, config.noise_rate, matrix_draws, source.num_classes)
    else:
        builder = noise.NOISES[config.noise]
        rows = matrix = builder(
            source.num_classes, config.noise_rate, matrix_draws, dataset=config.dataset
        )
    given[pool] = noise.corrupt(labels, rows, draws, counts=config.noise_counts)
    return given, truth, matrix
