"""Run an experiment in a run folder, from its options to its files. Here the process is touched."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from mwnet.bilevel.batch_norm import average_statistics
from mwnet.builders.experiment import Experiment, build
from mwnet.builders.whole import unfrozen
from mwnet.config.command import Command
from mwnet.config.schema import Config
from mwnet.core import seeding
from mwnet.core.errors import UserError
from mwnet.core.memory import start_measuring
from mwnet.core.signals import StopSignal
from mwnet.core.world import alone, world
from mwnet.detection import Scored
from mwnet.runs import outputs
from mwnet.runs.begin import run_folder
from mwnet.runs.describe import folder_name
from mwnet.runs.events import Events
from mwnet.runs.folder import RunFolder
from mwnet.runs.view import View
from mwnet.training import checkpoint
from mwnet.training.protocols import Observer
from mwnet.training.trainer import Progress, Trainer, restore

Watch = Callable[[Experiment, Scored], dict[str, Any]]
"""Looks at a run when it is measured; what it returns is added to that line of the metrics."""
Leave = Callable[[outputs.Result, RunFolder], None]
"""Writes something more into the folder of a run that has come to its end."""


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
    leave: Leave | None = None,
) -> dict[str, Any]:
    """Train as configured, in a new run folder or on from a checkpoint.

    Within ``together`` several processes train; the first one writes.

    Args:
        config: what to run.
        resume: run folder to go on in.
        watch: measures more than the metrics of every run; plain values only.
        view: shows what happens; without one nobody is told.
        leave: writes what the run leaves beside its own files, before its summary.

    Returns:
        The summary, as in ``summary.json``.

    Raises:
        UserError: bad input, a disk that cannot be written, a loss that is no longer finite; a
            run folder without a checkpoint is not left behind.
        Interrupted: asked to stop; a checkpoint is in the run folder.
    """
    prepare_process(config)
    if resume is not None:
        _check_unfreeze(config, resume)
    with world().agreed():
        experiment = build(config, progress=view is not None)
    # From here on only the networks themselves draw from the global generators (dropout).
    _seed(config.seed)
    start_measuring(experiment.device)
    identity = experiment.identity()
    latest: list[Scored] = []

    def fit(trained: Experiment, until: int | None, done: Progress | None = None) -> Progress:
        """Train on from where the run is; ``done`` if an earlier part is of this process."""
        latest.clear()

        def evaluate() -> dict[str, Any]:
            if config.batch_norm == "local":
                average_statistics(trained.method)
            latest[:] = [trained.score(trained.data.parts.train, look=True)]
            line = trained.metrics(latest[0])
            return line if watch is None else line | watch(trained, latest[0])

        trainer = Trainer(
            trained.method,
            trained.train,
            trained.meta,
            evaluate,
            trajectory=trained.trajectory,
            store=folder,
            observers=observers,
            selector="validation_accuracy" if config.validation_size else "test_accuracy",
            identity=identity,
            max_steps=until,
            checkpoint_every=config.checkpoint_every,
            eval_every=config.eval_every,
            log_every=config.log_every,
            phases=trained.phases,
        )
        if done is not None:
            trainer.progress = done
        elif resume is not None:
            _resume(trainer, folder, config)
            if view is not None:
                view.resumed(trainer.progress.step)
        with StopSignal() as stop:
            trainer.fit(lambda: world().most(stop.signum))
        return trainer.progress

    with run_folder(config, resume, name=folder_name(config)) as folder:
        observers: list[Observer] = []
        if config.tensorboard and world().leads:
            observers.append(Events(folder.path, steps=bool(config.log_every)))
        if view is not None:
            view.announce(experiment, folder)
            observers.append(view)
        frozen, done = experiment.frozen_steps, None
        if not config.unfreeze or (config.max_steps or sys.maxsize) <= frozen:
            done = fit(experiment, config.max_steps)
        else:
            if resume is None or folder.steps(experiment.device) <= frozen:
                done = fit(experiment, frozen)
            experiment = unfrozen(experiment)
            if view is not None:
                view.unfrozen(experiment)
            done = fit(experiment, config.max_steps, done)
        # A finished run that is resumed has nothing left to evaluate.
        scored = latest[0] if latest else experiment.score(experiment.data.parts.train)
        result = outputs.result(experiment, scored, done)
        _write(result, folder, leave)
        if view is not None:
            view.conclude(result, folder)
        return result.summary


def _resume(trainer: Trainer, folder: RunFolder, config: Config) -> None:
    """Restore the last checkpoint, and note whether the run has got longer since."""
    trainer.resume()
    if not world().leads:  # the checkpoint has the generators of the first process
        _seed(config.seed, trainer.progress.step)
    begun = folder.training_config()
    if config.unfreeze > begun.unfreeze:
        folder.write_config(begun.model_copy(update={"unfreeze": config.unfreeze}))


def _seed(seed: int, step: int = 0) -> None:
    """Seed torch's global generators, which a network draws from, differently in each process."""
    rank = world().rank
    torch.manual_seed(seeding.derive(seed, "network", *((rank, step) if rank else ())))


def _write(result: outputs.Result, folder: RunFolder, leave: Leave | None) -> None:
    """Write what a finished run leaves, its summary last; of several processes the first does."""
    if not world().leads:
        return
    with alone():
        if leave is not None:
            leave(result, folder)
        outputs.write(result, folder)


def _check_unfreeze(config: Config, path: Path) -> None:
    """Refuse to resume a run with fewer epochs of the whole network.

    Raises:
        UserError: there are fewer.
    """
    started = RunFolder(path).training_config().unfreeze
    if config.unfreeze < started:
        raise UserError(
            f"{path} was started with `unfreeze={started}`, which can only grow, got "
            f"{config.unfreeze}"
        )


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
    identity = experiment.identity()
    if state["progress"]["step"] > experiment.frozen_steps:
        experiment = unfrozen(experiment)
    restore(state, experiment.method, identity)
    experiment.trajectory.load_state_dict(state["trajectory"])
    torch.manual_seed(seeding.derive(config.seed, "network"))
    return experiment
