"""What several scripts need."""

from mwnet.builders.experiment import Experiment
from mwnet.training.loop import steps


def train(experiment: Experiment) -> None:
    """Take all steps of the run, without files and without measuring in between."""
    method, train = experiment.method, experiment.train
    method.train()
    for _ in steps(method, train, experiment.meta, stop=method.epochs * len(train)):
        pass
