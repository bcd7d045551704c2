"""The scikit-learn classifier."""

import logging
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from mwnet.builders.experiment import Experiment, build
from mwnet.config.words import in_own_words, naming, own_words
from mwnet.core.arguments import location
from mwnet.core.errors import UserError
from mwnet.core.plain import plain
from mwnet.core.sealed import write_sealed
from mwnet.data.corrections import Review, review_of
from mwnet.data.hashable import encode_hashable, known_codes
from mwnet.data.inputs import as_photos, as_table, check_rows, unwrapped
from mwnet.data.labels import look_alikes
from mwnet.data.remarks import remarks
from mwnet.data.source import Source
from mwnet.data.tables.columns import copies
from mwnet.data.verdicts import words
from mwnet.detection import health_of, noise_words, warnings_of
from mwnet.library.handing import check_columns, checked, handed, weights_of
from mwnet.library.parameters import check_clean, check_meta, config_of
from mwnet.runs.folder import MARGINS, RunFolder
from mwnet.runs.in_memory import train_in_memory
from mwnet.runs.issues import issue_table
from mwnet.runs.model import of_experiment

log = logging.getLogger(__name__)

CLASSIFIER = "classifier.json"
FORMAT = 2
CORRECTING = ("corrections", "unsure")
"""Arguments of ``fit`` that a run has as options."""


