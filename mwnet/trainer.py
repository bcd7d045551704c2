"""The loop over epochs. It knows no method by name."""

import contextlib
import json
import math
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mwnet import checkpoint
from mwnet.data.batches import Batches
from mwnet.errors import Interrupted, NonFiniteLoss, UserError, first_line
from mwnet.methods import Context, Method
from mwnet.methods.confident import ConfidentBatches
from mwnet.seeding import global_states, restore_global_states
from mwnet.tracking import Tracker

METRICS = "metrics.jsonl"

Evaluate = Callable[[], dict[str, Any]]
"""Measures the method as it is; plain numbers by name, among them ``test_accuracy``."""


@dataclass
class Progress:
    """Where a run stands; all of it goes into a checkpoint."""

    step: int = 0
    history: list[dict[str, Any]] = field(default_factory=list)
    seconds: float = 0.0
    best: float = -math.inf
    sums: dict[str, Tensor] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)


class Trainer:
    """Trains a method and leaves ``metrics.jsonl`` and checkpoints in a folder.

    Args:
        method: what is trained.
        train, meta: endless batches; ``meta`` may be None where the method needs none.
        evaluate: measures after an epoch.
        selector: name of the metric that makes a checkpoint the best one.
        folder: an existing run folder.
        identity: plain values that a checkpoint must agree with to be resumed.
        max_steps: stop after this many steps, or None.
        checkpoint_every: epochs between checkpoints.
        eval_every: epochs between measurements; the last epoch of each phase has one.
        events: whether to write TensorBoard events.
        log_every: steps between reports within an epoch, or None.
    """

    def __init__(
        self,
        method: Method,
        train: Batches,
        meta: Batches | ConfidentBatches | None,
        evaluate: Evaluate,
        *,
        selector: str,
        folder: Path,
        identity: dict[str, Any],
        max_steps: int | None,
        checkpoint_every: int,
        eval_every: int,
        events: bool,
        log_every: int | None = None,
    ) -> None:
        self.method = method
        self.train, self.meta = train, meta
        self.evaluate = evaluate
        self.selector = selector
        self.folder = folder
        self.identity = identity
        self.total = min(method.epochs * len(train), max_steps or sys.maxsize)
        self.checkpoint_every = checkpoint_every
        self.eval_every = eval_every
        self.events = events
        self.log_every = log_every
        self.device = train.labels.device
        self.progress = Progress()

    def resume(self) -> None:
        """Take the state of the folder's last checkpoint, if it has one.

        Raises:
            UserError: a damaged checkpoint, or one of another configuration.
        """
        checkpoint.sweep(self.folder)
        path = self.folder / checkpoint.LAST
        if not path.exists():
            return
        state = load_checkpoint(path, self.method, self.identity, self.device)
        self.progress = Progress(**state["progress"])
        self.method.epoch = max(0, self.progress.step - 1) // len(self.train)
        # map_location has moved the generator states too; they belong on the CPU.
        states = {name: value.cpu() for name, value in state["generators"].items()}
        restore_global_states(states, self.device)

    def fit(self) -> list[dict[str, Any]]:
        """Run to the end.

        Returns:
            One dictionary of metrics for each measured epoch, as in ``metrics.jsonl``, with the
            means of what the steps since the one before reported. Where ``max_steps`` cuts an epoch
            short, the last one is of a part of it.

        Raises:
            Interrupted: on SIGINT or SIGTERM, after writing a checkpoint.
            NonFiniteLoss: a reported loss or a parameter became NaN or infinite.
        """
        done, steps = self.progress, len(self.train)
        context = Context(self.train, self.meta)
        events = self.folder if self.events else None
        phases = self.method.phases
        epochs = [phase.name * (len(phases) > 1) for phase in phases for _ in range(phase.epochs)]
        measured = self._measured()
        tracker = Tracker(
            self.total, done.step, epochs, events, done.history, steps=bool(self.log_every)
        )
        lines = "".join(json.dumps(line) + "\n" for line in done.history)
        checkpoint.write_text(self.folder / METRICS, lines)
        started = time.perf_counter() - done.seconds
        self.method.train()  # measuring restores the mode it finds
        with contextlib.closing(tracker), _StopSignal() as stop:
            while done.step < self.total:
                epoch = done.step // steps
                self.method.epoch = epoch
                if done.step % steps == 0:
                    self.method.begin_epoch(context)
                self._step()
                tracker.step(epoch)
                done.seconds = time.perf_counter() - started
                ends = done.step % steps == 0
                line_follows = ends and epoch in measured
                if self.log_every and done.step % self.log_every == 0 and not line_follows:
                    tracker.within(epoch, done.step, self._means())
                if ends:
                    self._check(done.sums)
                    best = line_follows and self._measure(tracker)
                    due = done.step == self.total or (epoch + 1) % self.checkpoint_every == 0
                    if best or due:
                        self._save(best)
                if stop.signum is not None and done.step < self.total:
                    self._save()
                    raise Interrupted(
                        f"stopped after step {done.step} of {self.total}; continue with: "
                        f"python train.py --resume {self.folder}",
                        stop.signum,
                    )
            if done.sums:
                # Saved without the line of an epoch that is unfinished or not to be measured, so
                # that a resumed run with more steps goes on as if it had never stopped.
                self._save(best=not (self.folder / checkpoint.BEST).exists())
                self._measure(tracker)
        return done.history

    def _measured(self) -> set[int]:
        """The epochs of the whole run, from 0, that are measured: the last of each phase is."""
        ends = accumulate(phase.epochs for phase in self.method.phases)
        return {
            epoch
            for phase, end in zip(self.method.phases, ends, strict=True)
            for epoch in range(end - 1, end - phase.epochs - 1, -self.eval_every)
        }

    def _step(self) -> None:
        done = self.progress
        meta_batch = self.meta[done.step] if self.meta is not None else None
        report = self.method.step(self.train[done.step], meta_batch)
        for name, value in report.items():
            # Sums stay on the device; they are read once an epoch.
            total = done.sums.get(name, torch.zeros_like(value, dtype=torch.float64))
            done.sums[name] = total + value
            done.counts[name] = done.counts.get(name, 0) + 1
        done.step += 1
        if self.device.type == "cpu":  # there is no synchronisation to save: name the very step
            self._check(done.sums)

    def _check(self, values: Mapping[str, Tensor]) -> None:
        bad = [name for name, value in values.items() if not bool(value.isfinite().all())]
        if not bad:
            return
        step = self.progress.step
        path = self.folder / checkpoint.LAST
        kept = f"the last good checkpoint is {path}" if path.exists() else "there is no checkpoint"
        raise NonFiniteLoss(
            f"{bad[0]} became NaN or infinite in epoch {(step - 1) // len(self.train) + 1}, step "
            f"{step}; {kept}; a lower --lr may help"
        )

    def _means(self) -> dict[str, float]:
        """What the steps since the last line reported, on average."""
        done = self.progress
        self._check(done.sums)
        return {name: float(total) / done.counts[name] for name, total in done.sums.items()}

    def _measure(self, tracker: Tracker) -> bool:
        """Measure, report, and say whether this epoch is the best so far."""
        done = self.progress
        means = self._means()
        line: dict[str, Any] = {"epoch": self.method.epoch + 1, "step": done.step}
        if len(self.method.phases) > 1:
            line["phase"] = self.method.phase
        if done.history and done.history[-1].get("phase") != line.get("phase"):
            done.best = -math.inf  # what counts is the phase that ends in the result
        line |= {**means, **self.evaluate()}
        done.history.append(line)
        done.sums, done.counts = {}, {}
        with (self.folder / METRICS).open("a") as file:
            file.write(json.dumps(line) + "\n")
        tracker.epoch(line)
        best = line[self.selector] > done.best
        done.best = max(done.best, line[self.selector])
        return best

    def _save(self, best: bool = False) -> None:
        done = self.progress
        self._check(done.sums)
        self._check(dict(self.method.named_parameters()))
        state = {
            "identity": self.identity,
            "method": self.method.state_dict(),
            "progress": vars(done),
            "generators": global_states(self.device),
        }
        checkpoint.save(self.folder, state, best=best)


