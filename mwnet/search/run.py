"""A search from its configuration to the files it leaves."""

import functools
import os
import time
from pathlib import Path
from typing import Any

import torch

from mwnet.config.search import SearchConfig
from mwnet.core.errors import UserError, lookup
from mwnet.core.memory import keep_freed_memory
from mwnet.core.scheduling import scheduler
from mwnet.core.signals import StopSignal
from mwnet.runs.begin import run_folder
from mwnet.search import report
from mwnet.search.log import Log
from mwnet.search.loop import Search
from mwnet.search.space import Space
from mwnet.search.tasks import HAND_MADE, Job, Score, Task, task_configs
from mwnet.search.view import View

_tasks: list[SearchConfig] = []


def prepare(configs: list[SearchConfig]) -> None:
    """Make a process ready for the jobs of some tasks."""
    _tasks[:] = configs
    _task.cache_clear()
    keep_freed_memory()
    torch.set_num_threads(configs[0].threads or 1)


def evaluate(job: Job) -> list[Score]:
    """Run a job in a process that is ready for it."""
    return _task(job.task).run(job)


@functools.cache
def _task(number: int) -> Task:
    return Task(_tasks[number])


def compared(config: SearchConfig) -> list[str]:
    """The losses of ``search_compare``.

    Raises:
        UserError: one that is unknown or needs more than logits and labels.
    """
    if config.search_compare in ("all", "none"):
        return HAND_MADE if config.search_compare == "all" else []
    names = [name.strip() for name in config.search_compare.split(",")]
    for name in names:
        lookup(dict.fromkeys(HAND_MADE), name, "loss to compare with")
    return names


def run(
    config: SearchConfig, resume: Path | None = None, view: View | None = None
) -> dict[str, Any]:
    """Search as configured, in a new run folder or on from a log.

    Args:
        config: what to search.
        resume: run folder to go on in.
        view: shows what happens; without one nobody is told.

    Returns:
        The summary, as in ``summary.json``.

    Raises:
        UserError: bad input; a folder without an evaluation is not left behind.
        Interrupted: asked to stop; what has been evaluated is in the log.
    """
    started = time.perf_counter()
    try:
        configs = task_configs(config)
        prepare(configs)
        Space(config.search_order).start(config.search_start)
        hand_made = compared(config)
        tasks = [_task(number) for number in range(len(configs))]
    except UserError:
        raise
    except ValueError as error:
        raise UserError(str(error)) from error
    on_cpu = tasks[0].device.type == "cpu"
    place = config.place(config.workers, _cores() if on_cpu else 1)
    rate = f"{config.noise_rate:g}" if config.noise_rate else ""
    workers = scheduler(evaluate, place, functools.partial(prepare, configs))
    name = f"{config.dataset}-loss-search-{config.noise}{rate}-seed{config.seed}"
    with StopSignal(at_once=True), run_folder(config, resume, name=name) as folder:
        if resume is not None:  # perhaps for more generations
            folder.write_config(config)
        log = Log(folder.evaluations, _identity(config, tasks))
        if view is not None:
            view.announce(config, tasks, place, folder)
        with workers:
            search = Search(config, tasks, hand_made, log, workers)
            reached = search.cross_entropy()
            generations = search.generations()
            if view is not None:
                view.memorised(reached)
                generations = view.generations(generations, config.search_generations)
            for _ in generations:
                pass
            if not search.finalists:
                raise UserError(
                    "not one of the losses could be trained: give another `search_start`, or a "
                    "lower `lr`"
                )
            if view is not None:
                view.comparing()
            results = search.compare()
        found = report.summarise(search, reached, results, time.perf_counter() - started)
        summary = report.write(found, search, folder)
        if view is not None:
            view.conclude(found.rows, summary, folder)
        return summary


def _identity(config: SearchConfig, tasks: list[Task]) -> dict[str, Any]:
    """What the evaluations depend on."""
    data = {task.config.dataset: task.digest() for task in tasks}
    options = config.model_dump(mode="json", exclude={"out", *config.resumable()})
    return {"versions": report.versions(), "options": options, "contents of the data": data}


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
