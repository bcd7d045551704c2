"""Apply a trained network to new data, and write what it predicts."""

import csv
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mwnet.core import files
from mwnet.data.unlabelled import new_samples
from mwnet.runs.model import TrainedModel

FAR = 4.0
"""Deviations that the middle of new features may lie from the mean of those of training."""


@dataclass(frozen=True)
class Predictions:
    """What a network predicts for new samples.

    Attributes:
        names: of the samples: row numbers or file names.
        classes: class names.
        probabilities: ``(n, K)``, columns in the order of ``classes``.
        notes: sentences about what was passed over in the data.
    """

    names: list[str]
    classes: tuple[str, ...]
    probabilities: np.ndarray
    notes: list[str]

    def csv(self) -> str:
        """CSV text: sample, predicted label, its probability, and all probabilities."""
        buffer = io.StringIO()
        writer = csv.writer(buffer, lineterminator="\n")
        columns = [f"probability of {name}" for name in self.classes]
        writer.writerow(["sample_id", "predicted_label", "probability", *columns])
        for name, row in zip(self.names, self.probabilities, strict=True):
            best = int(row.argmax())
            cells = [files.csv_cell(name), files.csv_cell(self.classes[best])]
            writer.writerow([*cells, f"{row[best]:.9g}", *(f"{value:.9g}" for value in row)])
        return buffer.getvalue()


def predicted(model: TrainedModel, data: Path) -> Predictions:
    """Apply a network to the samples of a file or a folder.

    Raises:
        UserError: no samples there, or none like those that the network was trained on.
    """
    names, samples, notes = new_samples(
        data,
        preparation=model.preparation,
        extractor=model.extractor,
        image_size=model.image_size,
    )
    probabilities = model.predict_proba(samples)
    return Predictions(names, model.classes, probabilities, [*notes, *_unlike(model, samples)])


def _unlike(model: TrainedModel, x: Any) -> list[str]:
    """Say where features that somebody has computed are unlike those that were trained on."""
    if model.preparation is not None or not isinstance(x, np.ndarray) or x.ndim != 2 or not len(x):
        return []
    mean, std = (values.flatten().numpy() for values in (model.pixels.mean, model.pixels.std))
    apart = np.median(np.abs(np.median(x, axis=0) - mean) / std)
    if apart <= FAR:
        return []
    return [
        f"the features lie {apart:.0f} deviations from those that were trained on: were they made "
        "by the same network, and scaled alike?"
    ]
