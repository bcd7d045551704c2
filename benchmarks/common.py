"""What several scripts need."""

from mwnet.experiment import Experiment


def train(experiment: Experiment) -> None:
    """All steps of the run, without files and without measuring in between."""
    experiment.method.train()
    for step in range(experiment.config.epochs * len(experiment.train)):
        meta = experiment.meta[step] if experiment.meta is not None else None
        experiment.method.step(experiment.train[step], meta)
