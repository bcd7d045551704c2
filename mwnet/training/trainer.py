"""Train a method: steps, measurements, checkpoints. The trainer knows no method by name."""

import contextlib
import math
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor

from mwnet.core.errors import Interrupted, NonFiniteLoss, UserError, first_line
from mwnet.core.seeding import global_states, restore_global_states
from mwnet.data.batches import Batches
from mwnet.data.meta import MetaSource
from mwnet.detection import Trajectory
from mwnet.methods import Method, Phase
from mwnet.training.loop import steps
from mwnet.training.protocols import Observer, Store

Evaluate = Callable[[], dict[str, Any]]
"""Measures the method as it is; plain numbers by name, among them the selector's."""


@dataclass
class Progress:
    """The state of a training beside its method; a checkpoint contains it.

    Attributes:
        step: steps taken so far.
        history: lines of metrics.
        seconds: duration so far.
        best: highest value of the selector in this phase.
        sums, counts: sum and number of each reported value since the last line.
    """

    step: int = 0
    history: list[dict[str, Any]] = field(default_factory=list)
    seconds: float = 0.0
    best: float = -math.inf
    sums: dict[str, Tensor] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)


class Trainer:
    """Trains a method and hands metrics and checkpoints to a store.

    Args:
        method: what is trained.
        train, meta: endless batches; ``meta`` may be None where the method needs none.
        evaluate: measures the method after an epoch.
        trajectory: what ``evaluate`` adds its looks to; a checkpoint contains it.
        store: keeps metrics and checkpoints.
        observers: show what happens.
        selector: name of the metric whose highest value makes a checkpoint the best one.
        identity: plain values that a checkpoint must agree with to be resumed.
        max_steps: stop after this many steps, or None.
        checkpoint_every: epochs between checkpoints.
        eval_every: epochs between measurements; the last epoch of each phase has one.
        log_every: steps between reports within an epoch, or None.
        phases: of the run, where the method is trained in some of them only; None: the method's.
    """

    def __init__(
        self,
        method: Method,
        train: Batches,
        meta: MetaSource | None,
        evaluate: Evaluate,
        *,
        trajectory: Trajectory,
        store: Store,
        observers: Sequence[Observer] = (),
        selector: str,
        identity: dict[str, Any],
        max_steps: int | None = None,
        checkpoint_every: int = 1,
        eval_every: int = 1,
        log_every: int | None = None,
        phases: Sequence[Phase] | None = None,
    ) -> None:
        self.method = method
        self.train, self.meta = train, meta
        self.evaluate = evaluate
        self.trajectory = trajectory
        self.store, self.observers = store, observers
        self.selector = selector
        self.identity = identity
        self.phases = method.phases if phases is None else phases
        self.names = [phase.name for phase in self.phases for _ in range(phase.epochs)]
        self.total = min(len(self.names) * len(train), max_steps or sys.maxsize)
        self.checkpoint_every = checkpoint_every
        self.eval_every = eval_every
        self.log_every = log_every
        self.device = train.labels.device
        self.progress = Progress()

    def resume(self) -> None:
        """Restore the last checkpoint, if there is one.

        Raises:
            UserError: (a ValueError) a damaged checkpoint, or one of another configuration.
        """
        state = self.store.load(self.device)
        if state is None:
            return
        restore(state, self.method, self.identity)
        self.progress = Progress(**state["progress"])
        self.trajectory.load_state_dict(state["trajectory"])
        if len(self.phases) > 1:  # the run may have got a phase since
            self.progress.history = [
                {"epoch": line["epoch"], "step": line["step"], "phase": self.phases[0].name, **line}
                for line in self.progress.history
            ]
        self.method.epoch = max(0, self.progress.step - 1) // len(self.train)
        # map_location has moved the generator states too; they belong on the CPU.
        states = {name: value.cpu() for name, value in state["generators"].items()}
        restore_global_states(states, self.device)

    def fit(self, stopped: Callable[[], int | None] = lambda: None) -> list[dict[str, Any]]:
        """Train to the end.

        Args:
            stopped: returns the signal that asks to stop, or None; called after each step.

        Returns:
            One dictionary of metrics for each measured epoch, as in ``metrics.jsonl``. It has the
            means of what the steps since the measurement before reported. Where ``max_steps`` ends
            the training within an epoch, the last dictionary is of that part of the epoch.

        Raises:
            Interrupted: asked to stop; a checkpoint has been written.
            NonFiniteLoss: a reported loss or a parameter became NaN or infinite.
        """
        done, in_epoch = self.progress, len(self.train)
        epochs = [name * (len(self.phases) > 1) for name in self.names]
        measured = self._measured()
        for observer in self.observers:
            observer.begin(self.total, done.step, epochs, done.history)
        self.store.begin(done.history)
        started = time.perf_counter() - done.seconds
        self.method.train()  # measuring restores the mode it finds
        with contextlib.ExitStack() as open_ones:
            for observer in self.observers:
                open_ones.callback(observer.close)
            training = steps(self.method, self.train, self.meta, start=done.step, stop=self.total)
            for done.step, report in training:
                epoch = (done.step - 1) // in_epoch
                self._add(report)
                for observer in self.observers:
                    observer.step(epoch)
                done.seconds = time.perf_counter() - started
                ends = done.step % in_epoch == 0
                line_follows = ends and epoch in measured
                if self.log_every and done.step % self.log_every == 0 and not line_follows:
                    means = self._means()
                    for observer in self.observers:
                        observer.within(epoch, done.step, means)
                if ends:
                    self._check(done.sums)
                    best = line_follows and self._measure()
                    due = done.step == self.total or (epoch + 1) % self.checkpoint_every == 0
                    if best or due:
                        self._save(best)
                signum = stopped()
                if signum is not None and done.step < self.total:
                    self._save()
                    raise Interrupted(
                        f"stopped after step {done.step} of {self.total}; "
                        f"{self.store.how_to_continue()}",
                        signum,
                    )
            if done.sums:
                # Saved without the line of an epoch that is unfinished or not to be measured, so
                # that a resumed run with more steps goes on as if it had never stopped.
                self._save(best=not self.store.has_best())
                self._measure()
        return done.history

    def _measured(self) -> set[int]:
        """Return the epochs that are measured, counted from 0; the last of each phase is one."""
        ends = accumulate(phase.epochs for phase in self.phases)
        return {
            epoch
            for phase, end in zip(self.phases, ends, strict=True)
            for epoch in range(end - 1, end - phase.epochs - 1, -self.eval_every)
        }

    def _add(self, report: dict[str, Tensor]) -> None:
        """Add what a step reported to the sums, which stay on the device during an epoch."""
        done = self.progress
        for name, value in report.items():
            total = done.sums.get(name, torch.zeros_like(value, dtype=torch.float64))
            done.sums[name] = total + value
            done.counts[name] = done.counts.get(name, 0) + 1
        if self.device.type == "cpu":  # there is no synchronisation to save: name the very step
            self._check(done.sums)

    def _check(self, values: Mapping[str, Tensor]) -> None:
        bad = [name for name, value in values.items() if not bool(value.isfinite().all())]
        if not bad:
            return
        step = self.progress.step
        raise NonFiniteLoss(
            f"{bad[0]} became NaN or infinite in epoch {(step - 1) // len(self.train) + 1}, step "
            f"{step}; {self.store.last_good()}; a lower `lr` may help"
        )

    def _means(self) -> dict[str, float]:
        """Compute the means of what the steps since the last line reported."""
        done = self.progress
        self._check(done.sums)
        return {name: float(total) / done.counts[name] for name, total in done.sums.items()}

    def _measure(self) -> bool:
        """Measure the method, report the line, and say whether this epoch is the best so far."""
        done = self.progress
        means = self._means()
        line: dict[str, Any] = {"epoch": self.method.epoch + 1, "step": done.step}
        if len(self.phases) > 1:
            line["phase"] = self.names[self.method.epoch]
        if done.history and done.history[-1].get("phase") != line.get("phase"):
            # What counts is the phase that ends in the result.
            done.best = -math.inf
            self.trajectory.clear()
        line |= {**means, **self.evaluate()}
        done.history.append(line)
        done.sums, done.counts = {}, {}
        self.store.add(line)
        for observer in self.observers:
            observer.epoch(line)
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
            "trajectory": self.trajectory.state_dict(),
            "generators": global_states(self.device),
        }
        self.store.save(state, best=best)


def restore(state: dict[str, Any], method: Method, identity: dict[str, Any]) -> None:
    """Load the method's state from a checkpoint.

    Args:
        state: what the checkpoint holds.
        method: of the same kind as the one that was saved.
        identity: must agree with the checkpoint's.

    Raises:
        UserError: (a ValueError) a checkpoint of another configuration or version.
    """
    for name, value in state["identity"].items():
        if identity.get(name) != value:
            raise UserError(
                f"the checkpoint was written with {name} = {value}, which is now "
                f"{identity.get(name)}: restore that or start a new run"
            )
    try:
        method.load_state_dict(state["method"])
    except (RuntimeError, KeyError) as error:
        raise UserError(
            f"the checkpoint was written by another version of mwnet: {first_line(error)}"
        ) from error
