"""Run cells, here or in several processes, and say what became of each."""

import functools
import logging
import os
import signal
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from mwnet.config.schema import Config
from mwnet.core import files
from mwnet.core.commands import muted
from mwnet.core.device import find_device, warn_slow_bfloat16
from mwnet.core.errors import Interrupted, UserError, first_line
from mwnet.core.memory import keep_freed_memory
from mwnet.core.scheduling import Place, scheduler
from mwnet.core.signals import StopSignal
from mwnet.detection import COLLAPSE
from mwnet.reproduce import clean_learning
from mwnet.reproduce.own_data import cells as own_data
from mwnet.reproduce.tables.cells import OWN_COMMANDS, Cell
from mwnet.reproduce.tables.elsewhere import Sent, arrived, marked, run_there
from mwnet.reproduce.tables.outcome import Outcome
from mwnet.runs.folder import RunFolder
from mwnet.runs.run import Watch
from mwnet.runs.run import run as train

log = logging.getLogger(__name__)

Attempt = Callable[[Cell], Outcome]

RUNNERS: dict[str, Callable[..., dict[str, Any]]] = {
    "train": train,
    "clean-learning": clean_learning.run,
    **{name: functools.partial(own_data.run, command=name) for name in OWN_COMMANDS},
}


def run_cells(cells: list[Cell], place: Place, watch: Watch | None = None) -> list[Outcome]:
    """Run cells, log a line for each, and return those that failed.

    Args:
        cells: none of them finished.
        place: where; with one process and no Ray it is this process.
        watch: looks at every training when it is measured; a function of a module.

    Raises:
        UserError: there is no such place.
        Interrupted: on Ctrl-C or SIGTERM, after every running cell has written a checkpoint.
    """
    outcomes: list[Outcome] = []

    def note(outcome: Outcome) -> None:
        outcomes.append(outcome)
        text = f"{outcome.state}: " * (outcome.state != "done") + outcome.text
        log.info("[%d/%d] %s: %s", len(outcomes), len(cells), outcome.cell, text)

    attempted = functools.partial(attempt, watch=watch)
    if place.ray is None:
        for device in {cell.config.device for cell in cells if cell.config.amp == "bf16"}:
            warn_slow_bfloat16(find_device(device))
    if place.ray is None and place.processes == 1:
        for cell in cells:
            note(attempted(cell))
            if outcomes[-1].state == "stopped":
                break
    elif cells:
        with StopSignal() as stop:
            run = _on_nodes if place.ray else _in_processes
            for position, outcome in run(cells, attempted, place, stop):
                if outcome is None and stop.signum is not None:
                    outcome = Outcome(cells[position], "stopped", "continues at the next start")
                died = Outcome(cells[position], "failed", "a process died, out of memory?")
                note(outcome or died)
            if stop.signum is not None:
                raise Interrupted("stopped; the same command continues", stop.signum)
    if any(outcome.state == "stopped" for outcome in outcomes):
        raise Interrupted("stopped; the same command continues", signal.SIGINT)
    return [outcome for outcome in outcomes if outcome.state == "failed"]


def _in_processes(
    cells: list[Cell], attempted: Attempt, place: Place, stop: StopSignal
) -> Iterator[tuple[int, Outcome | None]]:
    with scheduler(attempted, place, keep_freed_memory, lambda: stop.signum) as workers:
        yield from workers.results(cells)


def _on_nodes(
    cells: list[Cell], attempted: Attempt, place: Place, stop: StopSignal
) -> Iterator[tuple[int, Outcome | None]]:
    """Run cells on nodes, some of which may not see the folder of the runs."""
    run = functools.partial(run_there, attempt=attempted)
    root = Path(os.path.commonpath([cell.folder.parent for cell in cells]))
    with (
        scheduler(run, place, keep_freed_memory, lambda: stop.signum) as workers,
        marked(root) as mark,
    ):
        for position, back in workers.results([Sent(cell, mark) for cell in cells]):
            yield position, None if back is None else arrived(back)


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
    collapse = (summary.get("weights") or {}).get("collapse")
    if collapse:
        parts.append(f"the weights have collapsed ({COLLAPSE[collapse]})")
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