class MWNetClassifier(ClassifierMixin, BaseEstimator):
    """Train a network on noisy labels, weight the samples while training, and score the labels.

    The default is cross-fitted RMNW-Net, see ``mwnet.methods.CrossFit``. ``method="mwnet"`` is
    RMNW-Net itself (Ghosh and Lan, WACV 2021): a tenth of the samples is held out as a meta set
    with its noisy labels, and the weight net is trained there with a robust loss (MAE).
    With clean samples ``X_meta`` and ``meta_loss="ce"`` it is MW-Net (Shu et al., NeurIPS 2019).

    Args:
        method: a name in ``mwnet.METHODS``, or "auto": "cross-fit", and "mwnet" where clean samples
            ``X_meta`` are given.
        method_options: hyper-parameters of the method, by name.
        model: "auto" (``tabm`` for features, ``mlp2`` for images), a name in ``mwnet.MODELS``, or a
            function that builds a ``torch.nn.Module``; it is
            called with ``num_classes``, ``in_channels`` and ``image_size``.
        model_options: hyper-parameters of the model, by name, such as ``{"width": 512}``.
        loss: training loss, a name in ``mwnet.LOSSES``.
        loss_options: hyper-parameters of the loss.
        meta_loss: loss on the meta set, a name in ``mwnet.LOSSES``.
        meta_loss_options: hyper-parameters of the meta loss.
        meta_source: "held-out", "confident" for the training samples that are trusted most, or
            "next-batch" for the training batch of the next step.
        meta_size: samples in the meta set; None for 1000, or a tenth of the samples if fewer, and
            where clean samples ``X_meta`` are given, which are used as they are.
        epochs: passes over the samples in each training of a network.
        batch_size: samples in a step.
        epoch_steps: steps in an epoch at most: more samples make larger batches; None for any
            number.
        optimizer: "sgd", "adam" or "adamw".
        lr: learning rate.
        momentum: of sgd.
        weight_decay: L2 penalty.
        lr_schedule: "constant", "cosine" or "multistep".
        lr_milestones: epochs after which multistep divides the learning rate by ten.
        augment: "none", "crop" or "crop-flip", for images.
        weight_net_optimizer: "sgd" or "adam".
        weight_net_lr: learning rate of the weight net.
        weight_net_weight_decay: its L2 penalty.
        normalisation: "mean" or "sum": divide the weights of a batch by its size or their sum.
        meta_interval: move the weight net in every k-th step.
        engine: "auto", "ghost", "forward" or "higher": how the meta-gradient is computed.
        device: "cpu", "cuda", "cuda:N" or "auto".
        random_state: seed that every random choice is derived from; None for another one each time.

    Attributes:
        classes_: ``(K,)`` class labels as they were given, sorted where they can be.
        n_features_in_: features of a sample.
        feature_names_in_: ``(n_features_in_,)`` names, where ``X`` had some.
        label_quality_: ``(n,)`` score of each given label in [0, 1], low = suspect.
        sample_weight_: ``(n,)`` learnt weight of each sample.
        label_issues_: a DataFrame with one row a sample in the order of ``X``, see
            ``find_label_issues``.
        noise_estimate_: how many labels seem to be wrong: ``rate``, its 90 % ``interval``, number
            of ``issues``, ``expected_precision`` of them, and ``given_by_true``, expected numbers
            of samples by given and true class; None for methods that do not judge out of fold.
        engine_: "ghost", "forward" or "higher"; None where there is no meta-gradient.
        network_: the trained ``torch.nn.Module``.

    Raises:
        ValueError: from ``fit``, not before: a parameter or data that do not fit, or a training
            that became NaN or infinite.

    Examples:
        >>> from sklearn.datasets import load_digits
        >>> import mwnet
        >>> X, y = load_digits(return_X_y=True)
        >>> model = mwnet.MWNetClassifier(epochs=3).fit(X, y)
        >>> model.predict_proba(X[:2]).shape
        (2, 10)
    """

    def __init__(
        self,
        *,
        method: str = "auto",
        method_options: dict[str, Any] | None = None,
        model: str | Callable[..., nn.Module] = "auto",
        model_options: dict[str, Any] | None = None,
        loss: str = "ce",
        loss_options: dict[str, Any] | None = None,
        meta_loss: str = "mae",
        meta_loss_options: dict[str, Any] | None = None,
        meta_source: str = "held-out",
        meta_size: int | None = None,
        epochs: int = 40,
        batch_size: int = 32,
        epoch_steps: int | None = 200,
        optimizer: str = "adamw",
        lr: float = 0.002,
        momentum: float = 0.9,
        weight_decay: float = 0.01,
        lr_schedule: str = "cosine",
        lr_milestones: Iterable[int] = (),
        augment: str = "none",
        weight_net_optimizer: str = "sgd",
        weight_net_lr: float = 0.05,
        weight_net_weight_decay: float = 5e-4,
        normalisation: str = "sum",
        meta_interval: int = 2,
        engine: str = "auto",
        device: str = "auto",
        random_state: int | np.random.RandomState | None = 0,
    ) -> None:
        self.method = method
        self.method_options = method_options
        self.model = model
        self.model_options = model_options
        self.loss = loss
        self.loss_options = loss_options
        self.meta_loss = meta_loss
        self.meta_loss_options = meta_loss_options
        self.meta_source = meta_source
        self.meta_size = meta_size
        self.epochs = epochs
        self.batch_size = batch_size
        self.epoch_steps = epoch_steps
        self.optimizer = optimizer
        self.lr = lr
        self.momentum = momentum
        self.weight_decay = weight_decay
        self.lr_schedule = lr_schedule
        self.lr_milestones = lr_milestones
        self.augment = augment
        self.weight_net_optimizer = weight_net_optimizer
        self.weight_net_lr = weight_net_lr
        self.weight_net_weight_decay = weight_net_weight_decay
        self.normalisation = normalisation
        self.meta_interval = meta_interval
        self.engine = engine
        self.device = device
        self.random_state = random_state

    def fit(
        self,
        X: Any,  # noqa: N803
        y: Any,
        X_meta: Any = None,  # noqa: N803
        y_meta: Any = None,
        sample_weight: Any = None,
        *,
        corrections: Any = None,
        unsure: str = "leave-out",
    ) -> "MWNetClassifier":
        """Train on samples and their given labels, some of which may be wrong.

        Args:
            X: ``(n, features)`` array or sparse matrix of numbers; images as ``(n, h, w)`` or
                ``(n, c, h, w)``; a DataFrame, whose columns may be numbers, categories, truth
                values and texts with missing cells; a list of texts; a list of ``Path`` of photos.
            y: ``(n,)`` given labels: numbers, strings or other hashable objects.
            X_meta: clean samples of the same kind, for the meta set; None to hold out some of ``X``
                with their given labels.
            y_meta: their labels, which are taken for right.
            sample_weight: ``(n,)`` weights from 0 that multiply the losses; their scale does not
                matter. Samples of weight 0 are not trained on, but scored.
            corrections: what a reviewer said about labels of ``X``: the path of a
                ``corrections.csv``, or a DataFrame with its columns ``id`` (index of a DataFrame
                ``X``, else the position), ``given``, ``verdict`` (keep, correct, unsure) and
                ``label``. A kept or corrected label is trusted: it is never called wrong, counts
                twice where the method weights samples, and where there are 5 of each class they
                are the meta set of a method that has one.
            unsure: "leave-out": unsure samples are not trained on, but scored; or "stay".

        Returns:
            The fitted classifier.

        Raises:
            ValueError: arguments that do not fit.
            mwnet.core.errors.NonFiniteLoss: a parameter became NaN or infinite; it is a ValueError.
        """
        vars(self).pop("model_", None)  # a fit that fails leaves no half-fitted classifier
        X, y, X_meta, y_meta = map(unwrapped, (X, y, X_meta, y_meta))  # noqa: N806
        with own_words({*self.get_params(deep=False), *CORRECTING}):
            review = None if corrections is None else review_of(corrections)
            experiment, self.classes_ = self._prepared(
                X, y, X_meta, y_meta, sample_weight, review, unsure
            )
            rated = torch.arange(len(experiment.data.source.labels))
            if X_meta is not None:
                rated = rated[: -len(experiment.data.parts.meta)]
            train_in_memory(experiment, rated)
        self._keep(experiment, rated, X.index if hasattr(X, "iloc") else None)
        return self

    def _fit_source(self, source: Source, unsure: str) -> "MWNetClassifier":
        """Train on data that was read from files; its test part, if it has one, is not rated."""
        vars(self).pop("model_", None)
        rated = source.not_test()
        if source.test_ids is None:  # then no samples are kept for testing
            source = replace(source, test_ids=torch.arange(0))
        with own_words({*self.get_params(deep=False), *CORRECTING}):
            config = config_of(self, clean=False, count=len(rated), unsure=unsure)
            network = None if isinstance(self.model, str) else self.model
            experiment = build(config, replace(source, truth=None), network)
            self.classes_ = np.array(source.classes)
            train_in_memory(experiment, rated)
        names = source.names
        self._keep(experiment, rated, None if names is None else [names[i] for i in rated.tolist()])
        return self

    def predict_proba(self, X: Any) -> np.ndarray:  # noqa: N803
        """Predict class probabilities.

        Args:
            X: samples as in ``fit``.

        Returns:
            ``(n, K)`` probabilities, columns in the order of ``classes_``.

        Raises:
            ValueError: samples of another shape, or not finite.
            sklearn.exceptions.NotFittedError: before ``fit``.
        """
        check_is_fitted(self, "model_")
        X = unwrapped(X)  # noqa: N806
        frame = as_table(X)
        if frame is not None and self.model_.preparation is not None:
            check_columns(self, frame, reset=False)
            names = list(self.model_.preparation.names)
            if self._names() is None and {*map(str, frame.columns)}.isdisjoint(names):
                X = frame.to_numpy()  # noqa: N806, trained on an array, whose columns have no names
            else:
                return self.model_.predict_proba(frame)
        photos = as_photos(X)
        return self.model_.predict_proba(
            checked(self, X if photos is None else photos, reset=False)
        )

    def predict(self, X: Any) -> np.ndarray:  # noqa: N803
        """Predict ``(n,)`` class labels; see ``predict_proba``."""
        probabilities = self.predict_proba(X)
        return self.classes_[probabilities.argmax(1)]

    @property
    def network_(self) -> nn.Module:
        """The trained network, in eval mode on the CPU; its input is normalised by ``model_``."""
        return self.model_.network

    def save(self, path: str | Path) -> None:
        """Write the fitted classifier into a folder, which ``load`` reads.

        Nothing is pickled: tensors go to safetensors, the rest to JSON.

        Args:
            path: of the folder, made if it is not there.

        Raises:
            ValueError: class labels of a kind that JSON cannot hold.
            sklearn.exceptions.NotFittedError: before ``fit``.
        """
        check_is_fitted(self, "model_")
        folder = location(path, "path")
        if RunFolder(folder).has_config():
            raise UserError(f"{folder} is the folder of a run: choose another `path`")
        parameters = {
            name: value
            for name, value in self.get_params(deep=False).items()
            if not callable(value) and not isinstance(value, np.random.RandomState)
        }
        issues = self.label_issues_
        described = {
            "format": FORMAT,
            "parameters": {name: plain(value) for name, value in parameters.items()},
            "classes": [plain(label) for label in self.classes_.tolist()],
            "classes_dtype": self.classes_.dtype.str,
            "n_features_in": vars(self)["n_features_in_"],
            "feature_names_in": getattr(self, "feature_names_in_", np.array([])).tolist() or None,
            "engine": self.engine_,
            "noise_estimate": self.noise_estimate_,
            "issues": {
                "index": [plain(label) for label in issues.index.tolist()],
                "index_names": [plain(name) for name in issues.index.names],
                "given": self._codes.tolist(),
                **{
                    name: issues[name].tolist()
                    for name in ("is_label_issue", "label_quality", "weight", "loss", *MARGINS)
                },
                "verdict": issues["verdict"].tolist() if "verdict" in issues else None,
                "predicted": self._predicted.tolist(),
            },
        }
        folder.mkdir(parents=True, exist_ok=True)
        self.model_.save(folder)
        write_sealed(folder / CLASSIFIER, described)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.input_tags.three_d_array = True
        tags.input_tags.allow_nan = True
        tags.non_deterministic = self.random_state is None
        return tags

    def _prepared(
        self,
        x: Any,
        y: Any,
        x_meta: Any,
        y_meta: Any,
        weights: Any,
        review: Review | None,
        unsure: str,
    ) -> tuple[Experiment, np.ndarray]:
        """Everything that the training consists of, and the classes."""
        if not (isinstance(self.model, str) or callable(self.model)):
            raise UserError(
                f"`model` must be a name or a function that builds a network, got {self.model!r}"
            )
        clean_only = check_meta(self, x_meta, review)
        check_rows(x, y)
        given = handed(self, x, x_meta)
        if y is None:
            raise UserError("fit requires y to be passed, but the target y is None: give `y`")
        if isinstance(y, str):
            raise UserError(
                f"`y` is {y!r}, not labels: give the column, as in X[{y!r}], and drop it"
            )
        with naming("y"):
            classes, codes = encode_hashable(y, "y")
        for note in look_alikes("`y`", classes.tolist()):
            log.warning("%s", note)
        if given.own != len(codes):
            raise UserError(
                f"`X` has {given.own} samples and `y` {len(codes)}: they must be equally many"
            )
        if given.table is not None:
            for note in copies(given.table, codes):
                log.warning("%s", in_own_words(note, self.get_params(deep=False)))
        if weights is not None:
            weights = weights_of(weights, codes, classes)
        if (x_meta is None) != (y_meta is None):
            raise UserError("`X_meta` and `y_meta` go together: give both or neither")
        meta_ids, clean = None, x_meta is not None
        if clean:
            check_clean(self)
            known = {label: code for code, label in enumerate(classes.tolist())}
            with naming("y_meta"):
                more_codes = known_codes(y_meta, "y_meta", given.clean, known)
            meta_ids = torch.arange(len(codes), len(codes) + given.clean)
            codes = np.concatenate([codes, more_codes])
        if weights is not None:
            weights = torch.cat([weights, torch.ones(len(codes) - len(weights))])
        source = Source(
            name="memory",
            x=given.x,
            labels=torch.from_numpy(codes),
            truth=None,
            classes=tuple(map(str, classes.tolist())),
            test_ids=torch.arange(0),
            meta_ids=meta_ids,
            weights=weights,
            feature_names=self._names(),
            table=given.table,
            extractor=given.extractor,
        )
        self._remark(source)
        if review is not None:
            index = x.index if hasattr(x, "iloc") else range(given.own)
            more = [f"X_meta, row {row}" for row in range(given.clean)]
            source = replace(source, names=(*map(str, index), *more), review=review)
        used = len(codes) if weights is None else int((weights > 0).sum())
        config = config_of(self, clean or clean_only, used, unsure)
        network = None if isinstance(self.model, str) else self.model
        return build(config, source, network), classes

    def _remark(self, source: Source) -> None:
        """Log what is odd about the labels."""
        source = replace(source, test_ids=None)
        if source.meta_ids is not None:
            own = len(source.labels) - len(source.meta_ids)
            clean = (f"{row} of X_meta" for row in range(len(source.meta_ids)))
            source = replace(source, names=(*map(str, range(own)), *clean))
        for note in remarks(source):
            log.warning("%s", note)

    def _names(self) -> tuple[str, ...] | None:
        """Names of the features, where ``X`` had some."""
        names = getattr(self, "feature_names_in_", None)
        return None if names is None else tuple(map(str, names))

    def _keep(self, experiment: Experiment, rated: Tensor, index: Any) -> None:
        """What is left of the training: the network, and scores of some samples."""
        scored = experiment.score(rated)
        self.engine_ = experiment.method.engine_name
        self.model_ = of_experiment(experiment, own_network=not isinstance(self.model, str))
        self._codes, self._predicted = scored.given, scored.predicted
        self.noise_estimate_ = None if scored.noise is None else scored.noise.described()
        if scored.noise is not None:
            log.info("%s", noise_words(scored.noise))
        health = health_of(experiment.method, scored)
        names, corrections = experiment.data.source.classes, experiment.data.corrections
        verdict = None
        if corrections is not None:
            log.info("%s", words(corrections, left_out=experiment.config.unsure == "leave-out"))
            of_sample = corrections.verdict_of()
            verdict = [of_sample.get(sample, "") for sample in rated.tolist()]
        for warning in warnings_of(scored, health, names):
            log.warning("%s", warning)
        self.label_issues_ = issue_table(
            is_issue=scored.is_issue,
            quality=scored.quality,
            given=self.classes_[scored.given],
            predicted=self.classes_[scored.predicted],
            weight=scored.weight,
            loss=scored.loss,
            margins={name: getattr(scored, name) for name in MARGINS},
            verdict=verdict,
            index=index,
        )
        self.label_quality_ = self.label_issues_["label_quality"].to_numpy()
        self.sample_weight_ = self.label_issues_["weight"].to_numpy()
