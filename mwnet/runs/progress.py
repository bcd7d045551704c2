"""What the user sees while a run goes on: a progress bar or lines, and TensorBoard."""

import sys
from pathlib import Path
from typing import Any

from tqdm import tqdm

from mwnet.detection import COLLAPSE, lasting_collapse


class Tracker:
    """Progress on stderr where stdout is a terminal, else one line a measured epoch; TensorBoard.

    Args:
        events: folder for TensorBoard events, or None.
        steps: whether ``within`` will be called; its events go to a folder of their own, since
            they count steps, not epochs.
        silent: print nothing.
    """

    def __init__(self, events: Path | None, *, steps: bool = False, silent: bool = False) -> None:
        self.events, self.steps, self.silent = events, steps, silent
        self.writer = self.step_writer = None

    def begin(
        self, total: int, done: int, epochs: list[str], history: list[dict[str, Any]]
    ) -> None:
        """A run begins or goes on.

        Args:
            total: steps of the run.
            done: steps that an earlier part of the run has taken.
            epochs: name of the phase of each epoch of the run; empty names are not shown.
            history: lines that an earlier part of the run has reported.
        """
        self.total = total
        self.epochs = epochs
        self.history = list(history)
        self.said = lasting_collapse(history, len(epochs))
        self.bar = tqdm(
            total=total,
            initial=done,
            disable=self.silent or not sys.stdout.isatty(),
            unit="step",
            leave=False,
        )
        if self.events is not None:
            from torch.utils.tensorboard import SummaryWriter

            reported = history[-1]["epoch"] if history else 0
            self.writer = SummaryWriter(str(self.events), purge_step=reported + 1)
            if self.steps:
                self.step_writer = SummaryWriter(str(self.events / "steps"), purge_step=done + 1)

    def step(self, epoch: int) -> None:
        """One training step is done."""
        if not self.bar.disable:
            self.bar.set_description_str(self._place(epoch), refresh=False)
            self.bar.update()

    def within(self, epoch: int, step: int, means: dict[str, float]) -> None:
        """Means since the last line, after ``step`` steps of the run."""
        shown = _losses(means)
        self._show(f"{self._place(epoch)}  step {step}/{self.total}", shown)
        if self.step_writer is not None:
            for name, value in means.items():
                self.step_writer.add_scalar(name, value, step)

    def epoch(self, line: dict[str, Any]) -> None:
        """An epoch has been measured; ``line`` is its entry in metrics.jsonl."""
        self.history.append(line)
        collapse = lasting_collapse(self.history, len(self.epochs))
        if collapse != self.said:
            state = f"have collapsed: {COLLAPSE[collapse]}" if collapse else "have recovered"
            self.say(f"epoch {line['epoch']}: the weights {state}")
            self.said = collapse
        self._show(self._place(line["epoch"] - 1), _shown(line))
        if self.writer is not None:
            for name, value in flatten(line):
                if isinstance(value, (int, float)):
                    self.writer.add_scalar(name, value, line["epoch"])

    def _place(self, epoch: int) -> str:
        """Which of how many, and the phase if there are several; the epoch counts from 0."""
        total = len(self.epochs)
        return f"epoch {epoch + 1:{len(str(total))}d}/{total} {self.epochs[epoch]}".rstrip()

    def _show(self, place: str, text: str) -> None:
        """Show the latest numbers: at the bar, or as a line where there is none."""
        if not self.bar.disable:
            self.bar.set_postfix_str(text)
        elif not self.silent:
            print(f"{place}  {text}", flush=True)

    def say(self, sentence: str) -> None:
        """Print a sentence without garbling the bar."""
        if not self.bar.disable:
            self.bar.write(sentence)
        elif not self.silent:
            print(sentence, flush=True)

    def close(self) -> None:
        self.bar.close()
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


def _losses(line: dict[str, Any]) -> str:
    parts = [f"loss {line['train_loss']:.4f}"]
    if "meta_loss" in line:
        parts.append(f"meta {line['meta_loss']:.4f}")
    return "  ".join(parts)


def _shown(line: dict[str, Any]) -> str:
    parts = [_losses(line)]
    if line.get("validation_accuracy") is not None:
        parts.append(f"validation {line['validation_accuracy']:.4f}")
    parts.append(f"test {line['test_accuracy']:.4f}")
    own = (line.get("detection_auc") or {}).get("own")
    if own is not None:
        parts.append(f"AUC {own:.4f}")
    return "  ".join(parts)
