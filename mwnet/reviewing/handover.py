"""Hand suspect labels over to the tools that people have: one file for each of them."""

import json
import urllib.parse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import quoteattr

import numpy as np

from mwnet.core import files
from mwnet.core.arguments import entry, location
from mwnet.core.errors import UserError, reason
from mwnet.reviewing.near import components
from mwnet.reviewing.samples import Listed, of_memory

if TYPE_CHECKING:
    import pandas as pd

NEIGHBOURS = 5
DIRECTIONS = 50
"""Principal directions that neighbours are looked for in, of samples with more features."""


def hand_over(issues: "pd.DataFrame", X: Any, path: str | Path, *, to: str) -> list[Path]:  # noqa: N803
    """Write suspect labels as a file that another tool opens.

    Args:
        issues: as ``find_label_issues`` returns it.
        X: the samples that it is about: as in ``fit``, or the path of a table, an ``.npz`` or a
            folder of class folders of photos.
        path: of the file, which is not there yet.
        to: "fiftyone" (JSON for ``fiftyone.Dataset.from_json``, photos only), "spotlight" and
            "embedding-atlas" (parquet), or "label-studio" (JSON tasks with predictions, and the
            labelling interface as XML beside it).

    Returns:
        The files that were written.

    Raises:
        ValueError: an unknown tool, other samples, or a file that is there already.

    Examples:
        >>> import tempfile
        >>> from sklearn.datasets import load_wine
        >>> import mwnet
        >>> X, y = load_wine(return_X_y=True)
        >>> issues = mwnet.find_label_issues(X, y, estimator=mwnet.MWNetClassifier(epochs=1))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = f"{folder}/wine.parquet"
        ...     [file.name for file in mwnet.hand_over(issues, X, path, to="spotlight")]
        ['wine.parquet']
    """
    place = location(path, "path")
    entry(WRITERS, to, "to")
    return write(of_memory(issues, X), place, to)


def write(listed: Listed, path: Path, to: str) -> list[Path]:
    """Write the file of a tool, one of ``WRITERS``; see ``hand_over``."""
    contents = entry(WRITERS, to, "to")(listed, path)
    for file in contents:
        if file.exists():
            raise UserError(f"{file} exists already: choose another path")
    try:
        for file, content in contents.items():
            with files.atomic(file) as opened:
                opened.write(content)
    except OSError as error:
        raise UserError(f"cannot write {path}: {reason(error)}") from None
    return list(contents)


