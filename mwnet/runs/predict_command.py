"""The command predict: apply a trained network to new data, or export it."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from mwnet.core import files
from mwnet.core.commands import Parser, guarded
from mwnet.core.errors import UserError, reason
from mwnet.runs.export import export_onnx
from mwnet.runs.model import load_model
from mwnet.runs.predict import predicted

Found = TypeVar("Found")

USAGE = """\
mwnet predict RUN --data new.csv --out predictions.csv
mwnet predict RUN --export onnx [--out model.onnx]
"""


def main(argv: list[str]) -> int:
    """The command; returns the exit code."""
    options = ("data", "out", "export", "overwrite")
    return guarded("mwnet predict", lambda: _predict(argv), options)


def _predict(argv: list[str]) -> int:
    args = _parser().parse_args(argv)
    if (args.data is None) == (args.export is None):
        raise UserError("give either `data=PATH` to predict, or `export='onnx'`")
    path = args.out or args.run / ("predictions.csv" if args.export is None else "model.onnx")
    if path.is_dir():
        raise UserError(f"{path} is a folder: give a file as `out`")
    if path.exists() and not args.overwrite:
        raise UserError(f"{path} exists already: choose another `out`, or add `overwrite=True`")
    model = load_model(args.run)
    if args.export is not None:
        apart = _written(path, lambda: export_onnx(model, path))
        print(f"{path}: probabilities differ from torch's by {apart:.1e} at most")
        return 0
    found = predicted(model, args.data)
    for note in found.notes:
        print(note)
    _written(path, lambda: files.write_text(path, found.csv()))
    print(f"{path}: {len(found.names)} predictions of {len(found.classes)} classes")
    return 0


def _written(path: Path, write: Callable[[], Found]) -> Found:
    """Call the function that writes a file; a disk that refuses is one sentence."""
    try:
        return write()
    except OSError as error:
        raise UserError(f"cannot write {path}: {reason(error)}") from None


def _parser() -> Parser:
    parser = Parser("mwnet predict", USAGE, "Apply a trained network to new data, or export it.")
    parser.add_argument(
        "run", metavar="RUN", type=Path, help="run folder, or the folder of a saved classifier"
    )
    parser.add_argument(
        "--data",
        type=Path,
        metavar="PATH",
        help="new samples: a table, an .npz with x, an .npy, a folder of images",
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="PATH",
        help="file to write; default: predictions.csv or model.onnx in RUN",
    )
    parser.add_argument("--export", choices=["onnx"], help="write the network instead")
    parser.add_argument(
        "--overwrite", action="store_true", help="replace the file if it is there already"
    )
    return parser
