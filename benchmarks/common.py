"""What several scripts need."""

from mwnet.experiment import Experiment
from mwnet.methods import Context


def train(experiment: Experiment) -> None:
    """All steps of the run, without files and without measuring in between."""
    method, train, meta = experiment.method, experiment.train, experiment.meta
    context = Context(train, meta)
    method.train()
    for step in range(method.epochs * len(train)):
        method.epoch = step // len(train)
        if step % len(train) == 0:
            method.begin_epoch(context)
        method.step(train[step], meta[step] if meta is not None else None)
