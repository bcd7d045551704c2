"""The command predict: apply a trained network to new data, or export it."""

import csv
import io
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np

from mwnet.core import files
from mwnet.core.commands import Parser, guarded
from mwnet.core.errors import UserError, reason
from mwnet.data.unlabelled import new_samples
from mwnet.runs.model import TrainedModel, export_onnx, load_model

Found = TypeVar("Found")

USAGE = """\
mwnet predict RUN --data new.csv --out predictions.csv
mwnet predict RUN --export onnx [--out model.onnx]
"""


def main(argv: list[str]) -> int:
    """The command; returns the exit code."""
    return guarded("mwnet predict", lambda: _predict(argv), ("data", "out", "export"))


def _predict(argv: list[str]) -> int:
    parser = Parser("mwnet predict", USAGE, "Apply a trained network to new data, or export it.")
    parser.add_argument("run", type=Path, help="run folder, or the folder of a saved classifier")
    parser.add_argument(
        "--data",
        type=Path,
        help="new samples: a table, an .npz with x, an .npy, a folder of images",
    )
    parser.add_argument("--out", type=Path, help="file to write; default: predictions.csv in RUN")
    parser.add_argument("--export", choices=["onnx"], help="write the network instead")
    args = parser.parse_args(argv)
    if (args.data is None) == (args.export is None):
        raise UserError("give either `data=PATH` to predict, or `export='onnx'`")
    model = load_model(args.run)
    if args.export is not None:
        path = args.out or args.run / "model.onnx"
        apart = _written(path, lambda: export_onnx(model, path))
        print(f"{path}: probabilities differ from torch's by {apart:.1e} at most")
        return 0
    names, samples, notes = new_samples(
        args.data,
        preparation=model.preparation,
        extractor=model.extractor,
        image_size=model.image_size,
    )
    for note in notes:
        print(note)
    path = args.out or args.run / "predictions.csv"
    text = predictions_csv(model, names, model.predict_proba(samples))
    _written(path, lambda: files.write_text(path, text))
    print(f"{path}: {len(names)} predictions of {len(model.classes)} classes")
    return 0


def predictions_csv(model: TrainedModel, names: list[str], probabilities: np.ndarray) -> str:
    """Write predictions as CSV: sample, predicted label, its probability, and all probabilities."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    classes = [f"probability of {name}" for name in model.classes]
    writer.writerow(["sample_id", "predicted_label", "probability", *classes])
    for name, row in zip(names, probabilities, strict=True):
        best = int(row.argmax())
        cells = [files.csv_cell(name), files.csv_cell(model.classes[best])]
        writer.writerow([*cells, f"{row[best]:.9g}", *(f"{value:.9g}" for value in row)])
    return buffer.getvalue()


def _written(path: Path, write: Callable[[], Found]) -> Found:
    """Call the function that writes a file; a disk that refuses is one sentence."""
    try:
        return write()
    except OSError as error:
        raise UserError(f"cannot write {path}: {reason(error)}") from None
