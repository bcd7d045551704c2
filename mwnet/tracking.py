"""What the user sees while a run goes on: a progress bar or lines, and TensorBoard."""

import sys
from pathlib import Path
from typing import Any

from tqdm import tqdm

COLLAPSE = {
    "zero": "all are near zero",
    "constant": "all are the same, so nothing is learnt about the labels",
    "rising": "they rise with the loss, so wrong labels count more than right ones",
}


class Tracker:
    """Progress on stderr where stdout is a terminal, else one line a measured epoch; TensorBoard.

    Args:
        total: steps of the run.
        done: steps that an earlier part of the run has taken.
        epochs: name of the phase of each epoch of the run; empty names are not shown.
        events: folder for TensorBoard events, or None.
        history: lines that an earlier part of the run has reported.
        steps: whether :meth:`within` will be called; its events go to a folder of their own, since
            they count steps, not epochs.
    """

    def __init__(
        self,
        total: int,
        done: int,
        epochs: list[str],
        events: Path | None,
        history: list[dict[str, Any]],
        *,
        steps: bool = False,
    ) -> None:
        self.total = total
        self.epochs = epochs
        self.history = list(history)
        self.said = lasting_collapse(history, len(epochs))
        self.bar = tqdm(
            total=total, initial=done, disable=not sys.stdout.isatty(), unit="step", leave=False
        )
        self.writer = self.step_writer = None
        if events is not None:
            from torch.utils.tensorboard import SummaryWriter

            reported = history[-1]["epoch"] if history else 0
            self.writer = SummaryWriter(str(events), purge_step=reported + 1)
            if steps:
                self.step_writer = SummaryWriter(str(events / "steps"), purge_step=done + 1)

    def step(self, epoch: int) -> None:
        """One training step is done."""
        if not self.bar.disable:
            self.bar.set_description_str(self._place(epoch), refresh=False)
            self.bar.update()

    def within(self, epoch: int, step: int, means: dict[str, float]) -> None:
        """Means since the last line, after ``step`` steps of the run."""
        shown = _losses(means)
        if self.bar.disable:
            print(f"{self._place(epoch)}  step {step}/{self.total}  {shown}", flush=True)
        else:
            self.bar.set_postfix_str(shown)
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
        shown = _shown(line)
        if self.bar.disable:
            print(f"{self._place(line['epoch'] - 1)}  {shown}", flush=True)
        else:
            self.bar.set_postfix_str(shown)
        if self.writer is not None:
            for name, value in flatten(line):
                if isinstance(value, (int, float)):
                    self.writer.add_scalar(name, value, line["epoch"])

    def _place(self, epoch: int) -> str:
        """Which of how many, and the phase if there are several; the epoch counts from 0."""
        total = len(self.epochs)
        return f"epoch {epoch + 1:{len(str(total))}d}/{total} {self.epochs[epoch]}".rstrip()

    def say(self, sentence: str) -> None:
        """A sentence for the user that does not garble the bar."""
        if self.bar.disable:
            print(sentence, flush=True)
        else:
            self.bar.write(sentence)

    def close(self) -> None:
        self.bar.close()
        for writer in (self.writer, self.step_writer):
            if writer is not None:
                writer.close()


def lasting_collapse(history: list[dict[str, Any]], epochs: int) -> str | None:
    """What the weights have been for a fifth of the run, None if they were fine at any time of it.

    ``history`` has a line for each measured epoch so far, ``epochs`` is how many a whole run has.
    Less proves nothing: half of all weight nets start out rising with the loss and are turned
    around in the first epochs.
    """
    states = [(line["epoch"], line["weights"]["collapse"]) for line in history]
    if not states:
        return None
    epoch, now = states[-1]
    before = max((then for then, state in states if state != now), default=0)
    return now if epoch - before >= max(2, epochs // 5) else None


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
