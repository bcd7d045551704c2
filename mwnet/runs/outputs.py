"""Compute what a finished run has to say, and write it into its folder."""

import csv
import hashlib
import io
import platform
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import torch

import mwnet
from mwnet import detection
from mwnet.builders.experiment import Experiment
from mwnet.core import files
from mwnet.core.memory import peak_memory
from mwnet.detection import Scored, never_predicted
from mwnet.methods.confident import ConfidentBatches
from mwnet.runs.folder import (
    COLUMNS,
    MARGINS,
    NOISE_MATRIX,
    QUALITY,
    QUALITY_HELD_OUT,
    VERDICT,
    RunFolder,
)
from mwnet.runs.model import of_experiment
from mwnet.training.trainer import Progress


@dataclass(frozen=True)
class Result:
    """What a finished run has to say.

    Attributes:
        experiment: after training.
        scored: the training samples at the end.
        held_out: samples that were not trained on but may be mislabelled too; None if there are
            none.
        history: metrics of every measured epoch.
        summary: as in ``summary.json``.
    """

    experiment: Experiment
    scored: Scored
    held_out: Scored | None
    history: list[dict[str, Any]]
    summary: dict[str, Any]

    def suspects(self, count: int = 10) -> list[tuple[str, str, str, float]]:
        """Return sample, given label, predicted label and label quality, the most suspect first."""
        scored, classes = self.scored, self.experiment.data.source.classes
        ranking = scored.quality
        names = sample_names(self.experiment, scored.ids)
        order = np.argsort(ranking, kind="stable")
        if scored.trusted is not None:
            order = order[~scored.trusted[order]]
        return [
            (names[i], classes[scored.given[i]], classes[scored.predicted[i]], float(ranking[i]))
            for i in order[:count]
        ]


def result(experiment: Experiment, scored: Scored, progress: Progress) -> Result:
    """Compute what a finished run has to say.

    Args:
        experiment: after training.
        scored: the training samples at the end.
        progress: steps, seconds, metrics of every measured epoch.
    """
    held_out = _held_out(experiment)
    return Result(
        experiment,
        scored,
        experiment.score(held_out) if len(held_out) else None,
        progress.history,
        summarise(experiment, scored, progress.history, progress),
    )


def write(found: Result, folder: RunFolder) -> None:
    """Write everything that a finished run leaves; the summary last."""
    experiment, scored = found.experiment, found.scored
    data = experiment.data
    classes = data.source.classes
    names = sample_names(experiment, scored.ids)
    corrections = data.corrections
    verdicts = None if corrections is None else corrections.verdict_of()
    folder.write_text(QUALITY, label_quality_csv(scored, names, classes, verdicts))
    folder.write_predictions(scored.probabilities, scored.given)
    if data.matrix is not None:
        rows = [("true\\given", *classes), *zip(classes, *data.matrix.T.tolist(), strict=True)]
        folder.write_text(NOISE_MATRIX, _csv(rows))
    if found.held_out is not None:
        others = sample_names(experiment, found.held_out.ids)
        text = label_quality_csv(found.held_out, others, classes, verdicts)
        folder.write_text(QUALITY_HELD_OUT, text)
    if experiment.config.figures:
        from mwnet.runs.figures import draw_all

        truth = None if data.truth is None else data.truth[data.parts.train].numpy()
        by_loss = experiment.method.weight_of_loss
        draw_all(folder.figures, scored, truth, classes, found.history, by_loss=by_loss)
    of_experiment(experiment).save(folder.path)
    folder.write_summary(found.summary)


def label_quality_csv(
    scored: Scored,
    names: list[str],
    classes: tuple[str, ...],
    verdicts: dict[int, str] | None = None,
) -> str:
    """Write label quality as CSV: one line a sample, in the order of ``pred_probs.npy``.

    Args:
        scored: the samples.
        names: of each.
        classes: names of the classes.
        verdicts: what a reviewer said, by sample id, as one more column; None for no such column.
    """
    margins = [getattr(scored, name) for name in MARGINS]
    said = [[]] * len(names)
    if verdicts is not None:
        said = [[verdicts.get(sample, "")] for sample in scored.ids.tolist()]
    rows = (
        (
            name,
            classes[scored.given[i]],
            classes[scored.predicted[i]],
            f"{scored.quality[i]:.9g}",
            f"{scored.weight[i]:.9g}",
            f"{scored.loss[i]:.9g}",
            bool(scored.is_issue[i]),
            *(f"{column[i]:.9g}" for column in margins),
            *said[i],
        )
        for i, name in enumerate(names)
    )
    header = COLUMNS if verdicts is None else (*COLUMNS, VERDICT)
    return _csv(chain([header], rows))


