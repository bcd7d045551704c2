"""What a trainer hands its results to: a store that keeps them, observers that show them."""

from typing import Any, Protocol

import torch


class Store(Protocol):
    """Keeps the lines of metrics and the checkpoints of a training."""

    def begin(self, history: list[dict[str, Any]]) -> None:
        """Replace all lines of metrics."""
        ...

    def add(self, line: dict[str, Any]) -> None:
        """Append a line of metrics."""
        ...

    def save(self, state: dict[str, Any], *, best: bool) -> None:
        """Replace the last checkpoint, and the best one too if ``best``."""
        ...

    def load(self, device: torch.device) -> dict[str, Any] | None:
        """Read the last checkpoint; return None if there is none."""
        ...

    def has_best(self) -> bool:
        """Say whether there is a best checkpoint."""
        ...

    def last_good(self) -> str:
        """Return a clause that says where the last checkpoint is."""
        ...

    def how_to_continue(self) -> str:
        """Return a clause that says how to go on after an interruption."""
        ...


class Observer(Protocol):
    """Shows a training while it goes on."""

    def begin(
        self, total: int, done: int, epochs: list[str], history: list[dict[str, Any]]
    ) -> None:
        """Show that a training begins or goes on.

        Args:
            total: steps in all.
            done: steps that have been taken before.
            epochs: name of the phase of each epoch; empty names where there is only one phase.
            history: lines of metrics so far.
        """
        ...

    def step(self, epoch: int) -> None:
        """Show that a step of an epoch, counted from 0, is done."""
        ...

    def within(self, epoch: int, step: int, means: dict[str, float]) -> None:
        """Show the means of what steps reported since the last line, within an epoch."""
        ...

    def epoch(self, line: dict[str, Any]) -> None:
        """Show the line of metrics of an epoch."""
        ...

    def close(self) -> None:
        """Show that the training is over, or has stopped."""
        ...
