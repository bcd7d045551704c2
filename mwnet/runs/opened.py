"""Open a finished run from Python."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import nn

from mwnet.core.errors import UserError
from mwnet.runs.folder import (
    GIVEN,
    MARGINS,
    PROBABILITIES,
    QUALITY,
    SUMMARY,
    VERDICT,
    RunFolder,
)
from mwnet.runs.issues import issue_table
from mwnet.runs.model import TrainedModel, load_model

if TYPE_CHECKING:
    import pandas as pd


class Run:
    """A finished training run: its numbers, its label issues and its trained network.

    Args:
        path: the run folder.

    Attributes:
        path: the run folder.
        summary: the numbers, as in ``summary.json``.
        classes: ``(K,)`` class names.

    Raises:
        ValueError: no finished run there.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._folder = RunFolder(self.path)
        self.summary: dict[str, Any] = self._folder.summary()
        classes = self.summary.get("classes")
        if not isinstance(classes, list) or not all(isinstance(name, str) for name in classes):
            raise UserError(f"{self.path / SUMMARY} is damaged: it names no classes")
        self.classes = np.array(classes)
        self._model: TrainedModel | None = None

    @property
    def model(self) -> TrainedModel:
        """The trained network with the preprocessing of the run; read when it is first used.

        Raises:
            ValueError: the run has left none, or it is damaged.
        """
        if self._model is None:
            self._model = load_model(self.path)
        return self._model

    @property
    def network(self) -> nn.Module:
        """The trained network, in eval mode on the CPU."""
        return self.model.network

    def predict_proba(self, X: Any) -> np.ndarray:  # noqa: N803
        """Predict ``(n, K)`` class probabilities, columns in the order of ``classes``.

        Args:
            X: ``(n, features)``, also as a sparse matrix, or images, in the units of the training
                samples. The columns of a DataFrame are taken by name.

        Raises:
            ValueError: samples of another shape than the run's, not finite, or columns missing.
        """
        names = self.model.feature_names
        if names is not None and hasattr(X, "columns"):
            missing = [name for name in names if name not in X.columns]
            if missing:
                raise UserError(f"`X` has no column '{missing[0]}', which the run was trained on")
            X = X[list(names)]  # noqa: N806
        return self.model.predict_proba(X)

    def predict(self, X: Any) -> np.ndarray:  # noqa: N803
        """Predict ``(n,)`` class names; see ``predict_proba``."""
        return self.classes[self.predict_proba(X).argmax(1)]

    @property
    def label_issues(self) -> "pd.DataFrame":
        """The training labels, most suspect first, as ``find_label_issues`` lists them.

        The index is the sample's id: its row in the data set, or its file name. A run of an earlier
        version has no margins.

        Raises:
            ValueError: the run's files cannot be read.
        """
        lines = self._folder.label_quality()
        probabilities, given = self._folder.predictions()
        self._check(lines, probabilities, given)
        margins = [name for name in MARGINS if lines and name in lines[0]]
        names = ("label_quality", "weight", "loss", *margins)
        numbers = {name: self._numbers(lines, name) for name in names}
        ids = [line["sample_id"] for line in lines]
        index = [int(name) for name in ids] if all(map(str.isdecimal, ids)) else ids
        table = issue_table(
            is_issue=np.array([line["is_label_issue"] == "True" for line in lines]),
            quality=numbers["label_quality"],
            given=self.classes[given],
            predicted=self.classes[probabilities.argmax(1)],
            weight=numbers["weight"],
            loss=numbers["loss"],
            margins={name: numbers[name] for name in margins},
            verdict=[line[VERDICT] for line in lines] if lines and VERDICT in lines[0] else None,
            index=index,
        )
        table.index.name = "sample_id"
        return table.sort_values("label_quality", kind="stable")

    def _check(
        self, lines: list[dict[str, str]], probabilities: np.ndarray, given: np.ndarray
    ) -> None:
        """Refuse files that are not of one and the same run."""
        if len(lines) != len(given):
            raise UserError(
                f"{self.path}: {QUALITY} has {len(lines)} samples and {GIVEN}.npy {len(given)}: "
                "one of them is damaged"
            )
        count = len(self.classes)
        if probabilities.shape[1] != count:
            raise UserError(
                f"{self.path / PROBABILITIES}.npy has {probabilities.shape[1]} columns, and the "
                f"run has {count} classes: it is damaged"
            )
        if ((given < 0) | (given >= count)).any():
            raise UserError(
                f"{self.path / GIVEN}.npy has class ids outside 0..{count - 1}: it is damaged"
            )

    def _numbers(self, lines: list[dict[str, str]], column: str) -> np.ndarray:
        """A column of the table of label quality."""
        try:
            return np.array([float(line[column]) for line in lines])
        except ValueError as error:
            path = self.path / QUALITY
            raise UserError(f"{path} is damaged: column '{column}': {error}") from None

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r})"
