"""The files at the end of a run: label quality, predictions, summary, figures."""

import csv
import io
import json
import platform
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

import mwnet
from mwnet import checkpoint, detection
from mwnet.detection import Scored
from mwnet.memory import peak_memory
from mwnet.methods.confident import ConfidentBatches
from mwnet.report.console import conclude, realised_rate
from mwnet.tracking import lasting_collapse
from mwnet.trainer import Progress

if TYPE_CHECKING:
    from mwnet.experiment import Experiment

COLUMNS = (
    "sample_id",
    "given_label",
    "predicted_label",
    "label_quality",
    "weight",
    "loss",
    "is_label_issue",
)


def finish(
    experiment: "Experiment",
    scored: Scored,
    history: list[dict[str, Any]],
    progress: Progress,
    folder: Path,
) -> dict[str, Any]:
    """Write everything that a finished run leaves, and print the result.

    Args:
        experiment: after training.
        scored: the training samples at the end.
        history: metrics of every measured epoch.
        progress: steps and seconds.
        folder: the run folder.

    Returns:
        The summary, as in ``summary.json``.
    """
    names = sample_names(experiment, scored.ids)
    classes = experiment.source.classes
    checkpoint.write_text(folder / "label_quality.csv", label_quality_csv(scored, names, classes))
    for name, array in (("pred_probs", scored.probabilities), ("labels", scored.given)):
        with checkpoint.atomic(folder / f"{name}.npy") as file:
            np.save(file, array)
    if experiment.matrix is not None:
        rows = [
            ("true\\given", *classes),
            *zip(classes, *experiment.matrix.T.tolist(), strict=True),
        ]
        checkpoint.write_text(folder / "noise_matrix.csv", _csv(rows))
    held_out = _held_out(experiment)
    if len(held_out):
        others = experiment.score(held_out)
        text = label_quality_csv(others, sample_names(experiment, others.ids), classes)
        checkpoint.write_text(folder / "label_quality_heldout.csv", text)
    summary = summarise(experiment, scored, history, progress)
    checkpoint.write_text(folder / "summary.json", json.dumps(summary, indent=2) + "\n")
    if experiment.config.figures:
        from mwnet.report.figures import draw_all

        truth = experiment.truth
        train_truth = None if truth is None else truth[experiment.parts.train].numpy()
        by_loss = experiment.method.weight_of_loss
        draw_all(folder / "figures", scored, train_truth, classes, history, by_loss=by_loss)
    collapse = lasting_collapse(history, experiment.method.epochs)
    # Collapsed weights say nothing about labels, or the opposite; the prediction still does.
    ranking = scored.quality if collapse is None else scored.probability
    order = np.argsort(ranking, kind="stable")[:10]
    suspects = [
        (
            names[i],
            classes[scored.given[i]],
            classes[scored.predicted[i]],
            float(ranking[i]),
        )
        for i in order
    ]
    conclude(summary, suspects, folder, collapse)
    return summary


def label_quality_csv(scored: Scored, names: list[str], classes: tuple[str, ...]) -> str:
    """One line a sample, in the order of ``pred_probs.npy`` and ``labels.npy``."""
    rows: list[tuple] = [COLUMNS]
    for i, name in enumerate(names):
        rows.append(
            (
                name,
                classes[scored.given[i]],
                classes[scored.predicted[i]],
                f"{scored.quality[i]:.9g}",
                f"{scored.weight[i]:.9g}",
                f"{scored.loss[i]:.9g}",
                bool(scored.is_issue[i]),
            )
        )
    return _csv(rows)


def summarise(
    experiment: "Experiment",
    scored: Scored,
    history: list[dict[str, Any]],
    progress: Progress,
) -> dict[str, Any]:
    """The contract that tables and tools read."""
    config, method = experiment.config, experiment.method
    uses_meta = method.meta != "none"
    phases = {phase.name: phase.epochs for phase in method.phases}
    final = [line for line in history if line.get("phase") == history[-1].get("phase")]
    queue = experiment.meta if isinstance(experiment.meta, ConfidentBatches) else None
    auc = None
    if experiment.truth is not None:
        auc = {
            name: _last_and_best({line["epoch"]: line["detection_auc"][name] for line in final})
            for name in detection.SCORES
        }
    validation = None
    if len(experiment.parts.validation):
        validation = _last_and_best({line["epoch"]: line["validation_accuracy"] for line in final})
    per_class = None
    if experiment.truth is not None:
        truth = experiment.truth[experiment.parts.train].numpy()
        per_class = detection.auc_per_class(scored, truth, experiment.source.classes)
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
        "noise": {
            "name": config.noise,
            "rate": config.noise_rate,
            "realised_rate": realised_rate(experiment),
            "assumed": experiment.assumed_noise_rate(),
        },
        "test_labels": experiment.test_labels,
        "test_accuracy": _last_and_best({line["epoch"]: line["test_accuracy"] for line in final}),
        "validation_accuracy": validation,
        "detection_auc": auc,
        "detection_auc_per_class": per_class,
        "precision_at_noise": history[-1].get("precision_at_noise"),
        "weights": history[-1]["weights"],
        "steps": progress.step,
        "samples": {name: len(ids) for name, ids in vars(experiment.parts).items()},
        "confident_samples": None if queue is None else len(queue.chosen),
        "skipped": experiment.source.skipped,
        "classes": list(experiment.source.classes),
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


def sample_names(experiment: "Experiment", ids: np.ndarray) -> list[str]:
    """What the reports call the samples: file names, or row numbers."""
    names = experiment.source.names
    return [str(i) if names is None else names[i] for i in ids.tolist()]


def _held_out(experiment: "Experiment") -> torch.Tensor:
    """Samples the classifier was not trained on, whose labels may be wrong all the same."""
    parts = experiment.parts
    held_out = [parts.validation]
    if not experiment.clean_meta:
        held_out.append(parts.meta)
    if experiment.source.test_ids is None:
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


def _csv(rows: list[tuple]) -> str:
    """CSV text; a cell that a spreadsheet would run as a formula is quoted with an apostrophe."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    for row in rows:
        writer.writerow(
            f"'{cell}" if isinstance(cell, str) and cell[:1] in ("=", "+", "@") else cell
            for cell in row
        )
    return buffer.getvalue()
