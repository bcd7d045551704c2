"""The public function that writes a review page."""

import math
import numbers
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mwnet.core import files
from mwnet.core.arguments import location
from mwnet.core.errors import UserError
from mwnet.reviewing.from_memory import samples_of
from mwnet.reviewing.gather import gathered
from mwnet.reviewing.render import rendered

if TYPE_CHECKING:
    import pandas as pd


def review(
    issues: "pd.DataFrame",
    X: Any,  # noqa: N803
    path: str | Path = "review.html",
    *,
    pred_probs: Any = None,
    classes: Sequence[Any] | None = None,
    noise_estimate: Mapping[str, Any] | None = None,
    image_shape: tuple[int, ...] | None = None,
    label_column: str | None = None,
    limit: int | None = None,
    umap: bool = True,
    title: str | None = None,
) -> Path:
    """Write a page on which somebody looks at the suspects and decides.

    It is one HTML file that needs no other, no server and no network. Decisions leave it as
    ``corrections.csv``; see the guide, "The review page".

    Args:
        issues: a table of ``find_label_issues``, ``label_issues_`` of a classifier, or
            ``label_issues`` of a run.
        X: the samples that it is about: what ``find_label_issues`` or ``fit`` got, or the path that
            a run was given. Samples of the table are found in it by the index.
        path: of the file, which is replaced if it is there.
        pred_probs: ``(n, K)`` probabilities in the order of ``issues`` and ``classes``. With them
            each sample has a suggestion; without, those for which another class is predicted.
        classes: ``(K,)`` labels; None for those that ``issues`` has, sorted.
        noise_estimate: ``noise_estimate_`` of a classifier, or that of ``summary.json``, from which
            the page tells how many errors are probably left.
        image_shape: of the pictures that ``(n, features)`` numbers are, such as ``(8, 8)``.
        label_column: of a table that ``X`` is the path of; None for one called label, target, class
            or y.
        limit: of samples in the page, the most suspect ones; None for 5,000, or 2,000 photos.
        umap: draw the map of the samples by UMAP where the package ``umap-learn`` is installed;
            else by principal components.
        title: of the page; None for the name of the file.

    Returns:
        The path of the page.

    Raises:
        ValueError: arguments that do not fit, samples that cannot be read.

    Examples:
        >>> import tempfile
        >>> from sklearn.datasets import load_iris
        >>> import mwnet
        >>> X, y = load_iris(return_X_y=True, as_frame=True)
        >>> classifier = mwnet.MWNetClassifier(epochs=1).fit(X, y)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     page = mwnet.review(classifier.label_issues_, X, f"{folder}/review.html")
        ...     page.name, "corrections.csv" in page.read_text()
        ('review.html', True)
    """
    out = location(path, "path")
    if limit is not None and not (
        isinstance(limit, numbers.Integral) and not isinstance(limit, bool) and limit >= 1
    ):
        raise UserError(f"`limit` must be a whole number from 1, or None, got {limit!r}")
    if not out.parent.is_dir():
        raise UserError(f"there is no folder {out.parent} for `path={str(path)!r}`")
    samples = samples_of(
        issues,
        X,
        pred_probs=pred_probs,
        classes=classes,
        noise=_noise(noise_estimate),
        image_shape=image_shape,
        label_column=label_column,
    )
    page, sheets = gathered(samples, None if limit is None else int(limit), umap=umap)
    files.write_text(out, rendered(page, sheets, out.stem if title is None else str(title)))
    return out


def _noise(found: Any) -> dict[str, Any] | None:
    """The estimate, if it says what a page needs."""
    if found is None:
        return None
    try:
        rate, (low, high) = float(found["rate"]), map(float, found["interval"])
    except (TypeError, KeyError, ValueError):
        raise UserError(
            "`noise_estimate` must have `rate` and `interval`, as `noise_estimate_` of a classifier"
        ) from None
    if not all(math.isfinite(value) and 0 <= value <= 1 for value in (rate, low, high)):
        raise UserError(f"`noise_estimate` must have shares from 0 to 1, got {rate}, {low}, {high}")
    return {"rate": rate, "interval": [low, high]}
