"""What the user of a command sees: the only place that prints for `train` and `resume`."""

import logging
import statistics
import sys
from typing import Any

import torch
from tqdm import tqdm

from mwnet import noise
from mwnet.builders.experiment import Experiment
from mwnet.builders.meta import FEWEST
from mwnet.builders.sharing import remarks
from mwnet.core.device import warn_slow_bfloat16
from mwnet.core.names import short_names
from mwnet.data import Batches
from mwnet.data.meta import NextBatches
from mwnet.data.verdicts import words
from mwnet.detection import COLLAPSE, lasting_collapse, noise_words, warnings_of
from mwnet.losses.unlearnable import warn_unlearnable
from mwnet.methods.confident import ConfidentBatches
from mwnet.runs.describe import describe
from mwnet.runs.folder import REVIEW, RunFolder
from mwnet.runs.outputs import Result

log = logging.getLogger(__name__)

SCORE = {
    "label_quality": "label quality",
    "own": "its own score",
    "loss": "the loss",
    "probability": "probability",
}
"""The scores whose AUC is on the screen, and what they are called there."""
WIDTH = 12
"""Characters of a class name."""


class Console:
    """Shows a run: progress on stderr where stdout is a terminal, else a line a measured epoch."""

    def announce(self, experiment: Experiment, folder: RunFolder) -> None:
        """Say what is about to run."""
        announce(experiment, folder)
        for sentence in remarks(experiment.method, experiment.train.batch_size):
            log.info("%s", sentence)
        self.method = experiment.method

    def resumed(self, step: int) -> None:
        """Say where the run goes on."""
        print(f"continuing after step {step}", flush=True)

    def unfrozen(self, experiment: Experiment) -> None:
        """Say that the whole network is trained from here on."""
        self.method = experiment.method
        parameters = sum(p.numel() for p in experiment.method.network.parameters())
        held = experiment.data.pixels.x.nbytes / 2**20
        print(
            f"the whole network from here on: {parameters:,} parameters, {held:,.0f} MiB of pixels",
            flush=True,
        )

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
        self.engine: str | None = None
        self.bar = tqdm(
            total=total, initial=done, disable=not sys.stdout.isatty(), unit="step", leave=False
        )

    def step(self, epoch: int) -> None:
        """One training step is done; the first one has chosen the engine of the meta-gradient."""
        if self.engine is None and self.method.engine_name is not None:
            self.engine = self.method.engine_name
            self._say(engine_words(self.engine, self.method.engine_passed_over))
        if not self.bar.disable:
            self.bar.set_description_str(self._place(epoch), refresh=False)
            self.bar.update()

    def within(self, epoch: int, step: int, means: dict[str, float]) -> None:
        """Means since the last line, after ``step`` steps of the run."""
        self._show(f"{self._place(epoch)}  step {step}/{self.total}", _losses(means))

    def epoch(self, line: dict[str, Any]) -> None:
        """An epoch has been measured; ``line`` is its entry in metrics.jsonl."""
        self.history.append(line)
        collapse = lasting_collapse(self.history, len(self.epochs))
        if collapse != self.said:
            state = f"have collapsed: {COLLAPSE[collapse]}" if collapse else "have recovered"
            self._say(f"epoch {line['epoch']}: the weights {state}")
            self.said = collapse
        self._show(self._place(line["epoch"] - 1), _shown(line))

    def close(self) -> None:
        """The training is over, or has stopped."""
        self.bar.close()

    def conclude(self, found: Result, folder: RunFolder) -> None:
        """Print what came out."""
        conclude(found, folder)

    def _place(self, epoch: int) -> str:
        """Which of how many, and the phase if there are several; the epoch counts from 0."""
        total = len(self.epochs)
        return f"epoch {epoch + 1:{len(str(total))}d}/{total} {self.epochs[epoch]}".rstrip()

    def _show(self, place: str, text: str) -> None:
        """Show the latest numbers: at the bar, or as a line where there is none."""
        if not self.bar.disable:
            self.bar.set_postfix_str(text)
        else:
            print(f"{place}  {text}", flush=True)

    def _say(self, sentence: str) -> None:
        """Print a sentence without garbling the bar."""
        if not self.bar.disable:
            self.bar.write(sentence)
        else:
            print(sentence, flush=True)


class SeedsConsole:
    """Shows a run of several seeds."""

    def announce(self, experiment: Experiment, folder: RunFolder) -> None:
        """Say what is about to run."""
        announce(experiment, folder)

    def begin(self, seeds: int, epochs: int, way: str) -> None:
        """Training begins."""
        self.epochs = epochs
        print(f"{seeds} seeds, {way}", flush=True)

    def epoch(self, epoch: int, accuracies: list[float]) -> None:
        """An epoch has been measured."""
        print(
            f"epoch {epoch + 1:{len(str(self.epochs))}d}/{self.epochs}  "
            f"test {statistics.fmean(accuracies):.4f} ± {statistics.stdev(accuracies):.4f}",
            flush=True,
        )

    def conclude(self, together: dict[str, Any], folder: RunFolder) -> None:
        """Print mean and standard deviation over the seeds."""
        print(f"\n{len(together['seeds'])} seeds{'':30}{'mean':>8}{'sd':>8}")
        accuracies, aucs = together["test_accuracy"], together["detection_auc"]
        rows = [(f"test accuracy, {which} epoch", entry) for which, entry in accuracies.items()]
        rows += [(f"AUC of wrong labels by {n}, last epoch", e) for n, e in aucs.items()]
        for name, entry in rows:
            if entry["mean"] is not None:
                print(f"{name:38}{entry['mean']:8.4f}{entry['sd']:8.4f}")
        print(f"\n{together['seconds']:.1f} s of training; in {folder}, a folder for each seed")


