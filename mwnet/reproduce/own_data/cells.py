"""Run a row on a prepared set: a method of mwnet or a rival, measured alike.

A cell leaves ``summary.json`` with the fields of ``MEASURES``, ``label_quality.csv`` with what was
said about each training label, and the options in ``config.yaml``.
"""

import csv
import io
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from threadpoolctl import threadpool_limits

from mwnet import detection
from mwnet.builders.experiment import Experiment, build
from mwnet.config.schema import Config
from mwnet.core.device import find_device
from mwnet.core.errors import UserError
from mwnet.data import Source
from mwnet.data.arrays import read_npz
from mwnet.data.source import channels_first
from mwnet.data.tables.preparation import TablePreparation
from mwnet.detection.metrics import average_precision, f1
from mwnet.methods import METHODS
from mwnet.methods.base import given_probability, predict
from mwnet.reproduce.own_data import rivals
from mwnet.runs.begin import run_folder
from mwnet.runs.folder import QUALITY, QUALITY_HELD_OUT
from mwnet.runs.in_memory import train_in_memory
from mwnet.runs.outputs import device_name, label_quality_csv, sample_names, versions
from mwnet.runs.run import prepare_process

METHOD = "own-data"
"""The command of a row that is a method of mwnet."""
TRUE_LABELS = "true-labels"
"""The command of a row that trains on the true labels, as an upper bound."""
SCALED = TablePreparation((), (), (), ())
"""Says that features are on the scale that a network wants, so that they stay as they are."""

MEASURES: dict[str, tuple[type, tuple[str, ...]]] = {
    name: (kind, (name,))
    for name, kind in {
        "seed": int,
        "method": str,
        "accuracy": float,
        "auc": float,
        "average_precision": float,
        "precision_at_noise": float,
        "f1": float,
        "seconds": float,
        "collapse": str,
        "noise_rate": float,
        "samples": int,
        "device": str,
        "threads": int,
    }.items()
}
"""Columns of ``cells.csv`` with their type and where a summary has them."""


@dataclass(frozen=True)
class Prepared:
    """What every row of a set, a noise and a seed is run on.

    Attributes:
        x: ``(n, d)`` float32 training features.
        y: ``(n,)`` given labels as 0 to K - 1; K classes have a given label.
        x_test: ``(m, d)``.
        y_test: ``(m,)`` true labels, -1 for a class that nobody was given.
        wrong: ``(n,)`` whether a given label is wrong; for measuring alone.
        truth: ``(n,)`` true labels, for a clean meta set and for ``TRUE_LABELS`` alone; None where
            a true class has no given label.
    """

    x: np.ndarray
    y: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    wrong: np.ndarray
    truth: np.ndarray | None = None

    @property
    def num_classes(self) -> int:
        """Classes that have a given label."""
        return int(self.y.max()) + 1

    @staticmethod
    def read(path: Path) -> "Prepared":
        """Read the file that ``prepare`` has written.

        Raises:
            UserError: it is not there, or damaged.
        """
        found = read_npz(path)
        classes, y = np.unique(found["y"], return_inverse=True)
        place = np.minimum(np.searchsorted(classes, found["y_test"]), len(classes) - 1)
        y_test = np.where(classes[place] == found["y_test"], place, -1)
        wrong = found["y"] != found["y_true"]
        truth = None
        if np.isin(found["y_true"], classes).all():
            truth = np.searchsorted(classes, found["y_true"])
        return Prepared(found["x"], y.astype(np.int64), found["x_test"], y_test, wrong, truth)


def run(config: Config, resume: Path | None, command: str = METHOD) -> dict[str, Any]:
    """Run a row.

    Args:
        config: of the method; its ``data`` is a prepared set. A rival reads data and seed alone.
        resume: its folder if it has been begun; it begins anew.
        command: ``METHOD``, ``TRUE_LABELS`` or the name of a rival.

    Returns:
        The summary; see ``MEASURES``.

    Raises:
        UserError: what is wrong with the options, or a package that a rival needs is missing.
    """
    prepare_process(config)
    assert config.data is not None  # the plan has set it
    data = Prepared.read(config.data)
    rival = command in rivals.RIVALS
    used = {**versions(), **rivals.versions(command)}  # imports what the row needs
    torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))])  # the first one imports for a second
    with run_folder(config, resume, name=command) as folder, threadpool_limits(1):
        started = time.perf_counter()
        if command == METHOD:
            said, texts = _method(config, data)
        elif command == TRUE_LABELS:
            said = _on_true_labels(config, data)
            texts = {QUALITY: _as_csv(said)}
        else:
            said = rivals.RIVALS[command](data.x, data.y, data.x_test, config.seed)
            texts = {QUALITY: _as_csv(said)}
        seconds = time.perf_counter() - started
        for name, text in texts.items():
            folder.write_text(name, text)
        summary = {
            "seed": config.seed,
            "method": config.method if command == METHOD else command,
            **measured(data, said),
            "seconds": seconds,
            "collapse": said.collapse,
            "noise_rate": float(data.wrong.mean()),
            "samples": len(data.y),
            "device": "cpu" if rival else device_name(find_device(config.device)),
            "threads": torch.get_num_threads(),
            "versions": used,
        }
        folder.write_summary(summary)
    return summary


