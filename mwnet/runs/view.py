"""What a run tells whoever watches it. Runs print nothing: the commands hand them a console."""

from typing import Any, Protocol

from mwnet.builders.experiment import Experiment
from mwnet.runs.folder import RunFolder
from mwnet.runs.outputs import Result
from mwnet.training.protocols import Observer


class View(Observer, Protocol):
    """Shows a run."""

    def announce(self, experiment: Experiment, folder: RunFolder) -> None:
        """A run is about to begin or to go on."""
        ...

    def resumed(self, step: int) -> None:
        """It goes on after ``step`` steps."""
        ...

    def unfrozen(self, experiment: Experiment) -> None:
        """From here on the whole network of photos is trained; ``experiment`` is that part."""
        ...

    def conclude(self, found: Result, folder: RunFolder) -> None:
        """It is finished and written."""
        ...


class SeedsView(Protocol):
    """Shows a run of several seeds."""

    def announce(self, experiment: Experiment, folder: RunFolder) -> None:
        """The run is about to begin; ``experiment`` is that of the first seed."""
        ...

    def begin(self, seeds: int, epochs: int, way: str) -> None:
        """Training begins; ``way`` is how: in one pass, or a run of each."""
        ...

    def epoch(self, epoch: int, accuracies: list[float]) -> None:
        """An epoch, counted from 0, has been measured on the test samples of each seed."""
        ...

    def conclude(self, together: dict[str, Any], folder: RunFolder) -> None:
        """It is finished and written."""
        ...
