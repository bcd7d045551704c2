"""What a user would take instead: cleanlab's CleanLearning around plain training.

Confident learning (Northcutt, Jiang and Chuang, JAIR 2021): out-of-sample predictions from
five-fold cross-validation find labels that are probably wrong, those samples are dropped, and the
rest is trained on once more. So it costs six trainings where plain training costs one.

The network, its initial weights, batches, optimizer and schedule are those of ``--method erm`` with
the same options; each of the six trainings has all of ``--epochs``. The seconds of its summary are
those of the six trainings; unlike those of other runs, no measuring is in them.
"""

import dataclasses
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassifierMixin

from mwnet import detection
from mwnet.builders.experiment import Experiment, build
from mwnet.builders.method import method
from mwnet.builders.network import classifier
from mwnet.config.schema import Config
from mwnet.core import seeding
from mwnet.core.errors import NonFiniteLoss, UserError
from mwnet.core.memory import start_measuring
from mwnet.data import Batches, Pixels, Source
from mwnet.losses import TWO_VIEWS
from mwnet.methods import Method
from mwnet.methods.base import predict
from mwnet.runs.begin import run_folder
from mwnet.runs.folder import QUALITY
from mwnet.runs.outputs import label_quality_csv, sample_names, summarise
from mwnet.runs.run import prepare_process
from mwnet.training.loop import steps
from mwnet.training.trainer import Progress

NAME = "clean-learning"
FOLDS = 5


class NetworkClassifier(ClassifierMixin, BaseEstimator):
    """Plain training of the Config's network as a scikit-learn classifier.

    It takes no sample weights: cleanlab would use some, one for each class, that restore the class
    proportions of before the pruning.

    Args:
        config: recipe; its method must be one without a meta set.
        num_classes: K; labels are 0 to K - 1.
        device: where to train.
        on_fit: called with the number of steps of every training.
    """

    def __init__(
        self,
        config: Config,
        num_classes: int,
        device: torch.device,
        on_fit: Callable[[int], None] = lambda steps: None,
    ) -> None:
        self.config = config
        self.num_classes = num_classes
        self.device = device
        self.on_fit = on_fit

    def fit(self, X: np.ndarray, y: np.ndarray) -> "NetworkClassifier":  # noqa: N803
        """Train from scratch on ``(n, c, h, w)`` images and their given labels."""
        config, device = self.config, self.device
        x, labels = torch.from_numpy(X), torch.from_numpy(np.asarray(y)).long()
        ids = torch.arange(len(x))
        self.classes_ = np.arange(self.num_classes)
        source = Source("samples", x, labels, None, tuple(map(str, self.classes_)))
        self.pixels_ = Pixels.of(x, ids, device, config.augment, channels_last=config.channels_last)
        train = Batches(
            self.pixels_,
            labels,
            ids,
            config.batch_size,
            config.seed,
            "train",
            two_views=config.loss in TWO_VIEWS,
        )
        self.method_ = method(
            config.training_options,
            lambda purpose: classifier(config.network_options, source, device, purpose),
            train,
            self.num_classes,
            precision="bfloat16" if config.amp == "bf16" else None,
        )
        total = min(self.method_.epochs * len(train), config.max_steps or 2**63)
        with seeding.seeded(config.seed, "network"):
            _train(self.method_, train, total)
        self.on_fit(total)
        return self

    def predict_proba(self, X: np.ndarray) -> np.ndarray:  # noqa: N803
        """``(n, K)`` class probabilities."""
        pixels = dataclasses.replace(self.pixels_, x=torch.from_numpy(X).to(self.device))
        logits = predict(self.method_, pixels, torch.arange(len(X)))
        return logits.softmax(-1).cpu().numpy()

    def predict(self, X: np.ndarray) -> np.ndarray:  # noqa: N803
        """``(n,)`` most probable classes."""
        return self.predict_proba(X).argmax(1)


def run(config: Config, resume: Path | None = None) -> dict[str, Any]:
    """CleanLearning on the training samples that a Config names, tested on its test part.

    Args:
        config: of plain training; ``meta_size: 0`` leaves it all samples that are not for testing.
        resume: its run folder if it has been begun; there is no checkpoint, it begins anew.

    Returns:
        The summary, as in ``summary.json``: the keys of every run, with no ``best``, since there is
        one result. ``detection_auc.own`` is that of cleanlab's label quality; the other scores are
        those of the final network. ``weights`` are 0 for what was dropped and 1 for what was kept.

    Raises:
        UserError: cleanlab is not installed, or whatever is wrong with the configuration.
    """
    classification = _cleanlab()
    if config.method != "erm":
        raise UserError(f"{NAME} is built around `method='erm'`, got {config.method}")
    prepare_process(config)
    experiment = build(config)
    taken: list[int] = []
    fitted = NetworkClassifier(
        config, experiment.data.source.num_classes, experiment.device, taken.append
    )
    wrapper = classification.CleanLearning(
        fitted,
        seed=seeding.derive(config.seed, NAME) % 2**32,
        cv_n_folds=FOLDS,
        find_label_issues_kwargs={"n_jobs": 1},
    )
    train = experiment.data.parts.train
    with run_folder(config, resume, name=NAME) as folder:
        start_measuring(experiment.device)
        started = time.perf_counter()
        wrapper.fit(
            experiment.data.source.x[train].numpy(), experiment.data.labels[train].cpu().numpy()
        )
        seconds = time.perf_counter() - started
        issues = wrapper.get_label_issues()
        trained = dataclasses.replace(
            experiment,
            method=fitted.method_,
            data=dataclasses.replace(
                experiment.data,
                pixels=dataclasses.replace(fitted.pixels_, x=experiment.data.pixels.x),
            ),
        )
        scored = dataclasses.replace(
            trained.score(train),
            quality=issues["label_quality"].to_numpy(),
            weight=1.0 - issues["is_label_issue"].to_numpy(),
        )
        summary = _summary(trained, scored, Progress(step=sum(taken), seconds=seconds))
        names = sample_names(trained, scored.ids)
        text = label_quality_csv(scored, names, trained.data.source.classes)
        folder.write_text(QUALITY, text)
        folder.write_summary(summary)
    return summary


def _train(trained: Method, train: Batches, total: int) -> None:
    """Take all steps, without files and without measuring in between."""
    trained.train()
    for _ in steps(trained, train, stop=total):
        pass
    if not all(bool(value.isfinite().all()) for value in trained.parameters()):
        raise NonFiniteLoss(f"{NAME}: a training became NaN or infinite; a lower `lr` may help")


def _summary(trained: Experiment, scored: detection.Scored, progress: Progress) -> dict[str, Any]:
    line = {"epoch": trained.config.epochs, **trained.metrics(scored)}
    summary = summarise(trained, scored, [line], progress)

    def only_last(entry: dict[str, Any]) -> dict[str, Any]:
        return {**entry, "best": None, "best_epoch": None}

    auc = summary["detection_auc"]
    return {
        **summary,
        "method": NAME,
        "test_accuracy": only_last(summary["test_accuracy"]),
        "detection_auc": auc and {name: only_last(entry) for name, entry in auc.items()},
        "versions": {**summary["versions"], "cleanlab": version("cleanlab")},
    }


def _cleanlab() -> ModuleType:
    try:
        import cleanlab.classification  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise UserError(f"{NAME} needs cleanlab ({error}): pip install -e '.[bench]'") from None
    return cleanlab.classification