def measured(data: Prepared, said: rivals.Said) -> dict[str, float | None]:
    """Return accuracy in the test part, and how well wrong labels were found."""
    return {
        "accuracy": float((said.predicted == data.y_test).mean()),
        "auc": detection.roc_auc(data.wrong, said.quality),
        "average_precision": average_precision(data.wrong, said.quality),
        "precision_at_noise": detection.precision_at_noise_rate(data.wrong, said.quality),
        "f1": f1(data.wrong, said.is_issue),
    }


def _method(config: Config, data: Prepared) -> tuple[rivals.Said, dict[str, str]]:
    """Train a method as ``mwnet train`` does, and read what it wrote about the labels.

    A meta set that was held out is judged too.
    """
    wanted = METHODS[config.method].meta != "none"
    clean = wanted and not config.meta_noisy and config.meta_source == "held-out"
    experiment = build(config, source_of(data, with_truth=clean))
    method, parts = experiment.method, experiment.data.parts
    held_out = torch.cat([parts.meta, parts.validation]).sort().values
    train_in_memory(experiment, torch.cat([parts.train, held_out]))
    scored = experiment.score(parts.train)
    texts = {QUALITY: _published(experiment, scored)}
    if len(held_out):
        texts[QUALITY_HELD_OUT] = _published(experiment, experiment.score(held_out))
    quality, issue = np.full(len(data.y), np.nan), np.zeros(len(data.y), dtype=bool)
    for text in texts.values():
        for line in csv.DictReader(io.StringIO(text)):
            quality[int(line["sample_id"])] = float(line["label_quality"])
            issue[int(line["sample_id"])] = line["is_label_issue"] == "True"
    assert not np.isnan(quality).any()
    predicted = predict(method, experiment.data.pixels, parts.test).argmax(1).cpu().numpy()
    health = detection.health_of(method, scored)
    collapse = health["collapse"]
    return rivals.Said(quality, issue, predicted, str(collapse) if collapse else None), texts


def _published(experiment: Experiment, scored: detection.Scored) -> str:
    names = sample_names(experiment, scored.ids)
    return label_quality_csv(scored, names, experiment.data.source.classes)


def _on_true_labels(config: Config, data: Prepared) -> rivals.Said:
    """Train plainly on the true labels; judge the given ones by the predictions.

    Raises:
        UserError: a true class has no given label.
    """
    if data.truth is None:
        raise UserError("a true class has no given label: leave the row of true labels out")
    experiment = build(config, source_of(replace(data, y=data.truth)))
    method, parts = experiment.method, experiment.data.parts
    train_in_memory(experiment, parts.train)
    pixels = experiment.data.pixels
    logits = predict(method, pixels, torch.arange(len(data.y))).cpu()
    given = torch.from_numpy(data.y)
    quality, issue = given_probability(logits, given).numpy(), logits.argmax(1) != given
    predicted = predict(method, pixels, parts.test).argmax(1).cpu().numpy()
    return rivals.Said(quality, issue.numpy(), predicted)


def source_of(data: Prepared, *, with_truth: bool = False) -> Source:
    """Return the set without any true label of a training sample, but for a clean meta set.

    Args:
        data: the set.
        with_truth: a clean meta set will be drawn.
    """
    x = torch.from_numpy(np.concatenate([data.x, data.x_test]))
    labels = torch.from_numpy(np.concatenate([data.y, np.maximum(data.y_test, 0)]))
    truth = None
    if with_truth and data.truth is not None:
        truth = torch.cat([torch.from_numpy(data.truth), labels[len(data.y) :]])
    return Source(
        name="arrays",
        x=channels_first(x),
        labels=labels,
        truth=truth,
        classes=tuple(map(str, range(data.num_classes))),
        test_ids=torch.arange(len(data.y), len(x)),
        preparation=SCALED,
    )


def _as_csv(said: rivals.Said) -> str:
    lines = [("sample_id", "label_quality", "is_label_issue")]
    pairs = zip(said.quality.tolist(), said.is_issue.tolist(), strict=True)
    lines += [(str(i), f"{quality:.9g}", str(issue)) for i, (quality, issue) in enumerate(pairs)]
    return "".join(f"{','.join(line)}\n" for line in lines)
