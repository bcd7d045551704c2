"""What a trainer hands its results to: a store that keeps them, observers that show them."""

from typing import Any, Protocol

import torch


class Store(Protocol):
    """Keeps what a training must not lose: the lines of its metrics and its checkpoints."""

    def begin(self, history: list[dict[str, Any]]) -> None:
        """Replace all lines of metrics."""
        ...

    def add(self, line: dict[str, Any]) -> None:
        """Append a line of metrics."""
        ...

    def save(self, state: dict[str, Any], *, best: bool) -> None:
        """Replace the last checkpoint, and the best one too if it is that."""
        ...

    def load(self, device: torch.device) -> dict[str, Any] | None:
        """Read the last checkpoint, None if there is none."""
        ...

    def has_best(self) -> bool:
        """Whether there is a best checkpoint."""
        ...

    def last_good(self) -> str:
        """A clause on where the last checkpoint is."""
        ...

    def how_to_continue(self) -> str:
        """A clause on how to go on after an interruption."""
        ...


class Observer(Protocol):
    """Shows a training while it goes on."""

    def begin(
        self, total: int, done: int, epochs: list[str], history: list[dict[str, Any]]
    ) -> None:
        """A training begins or goes on; ``epochs`` has the name of the phase of each epoch."""
        ...

    def step(self, epoch: int) -> None:
        """One step is done."""
        ...

    def within(self, epoch: int, step: int, means: dict[str, float]) -> None:
        """Means since the last line, within an epoch."""
        ...

    def epoch(self, line: dict[str, Any]) -> None:
        """An epoch has been measured."""
        ...

    def close(self) -> None:
        """The training is over, or has stopped."""
        ...
