"""Train an experiment that writes nothing."""

import sys

from torch import Tensor

from mwnet.builders.experiment import Experiment
from mwnet.core import seeding
from mwnet.core.errors import NonFiniteLoss
from mwnet.training.loop import steps


def train_in_memory(experiment: Experiment, rated: Tensor) -> None:
    """Train to the end, with a look at the rated samples after each epoch.

    Args:
        experiment: not yet trained.
        rated: ``(m,)`` ids of the samples whose labels are judged.

    Raises:
        NonFiniteLoss: a parameter became NaN or infinite.
    """
    method, train = experiment.method, experiment.train
    method.train()
    # What the network itself draws (dropout) comes from the seed as well.
    with seeding.seeded(experiment.config.seed, "network"):
        stop = min(method.epochs * len(train), experiment.config.max_steps or sys.maxsize)
        for step, _ in steps(method, train, experiment.meta, stop=stop):
            if step % len(train) or method.out_of_fold:
                continue
            if method.epoch == method.start_of(method.phase):
                experiment.trajectory.clear()
            experiment.score(rated, look=True)
    if not all(bool(value.isfinite().all()) for value in method.parameters()):
        raise NonFiniteLoss("the training became NaN or infinite; a lower `lr` may help")