def load_checkpoint(
    path: Path, method: Method, identity: dict[str, Any], device: torch.device
) -> dict[str, Any]:
    """Put the method into the state of a checkpoint; returns all that the checkpoint holds.

    Raises:
        UserError: a damaged checkpoint, or one of another configuration.
    """
    state = checkpoint.load(path, device)
    for name, value in state["identity"].items():
        if identity.get(name) != value:
            raise UserError(
                f"{path} was written with {name} = {value}, which is now "
                f"{identity.get(name)}: restore that or start a new run"
            )
    try:
        method.load_state_dict(state["method"])
    except (RuntimeError, KeyError) as error:
        raise UserError(
            f"{path} was written by another version of mwnet: {first_line(error)}"
        ) from error
    return state


class _StopSignal:
    """Within the block SIGINT and SIGTERM are only noted; a second one acts at once."""

    def __init__(self) -> None:
        self.signum: int | None = None
        self.previous: dict[int, Any] = {}

    def __enter__(self) -> "_StopSignal":
        if threading.current_thread() is threading.main_thread():
            for kind in (signal.SIGINT, signal.SIGTERM):
                self.previous[kind] = signal.signal(kind, self._note)
        return self

    def __exit__(self, *error: object) -> None:
        for kind, handler in self.previous.items():
            signal.signal(kind, handler)

    def _note(self, signum: int, frame: object) -> None:
        self.signum = signum
        for kind, handler in self.previous.items():
            signal.signal(kind, handler)