def summarise(
    experiment: Experiment,
    scored: Scored,
    history: list[dict[str, Any]],
    progress: Progress,
) -> dict[str, Any]:
    """Compute the summary: the contract that tables and tools read."""
    config, method, classes = experiment.config, experiment.method, experiment.data.source.classes
    uses_meta = method.meta != "none"
    phases = {phase.name: phase.epochs for phase in experiment.phases}
    final = [line for line in history if line.get("phase") == history[-1].get("phase")]
    queue = experiment.meta if isinstance(experiment.meta, ConfidentBatches) else None
    validation = None
    if len(experiment.data.parts.validation):
        validation = _last_and_best({line["epoch"]: line["validation_accuracy"] for line in final})
    found: dict[str, Any] = dict.fromkeys(("detection_auc", "average_precision"))
    per_class = None
    if experiment.data.truth is not None:
        found = {
            measure: {
                name: _last_and_best({line["epoch"]: line[measure][name] for line in final})
                for name in detection.SCORES
            }
            for measure in found
        }
        truth = experiment.data.truth[experiment.data.parts.train].numpy()
        per_class = detection.auc_per_class(scored, truth, classes)
    return {
        "mode": config.mode,
        "method": config.method,
        "meta_loss": config.meta_loss if method.meta == "any" else None,
        "meta_noisy": not experiment.clean_meta if uses_meta else None,
        "meta_source": config.meta_source if uses_meta else None,
        "dataset": config.dataset,
        "model": config.model,
        "seed": config.seed,
        "epochs": config.epochs,
        "phases": phases,
        "engine": method.engine_name,
        "engine_passed_over": method.engine_passed_over,
        "noise": {
            "name": config.noise,
            "rate": config.noise_rate,
            "realised_rate": experiment.realised_rate(),
            "assumed": experiment.assumed_noise_rate(),
        },
        "corrections": _corrections(experiment),
        "test_labels": experiment.data.test_labels,
        "test_digest": _test_digest(experiment),
        "test_accuracy": _last_and_best({line["epoch"]: line["test_accuracy"] for line in final}),
        "validation_accuracy": validation,
        **found,
        "detection_auc_per_class": per_class,
        "precision_at_noise": history[-1].get("precision_at_noise"),
        "weights": history[-1]["weights"],
        "noise_estimate": None if scored.noise is None else scored.noise.described(),
        "never_predicted": [classes[code] for code in never_predicted(scored)],
        "steps": progress.step,
        "samples": {name: len(ids) for name, ids in vars(experiment.data.parts).items()},
        "confident_samples": None if queue is None else len(queue.chosen),
        "skipped": experiment.data.source.skipped,
        "classes": list(classes),
        "seconds": {"total": progress.seconds, "per_step": progress.seconds / progress.step},
        "peak_memory_mib": peak_memory(experiment.device),
        "device": device_name(experiment.device),
        "threads": torch.get_num_threads(),
        "versions": versions(),
    }


def device_name(device: torch.device) -> str:
    """``cpu``, or for instance ``cuda (NVIDIA H200)``: seconds mean little without it."""
    if device.type != "cuda":
        return str(device)
    return f"{device} ({torch.cuda.get_device_name(device)})"


def versions() -> dict[str, str]:
    """Versions that a number depends on."""
    from importlib.metadata import version

    names = ("torch", "numpy", "scikit-learn", "higher")
    return {
        "mwnet": mwnet.__version__,
        "python": platform.python_version(),
        **{name: version(name) for name in names},
    }


def sample_names(experiment: Experiment, ids: np.ndarray) -> list[str]:
    """What the reports call the samples: file names, or row numbers."""
    names = experiment.data.source.names
    return [str(i) if names is None else names[i] for i in ids.tolist()]


def _corrections(experiment: Experiment) -> dict[str, Any] | None:
    """What a reviewer said, counted; None without corrections."""
    data, config = experiment.data, experiment.config
    if data.corrections is None:
        return None
    trained = torch.isin(data.corrections.trusted, data.parts.train)
    return {
        **data.corrections.described(),
        "trusted_in_training": int(trained.sum()),
        "unsure_samples": config.unsure,
    }


def _test_digest(experiment: Experiment) -> str:
    """Tell test samples and the labels that they are measured with from others."""
    data = experiment.data
    labels = data.labels.cpu() if data.truth is None else data.truth
    digest = hashlib.blake2b(digest_size=8)
    for part in (data.parts.test, labels[data.parts.test]):
        digest.update(part.numpy().tobytes())
    return digest.hexdigest()


def _held_out(experiment: Experiment) -> torch.Tensor:
    """Samples the classifier was not trained on, whose labels may be wrong all the same."""
    parts = experiment.data.parts
    held_out = [parts.validation]
    if not experiment.clean_meta:
        held_out.append(parts.meta)
    if experiment.data.source.test_ids is None:
        held_out.append(parts.test)
    return torch.cat(held_out).sort().values


def _last_and_best(values: dict[int, float | None]) -> dict[str, float | int | None]:
    """Of values by epoch: the last one, and the best with its epoch; None where unknown."""
    known = [(value, -epoch) for epoch, value in values.items() if value is not None]
    best, epoch = max(known) if known else (None, None)
    return {
        "last": values[max(values)],
        "best": best,
        "best_epoch": None if epoch is None else -epoch,
    }


def _csv(rows: Iterable[tuple]) -> str:
    """CSV text; a cell that a spreadsheet would run as a formula is quoted with an apostrophe."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    for row in rows:
        writer.writerow(files.csv_cell(cell) for cell in row)
    return buffer.getvalue()
