"""Run cells, here or in several processes, and say what became of each."""

import functools
import logging
import signal
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from mwnet.config.schema import Config
from mwnet.core import files
from mwnet.core.commands import muted
from mwnet.core.device import find_device, warn_slow_bfloat16
from mwnet.core.errors import Interrupted, UserError, first_line
from mwnet.core.memory import keep_freed_memory
from mwnet.core.processes import Workers
from mwnet.core.signals import StopSignal
from mwnet.reproduce import clean_learning
from mwnet.reproduce.own_data import cells as own_data
from mwnet.reproduce.tables.cells import OWN_COMMANDS, Cell
from mwnet.runs.folder import RunFolder
from mwnet.runs.run import Watch
from mwnet.runs.run import run as train

log = logging.getLogger(__name__)

RUNNERS: dict[str, Callable[..., dict[str, Any]]] = {
    "train": train,
    "clean-learning": clean_learning.run,
    **{name: functools.partial(own_data.run, command=name) for name in OWN_COMMANDS},
}


@dataclass(frozen=True)
class Outcome:
    """What became of a cell: its result, why it failed, or that it was asked to stop."""

    cell: Cell
    state: Literal["done", "failed", "stopped"]
    text: str


def run_cells(cells: list[Cell], jobs: int, watch: Watch | None = None) -> list[Outcome]:
    """Run cells, log a line for each, and return those that failed.

    Args:
        cells: none of them finished.
        jobs: how many processes; with 1 it is this one.
        watch: looks at every training when it is measured; a function of a module.

    Raises:
        Interrupted: on Ctrl-C or SIGTERM, after every running cell has written a checkpoint.
    """
    for device in {cell.config.device for cell in cells if cell.config.amp == "bf16"}:
        warn_slow_bfloat16(find_device(device))
    outcomes: list[Outcome] = []

    def note(outcome: Outcome) -> None:
        outcomes.append(outcome)
        text = f"{outcome.state}: " * (outcome.state != "done") + outcome.text
        log.info("[%d/%d] %s: %s", len(outcomes), len(cells), outcome.cell, text)

    attempted = functools.partial(attempt, watch=watch)
    if jobs == 1:
        for cell in cells:
            note(attempted(cell))
            if outcomes[-1].state == "stopped":
                break
    else:
        with (
            StopSignal() as stop,
            Workers(attempted, jobs, keep_freed_memory, lambda: stop.signum) as workers,
        ):
            for position, outcome in workers.results(cells):
                if outcome is None and stop.signum is not None:
                    outcome = Outcome(cells[position], "stopped", "continues at the next start")
                died = Outcome(cells[position], "failed", "a process died, out of memory?")
                note(outcome or died)
            if stop.signum is not None:
                raise Interrupted("stopped; the same command continues", stop.signum)
    if any(outcome.state == "stopped" for outcome in outcomes):
        raise Interrupted("stopped; the same command continues", signal.SIGINT)
    return [outcome for outcome in outcomes if outcome.state == "failed"]


def attempt(cell: Cell, watch: Watch | None = None) -> Outcome:
    """Run a cell, or go on with it; it says nothing, and whatever goes wrong is told."""
    try:
        with muted():
            summary = _start(cell.command, cell.config, watch)
    except (Interrupted, KeyboardInterrupt):
        return Outcome(cell, "stopped", "continues at the next start")
    except UserError as error:
        return Outcome(cell, "failed", str(error))
    except Exception as error:  # a defect in one cell must not cost the others
        log = cell.folder.with_suffix(".log")
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text(traceback.format_exc())
        return Outcome(cell, "failed", f"{type(error).__name__}: {first_line(error)} (see {log})")
    return Outcome(cell, "done", _told(cell, summary))


def _told(cell: Cell, summary: dict[str, Any]) -> str:
    """Accuracy, AUC where there is one, and seconds."""
    if cell.command in OWN_COMMANDS:
        accuracy, auc, seconds = (summary[name] for name in ("accuracy", "auc", "seconds"))
    else:
        accuracy, seconds = summary["test_accuracy"]["last"], summary["seconds"]["total"]
        auc = (summary["detection_auc"] or {"own": {"last": None}})["own"]["last"]
    parts = [f"accuracy {accuracy:.4f}", *([] if auc is None else [f"AUC {auc:.4f}"])]
    return ", ".join([*parts, f"{seconds:.1f} s"])


def _start(command: str, config: Config, watch: Watch | None) -> dict[str, Any]:
    path = config.out
    assert path is not None  # every cell has one
    if path.is_dir():
        files.sweep(path)
    resume = path if RunFolder(path).has_config() else None
    if watch is not None:
        return train(config, resume, watch)
    return RUNNERS[command](config, resume)