def announce(experiment: Experiment, folder: RunFolder) -> None:
    """Say what is about to run: data, noise, sizes, network."""
    config, data = experiment.config, experiment.data
    source, parts = data.source, data.parts
    for note in source.notes:
        log.info("%s", note)
    if config.amp == "bf16":
        warn_slow_bfloat16(experiment.device)
    parameters = sum(p.numel() for p in experiment.method.parameters())
    print(
        f"{describe(config)} on {source.name}: {len(parts.train)} training, "
        f"{len(parts.meta)} meta, {len(parts.validation)} validation, {len(parts.test)} test "
        f"samples of {source.num_classes} classes; {config.model} with {parameters:,} parameters "
        f"on {experiment.device}"
    )
    if data.matrix is not None:
        print(f"noise {config.noise} {config.noise_rate:g}, Pr(given label | true label):")
        if source.num_classes <= 20:
            names = short_names(source.classes, WIDTH)
            for name, row in zip(names, data.matrix.tolist(), strict=True):
                print(f"  {name:>{WIDTH}} " + " ".join(f"{value:.2f}" for value in row))
        warn_unlearnable(data.matrix, "the matrix of the added noise", source.classes)
    for kind, options in (("loss", config.loss_options), ("meta_loss", config.meta_loss_options)):
        if "matrix" in options:
            given = torch.from_numpy(noise.array_from_file(str(options["matrix"])))
            warn_unlearnable(given, f"the matrix of `{kind}.matrix`", source.classes)
    rate = experiment.realised_rate()
    if rate is not None and source.truth is not None:
        print(f"{rate:.1%} of the training labels are wrong")
    elif rate is not None:
        print(f"the noise has changed {rate:.1%} of the training labels, which count as right")
    if data.corrections is not None:
        print(words(data.corrections, left_out=config.unsure == "leave-out"))
    _announce_meta(experiment)
    print(f"writing to {folder}", flush=True)


def _announce_meta(experiment: Experiment) -> None:
    """Say what the meta set is where that is not plain, or that it is small."""
    data, meta = experiment.data, experiment.meta
    if isinstance(meta, ConfidentBatches):
        print(f"the meta set: the {len(meta.chosen)} training samples trusted most")
    elif isinstance(meta, NextBatches):
        print("the meta batch: the next training batch")
    elif isinstance(meta, Batches) and not len(data.parts.meta):
        print(f"the meta set: the {len(meta.ids)} training samples that the corrections vouch for")
    elif meta is not None:
        if data.corrections is not None:
            print(f"the corrections vouch for fewer than {FEWEST} of a class: no meta set of them")
        if len(data.parts.meta) < 2 * data.source.num_classes:
            few = "%d meta samples are few: more data or a higher `meta_size` may help"
            log.warning(few, len(data.parts.meta))


def conclude(found: Result, folder: RunFolder) -> None:
    """Print the result, the most suspect samples, and where everything lies."""
    summary, scored = found.summary, found.scored
    print(f"\n{'':38}{'last':>8}{'best':>8}  (best epoch, by the same number)")
    given = summary["test_labels"] == "given"
    rows = [
        ("agreement with given test labels" if given else "test accuracy", summary["test_accuracy"])
    ]
    if summary["validation_accuracy"] is not None:
        rows.append(("agreement with given validation", summary["validation_accuracy"]))
    auc = summary["detection_auc"] or {}
    rows += [(f"AUC of wrong labels by {SCORE[name]}", auc[name]) for name in SCORE if auc]
    for name, entry in rows:
        if entry["last"] is not None:
            print(f"{name:38}{entry['last']:8.4f}{entry['best']:8.4f}  ({entry['best_epoch']})")
    classes = found.experiment.data.source.classes
    for place, warning in enumerate(warnings_of(scored, summary["weights"], classes)):
        if place == 0:
            print()
        log.warning("%s", warning)
    if scored.noise is not None:
        print(f"\n{noise_words(scored.noise)}")
    if found.suspects():
        print("\nmost suspect training samples")
        print(f"{'sample_id':>28}  {'given':>{WIDTH}}  {'predicted':>{WIDTH}}  label quality")
    short = dict(zip(classes, short_names(classes, WIDTH), strict=True))
    for sample, *labels, quality in found.suspects():
        columns = "".join(f"  {short[label]:>{WIDTH}}" for label in labels)
        print(f"{sample[-28:]:>28}{columns}  {quality:.2g}")
    print(f"\n{summary['seconds']['total']:.1f} s of training; in {folder}:")
    if (folder.path / REVIEW).is_file():
        print(f"  {REVIEW:17}  the suspects, to look at and decide; opens in a browser")
    print("  label_quality.csv  every training label with its score")
    print("  summary.json       the numbers")
    if folder.figures.is_dir():
        print("  figures/           what happened, in pictures")


def engine_words(engine: str, passed_over: str | None) -> str:
    """Say which engine computes the meta-gradient, and why no faster one does."""
    why = f" ({passed_over})" if passed_over else ""
    return f"meta-gradient by the engine {engine}{why}"


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