def neighbours(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Find ``(n, k)`` rows of the nearest other samples, and their distances."""
    from sklearn.neighbors import NearestNeighbors

    found = NearestNeighbors(n_neighbors=min(NEIGHBOURS, len(features) - 1)).fit(features)
    distances, rows = found.kneighbors()  # without the sample itself
    return rows, distances


def _frame(listed: Listed) -> "pd.DataFrame":
    """What is said about the labels, the map and the samples, a row each."""
    import pandas as pd

    issues = listed.issues
    columns: dict[str, Any] = {
        "id": list(map(str, issues.index)),
        "given_label": list(map(str, issues["given_label"])),
        "predicted_label": list(map(str, issues["predicted_label"])),
        "label_quality": issues["label_quality"].to_numpy(),
        "is_label_issue": issues["is_label_issue"].to_numpy(dtype=bool),
        "confidence": listed.confidence,
    }
    strongest = components(listed.features, DIRECTIONS)
    second = strongest[:, 1] if strongest.shape[1] > 1 else np.zeros(len(strongest))
    rows, distances = neighbours(strongest)
    columns |= {"x": strongest[:, 0], "y": second}
    columns["neighbors"] = [
        {"ids": near.tolist(), "distances": far.tolist()}
        for near, far in zip(rows, distances, strict=True)
    ]
    if listed.files is not None:
        columns["image"] = list(map(str, listed.files))
    if listed.cells is not None:
        for name in listed.cells.columns:
            columns[f"{name}_of_data" if name in columns else name] = listed.cells[name].to_numpy()
    return pd.DataFrame(columns)


def _parquet(frame: "pd.DataFrame", path: Path) -> dict[Path, bytes]:
    return {path: frame.to_parquet(index=False)}


def _atlas(listed: Listed, path: Path) -> dict[Path, bytes]:
    """Parquet whose neighbours are ``{"ids", "distances"}``, ids being rows of the file."""
    return _parquet(_frame(listed), path)


def _spotlight(listed: Listed, path: Path) -> dict[Path, bytes]:
    """Parquet whose neighbours are the ids of samples, and whose map is an embedding too."""
    frame = _frame(listed)
    ids = frame["id"].to_numpy()
    frame["neighbors"] = [", ".join(ids[near["ids"]]) for near in frame["neighbors"]]
    frame["embedding"] = list(components(listed.features, DIRECTIONS))
    return _parquet(frame, path)


def _fiftyone(listed: Listed, path: Path) -> dict[Path, bytes]:
    """A dataset in the JSON of FiftyOne, a sample each; mistakenness is 1 - label quality."""
    if listed.files is None:
        raise UserError("FiftyOne shows files, and these samples are none: `to='spotlight'` fits")
    issues = listed.issues
    kind = "fiftyone.core.fields"
    label = f"{kind}.EmbeddedDocumentField(fiftyone.core.labels.Classification)"
    quality = issues["label_quality"].to_numpy()
    columns = zip(
        listed.files, issues.index, issues["given_label"], issues["predicted_label"], quality,
        listed.confidence, issues["is_label_issue"], strict=True,
    )  # fmt: skip
    samples = [
        {
            "filepath": str(file),
            "tags": ["label issue"] if issue else [],
            "metadata": None,
            "_media_type": "image",
            "sample_id": str(sample),
            "ground_truth": {"_cls": "Classification", "tags": [], "label": str(given)},
            "predictions": {
                "_cls": "Classification",
                "tags": [],
                "label": str(predicted),
                "confidence": float(confidence),
            },
            "mistakenness": 1 - float(score),
            "label_quality": float(score),
            "is_label_issue": bool(issue),
        }
        for file, sample, given, predicted, score, confidence, issue in columns
    ]
    fields = {
        "sample_id": f"{kind}.StringField",
        "ground_truth": label,
        "predictions": label,
        "mistakenness": f"{kind}.FloatField",
        "label_quality": f"{kind}.FloatField",
        "is_label_issue": f"{kind}.BooleanField",
    }
    found = {
        "name": path.stem,
        "media_type": "image",
        "sample_fields": fields,
        "default_classes": list(listed.classes),
        "samples": samples,
    }
    return {path: _json(found)}


def _label_studio(listed: Listed, path: Path) -> dict[Path, bytes]:
    """Tasks with the suggested label as a prediction, and the interface that shows them."""
    issues, confidence = listed.issues, listed.confidence
    quality = issues["label_quality"].to_numpy()
    given, predicted = (issues[name].tolist() for name in ("given_label", "predicted_label"))
    tasks = []
    for row, sample in enumerate(issues.index.tolist()):
        choice = {
            "id": f"mwnet-{row}",
            "from_name": "label",
            "to_name": "sample",
            "type": "choices",
            "value": {"choices": [str(predicted[row])]},
        }
        data = {
            "sample": _shown(listed, row),
            "sample_id": str(sample),
            "given_label": str(given[row]),
            "label_quality": float(quality[row]),
        }
        said = {"model_version": "mwnet", "score": float(confidence[row]), "result": [choice]}
        tasks.append({"data": data, "predictions": [said]})
    tag = "Image" if listed.files is not None else "Text"
    choices = "".join(f"    <Choice value={quoteattr(name)}/>\n" for name in listed.classes)
    interface = (
        f'<View>\n  <{tag} name="sample" value="$sample"/>\n'
        '  <Header value="given: $given_label"/>\n'
        '  <Choices name="label" toName="sample" choice="single" required="true">\n'
        f"{choices}  </Choices>\n</View>\n"
    )
    return {path: _json(tasks), path.with_suffix(".xml"): interface.encode()}


def _shown(listed: Listed, row: int) -> str:
    """What Label Studio shows of a sample: a local file, or its cells as text."""
    if listed.files is not None:
        place = listed.files[row].as_posix().removeprefix("/")
        return f"/data/local-files/?d={urllib.parse.quote(place)}"
    if listed.cells is None:
        return f"sample {listed.issues.index[row]}"
    cells = listed.cells.iloc[row]
    if len(cells) == 1:
        return str(cells.iloc[0])
    return "\n".join(f"{name}: {cell}" for name, cell in cells.items())


def _json(value: Any) -> bytes:
    return (json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()


WRITERS: dict[str, Callable[[Listed, Path], dict[Path, bytes]]] = {
    "fiftyone": _fiftyone,
    "spotlight": _spotlight,
    "embedding-atlas": _atlas,
    "label-studio": _label_studio,
}
