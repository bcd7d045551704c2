"""Runs cells, here or in several processes, and says what became of each."""

import contextlib
import io
import multiprocessing
import os
import signal
import threading
import traceback
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing.synchronize import Event
from typing import Any, Literal

from mwnet import checkpoint, clean_learning, experiment
from mwnet.accelerate import find_device, keep_freed_memory, warn_slow_bfloat16
from mwnet.benchmark.cells import Cell
from mwnet.config import Config
from mwnet.errors import Interrupted, UserError, first_line
from mwnet.experiment import Watch
from mwnet.report.folder import CONFIG

RUNNERS: dict[str, Callable[..., dict[str, Any]]] = {
    "train": experiment.run,
    "clean-learning": clean_learning.run,
}


@dataclass(frozen=True)
class Outcome:
    """What became of a cell: its result, why it failed, or that it was asked to stop."""

    cell: Cell
    state: Literal["done", "failed", "stopped"]
    text: str


def run(cells: list[Cell], jobs: int, watch: Watch | None = None) -> list[Outcome]:
    """Run cells, print a line for each, and return those that failed.

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

    def note(outcome: Outcome) -> bool:
        outcomes.append(outcome)
        text = f"{outcome.state}: " * (outcome.state != "done") + outcome.text
        print(f"[{len(outcomes)}/{len(cells)}] {outcome.cell}: {text}", flush=True)
        return outcome.state != "stopped"

    if jobs == 1:
        finished = all(note(attempt(cell, watch)) for cell in cells)
    else:
        finished = _in_processes(cells, jobs, watch, note)
    if not finished:
        raise Interrupted("stopped; the same command continues", signal.SIGINT)
    return [outcome for outcome in outcomes if outcome.state == "failed"]


def attempt(cell: Cell, watch: Watch | None = None) -> Outcome:
    """Run a cell, or go on with it; what it prints is dropped, whatever goes wrong is told."""
    try:
        with contextlib.redirect_stdout(io.StringIO()):
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
    parts = [f"accuracy {summary['test_accuracy']['last']:.4f}"]
    auc = (summary["detection_auc"] or {"own": {"last": None}})["own"]["last"]
    if auc is not None:
        parts.append(f"AUC {auc:.4f}")
    return Outcome(cell, "done", ", ".join([*parts, f"{summary['seconds']['total']:.1f} s"]))


def _start(command: str, config: Config, watch: Watch | None) -> dict[str, Any]:
    folder = config.out
    assert folder is not None  # every cell has one
    if folder.is_dir():
        checkpoint.sweep(folder)
    resume = folder if (folder / CONFIG).exists() else None
    if watch is not None:
        return experiment.run(config, resume, watch)
    return RUNNERS[command](config, resume)


def _in_processes(
    cells: list[Cell], jobs: int, watch: Watch | None, note: Callable[[Outcome], bool]
) -> bool:
    """Whether all cells came to an end. Only this process hears Ctrl-C, and passes it on once."""
    context = multiprocessing.get_context("spawn")
    stop = context.Event()
    previous = {kind: signal.getsignal(kind) for kind in (signal.SIGINT, signal.SIGTERM)}
    with ProcessPoolExecutor(min(jobs, len(cells)), context, _enter, (stop,)) as pool:
        try:
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # which the new processes inherit
            tasks = {pool.submit(_attempt, cell, watch): cell for cell in cells}
            for kind in previous:
                signal.signal(kind, signal.default_int_handler)
            for task in as_completed(tasks):
                try:
                    outcome = task.result()
                except BrokenProcessPool:
                    outcome = Outcome(tasks[task], "failed", "a process died, out of memory?")
                if not note(outcome):
                    raise KeyboardInterrupt
        except KeyboardInterrupt:
            stop.set()
            for process in multiprocessing.active_children():
                if process.pid is not None:
                    os.kill(process.pid, signal.SIGINT)
            pool.shutdown(cancel_futures=True)
            return False
        finally:
            for kind, handler in previous.items():
                signal.signal(kind, handler)
    return True


_stop: Event


def _enter(stop: Event) -> None:
    """Called once in each process."""
    global _stop  # noqa: PLW0603  (there is no other way to a process of a pool)
    _stop = stop
    keep_freed_memory()
    if hasattr(os, "setsid"):
        os.setsid()  # a terminal's Ctrl-C is for the parent

    def outlive_nobody() -> None:
        parent = multiprocessing.parent_process()
        assert parent is not None
        parent.join()
        os._exit(1)

    threading.Thread(target=outlive_nobody, daemon=True).start()


def _attempt(cell: Cell, watch: Watch | None) -> Outcome:
    """Run a cell in one of several processes, which hears of Ctrl-C only while it does."""
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        if _stop.is_set():
            raise KeyboardInterrupt
        return attempt(cell, watch)
    except KeyboardInterrupt:
        return Outcome(cell, "stopped", "")
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
