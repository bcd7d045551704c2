"""Run an experiment in a run folder, from its options to its files. Here the process is touched."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from mwnet.builders.experiment import Experiment, build
from mwnet.config.schema import Command, Config
from mwnet.core import seeding
from mwnet.core.errors import UserError
from mwnet.core.memory import start_measuring
from mwnet.core.signals import StopSignal
from mwnet.detection import Scored
from mwnet.runs import outputs
from mwnet.runs.begin import run_folder
from mwnet.runs.describe import folder_name
from mwnet.runs.events import Events
from mwnet.runs.folder import RunFolder
from mwnet.runs.view import View
from mwnet.training import checkpoint
from mwnet.training.protocols import Observer
from mwnet.training.trainer import Trainer, restore

Watch = Callable[[Experiment, Scored], dict[str, Any]]
"""Looks at a run when it is measured; what it returns is added to that line of the metrics."""


def prepare_process(config: Command) -> None:
    """Set what the whole process shares: threads, and kernels that repeat themselves."""
    if config.threads is not None:
        torch.set_num_threads(config.threads)
    torch.backends.cudnn.deterministic = True  # a resumed run must repeat an uninterrupted one


def run(
    config: Config,
    resume: Path | None = None,
    watch: Watch | None = None,
    view: View | None = None,
) -> dict[str, Any]:
    """Train as configured, in a new run folder or on from a checkpoint.

    Args:
        config: what to run.
        resume: run folder to go on in.
        watch: measures more than the metrics of every run; plain values only.
        view: shows what happens; without one nobody is told.

    Returns:
        The summary, as in ``summary.json``.

    Raises:
        UserError: bad input, a disk that cannot be written, a loss that is no longer finite; a
            run folder without a checkpoint is not left behind.
        Interrupted: asked to stop; a checkpoint is in the run folder.
    """
    prepare_process(config)
    experiment = build(config)
    # From here on only the networks themselves draw from the global generators (dropout).
    torch.manual_seed(seeding.derive(config.seed, "network"))
    start_measuring(experiment.device)
    latest: list[Scored] = []

    def evaluate() -> dict[str, Any]:
        latest[:] = [experiment.score(experiment.data.parts.train)]
        line = experiment.metrics(latest[0])
        return line if watch is None else line | watch(experiment, latest[0])

    with run_folder(config, resume, name=folder_name(config)) as folder:
        observers: list[Observer] = []
        if config.tensorboard:
            observers.append(Events(folder.path, steps=bool(config.log_every)))
        if view is not None:
            view.announce(experiment, folder)
            observers.append(view)
        trainer = Trainer(
            experiment.method,
            experiment.train,
            experiment.meta,
            evaluate,
            store=folder,
            observers=observers,
            selector="validation_accuracy" if config.validation_size else "test_accuracy",
            identity=experiment.identity(),
            max_steps=config.max_steps,
            checkpoint_every=config.checkpoint_every,
            eval_every=config.eval_every,
            log_every=config.log_every,
        )
        if resume is not None:
            trainer.resume()
            if view is not None:
                view.resumed(trainer.progress.step)
        with StopSignal() as stop:
            trainer.fit(lambda: stop.signum)
        # A finished run that is resumed has nothing left to evaluate.
        scored = latest[0] if latest else experiment.score(experiment.data.parts.train)
        result = outputs.result(experiment, scored, trainer.progress)
        outputs.write(result, folder)
        if view is not None:
            view.conclude(result, folder)
        return result.summary


def finished(path: Path) -> Experiment:
    """Build the experiment of a run folder as it was after the last epoch.

    Raises:
        UserError: no run there, no readable checkpoint, or data that is not what it was.
    """
    folder = RunFolder(path)
    config = folder.training_config()
    prepare_process(config)
    experiment = build(config)
    state = folder.load(experiment.device)
    if state is None:
        raise UserError(f"{path} holds no run with a checkpoint ({checkpoint.LAST})")
    restore(state, experiment.method, experiment.identity())
    torch.manual_seed(seeding.derive(config.seed, "network"))
    return experiment
