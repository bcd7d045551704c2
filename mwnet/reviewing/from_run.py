"""The page of a training run."""

import logging

import numpy as np
import torch

from mwnet.builders.dataset import load_source
from mwnet.builders.experiment import Experiment
from mwnet.core.errors import UserError
from mwnet.detection import Scored
from mwnet.reviewing.gather import gathered
from mwnet.reviewing.render import rendered
from mwnet.reviewing.reviewed import Looks, Samples
from mwnet.reviewing.sources import features_of, looks_of
from mwnet.runs.folder import REVIEW, RunFolder
from mwnet.runs.outputs import Result, sample_names

log = logging.getLogger(__name__)


def leave_page(found: Result, folder: RunFolder) -> None:
    """Write ``review.html`` into a run folder, unless the run draws no figures.

    The map is made of principal components, since UMAP may take longer than the run.

    Args:
        found: what the run has to say.
        folder: of the run.
    """
    if not found.experiment.config.figures:
        return
    try:
        samples = samples_of(found.experiment, found.scored)
        page = rendered(*gathered(samples, umap=False), folder.path.name)
    except UserError as error:  # photos that are no longer there; the run is worth more
        log.warning("there is no %s: %s", REVIEW, error)
        return
    folder.write_text(REVIEW, page)


def samples_of(experiment: Experiment, scored: Scored) -> Samples:
    """Return the training samples of a run, as they were scored at its end.

    Args:
        experiment: after training.
        scored: its training samples.
    """
    others = scored.probabilities.astype(np.float64)
    everyone = np.arange(len(others))
    others[everyone, scored.given] = -1
    suggested = others.argmax(1)
    source = experiment.data.source
    ids = torch.from_numpy(scored.ids)
    return Samples(
        ids=tuple(sample_names(experiment, scored.ids)),
        classes=source.classes,
        given=scored.given,
        suggested=suggested,
        probability=others[everyone, suggested],
        quality=scored.quality,
        weight=scored.weight,
        margin=scored.margin,
        is_issue=scored.is_issue,
        features=features_of(source, ids),
        looks=_looks(experiment, ids),
        noise=None if scored.noise is None else scored.noise.described(),
    )


def _looks(experiment: Experiment, ids: torch.Tensor) -> Looks:
    """How they look; a table is read again, since a run keeps only what was made of it."""
    source, config = experiment.data.source, experiment.config
    if source.preparation is not None:
        again = load_source(config.data_options)
        if len(again.labels) != len(source.labels):
            raise UserError(f"{config.data} has changed since the run began")
        source = again
    root = config.data if source.name == "folder" else None
    return looks_of(source, ids, root)
