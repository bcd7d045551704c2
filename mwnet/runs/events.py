"""TensorBoard events of a run, as its trainer reports them."""

from pathlib import Path
from typing import Any


class Events:
    """Writes TensorBoard events.

    Args:
        folder: where to.
        steps: whether ``within`` will be called; its events go to a folder of their own, since
            they count steps, not epochs.
    """

    def __init__(self, folder: Path, *, steps: bool = False) -> None:
        self.folder, self.steps = folder, steps

    def begin(
        self, total: int, done: int, epochs: list[str], history: list[dict[str, Any]]
    ) -> None:
        """A run begins or goes on; events after ``done`` steps are of a part that was lost."""
        from torch.utils.tensorboard import SummaryWriter

        reported = history[-1]["epoch"] if history else 0
        self.writer = SummaryWriter(str(self.folder), purge_step=reported + 1)
        self.step_writer = (
            SummaryWriter(str(self.folder / "steps"), purge_step=done + 1) if self.steps else None
        )

    def step(self, epoch: int) -> None:
        """One step is done: no event."""

    def within(self, epoch: int, step: int, means: dict[str, float]) -> None:
        """Means since the last line, after ``step`` steps of the run."""
        if self.step_writer is not None:
            for name, value in means.items():
                self.step_writer.add_scalar(name, value, step)

    def epoch(self, line: dict[str, Any]) -> None:
        """An epoch has been measured; ``line`` is its entry in metrics.jsonl."""
        for name, value in flatten(line):
            if isinstance(value, (int, float)):
                self.writer.add_scalar(name, value, line["epoch"])

    def close(self) -> None:
        """The training is over, or has stopped."""
        for writer in (self.writer, self.step_writer):
            if writer is not None:
                writer.close()


def flatten(values: dict[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """Nested dictionaries as ``("detection_auc/own", 0.99)`` pairs."""
    pairs = []
    for name, value in values.items():
        if isinstance(value, dict):
            pairs += flatten(value, f"{prefix}{name}/")
        else:
            pairs.append((prefix + name, value))
    return pairs
