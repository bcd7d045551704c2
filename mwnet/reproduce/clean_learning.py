"""What a user would take instead: cleanlab's CleanLearning around plain training.

Confident learning (Northcutt, Jiang and Chuang, JAIR 2021): out-of-sample predictions from
five-fold cross-validation find labels that are probably wrong, those samples are dropped, and the
rest is trained on once more. So it costs six trainings where plain training costs one.

The folds are those that ``CleanLearning`` would draw; its ``find_label_issues`` takes the
predictions, and no classifier has to be wrapped for it.

The network, its initial weights, batches, optimizer and schedule are those of ``--method erm`` with
the same options; each of the six trainings has all of ``--epochs``. The seconds of its summary are
those of the six trainings; unlike those of other runs, no measuring is in them.
"""

import dataclasses
import time
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from sklearn.model_selection import StratifiedKFold
from torch import Tensor

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
from mwnet.methods.base import predict
from mwnet.runs.begin import run_folder
from mwnet.runs.folder import QUALITY
from mwnet.runs.outputs import label_quality_csv, sample_names, summarise
from mwnet.runs.run import prepare_process
from mwnet.training.loop import steps
from mwnet.training.trainer import Progress

NAME = "clean-learning"
FOLDS = 5


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
    cleanlab = _cleanlab()
    if config.method != "erm":
        raise UserError(f"{NAME} is built around `method='erm'`, got {config.method}")
    prepare_process(config)
    experiment = build(config)
    train = experiment.data.parts.train
    given = experiment.data.labels[train].cpu()
    with run_folder(config, resume, name=NAME) as folder:
        start_measuring(experiment.device)
        started = time.perf_counter()
        predicted, taken = _out_of_sample(experiment, train, given)
        finding = cleanlab.CleanLearning(find_label_issues_kwargs={"n_jobs": 1})
        issues = finding.find_label_issues(labels=given.numpy(), pred_probs=predicted)
        wrong = issues["is_label_issue"].to_numpy()
        trained, steps_taken = plainly_trained(experiment, train[torch.from_numpy(~wrong)])
        seconds = time.perf_counter() - started
        quality = issues["label_quality"].to_numpy()
        scored = dataclasses.replace(
            trained.score(train), quality=quality, own=quality, weight=1.0 - wrong
        )
        progress = Progress(step=taken + steps_taken, seconds=seconds)
        summary = _summary(trained, scored, progress)
        names = sample_names(trained, scored.ids)
        text = label_quality_csv(scored, names, trained.data.source.classes)
        folder.write_text(QUALITY, text)
        folder.write_summary(summary)
    return summary


def plainly_trained(experiment: Experiment, ids: Tensor) -> tuple[Experiment, int]:
    """Train the network of an experiment from scratch on some of its samples.

    Args:
        experiment: its options must be those of plain training.
        ids: of the samples, which alone set how pixels are normalised.

    Returns:
        The experiment with the trained network, and how many steps that took.

    Raises:
        UserError: the training became NaN or infinite.
    """
    config, data, device = experiment.config, experiment.data, experiment.device
    x, labels, own = data.source.x[ids], data.labels.cpu()[ids], torch.arange(len(ids))
    pixels = Pixels.of(x, own, device, config.augment, channels_last=config.channels_last)
    two_views = config.loss in TWO_VIEWS
    train = Batches(
        pixels, labels, own, config.batch_for(len(own)), config.seed, "train", two_views=two_views
    )
    like = Source("like", x[:0], torch.empty(0), None, data.source.classes)
    trained = method(
        config.training_options,
        lambda purpose: classifier(config.network_options, like, device, purpose),
        train,
        like.num_classes,
        precision="bfloat16" if config.amp == "bf16" else None,
    )
    total = min(trained.epochs * len(train), config.max_steps or 2**63)
    trained.train()
    with seeding.seeded(config.seed, "network"):
        for _ in steps(trained, train, stop=total):
            pass
    if not all(bool(value.isfinite().all()) for value in trained.parameters()):
        raise NonFiniteLoss(f"{NAME}: a training became NaN or infinite; a lower `lr` may help")
    pixels = dataclasses.replace(pixels, x=data.pixels.x)
    data = dataclasses.replace(data, pixels=pixels)
    return dataclasses.replace(experiment, method=trained, data=data), total


def _out_of_sample(experiment: Experiment, ids: Tensor, given: Tensor) -> tuple[np.ndarray, int]:
    """``(n, K)`` probabilities of samples by networks that did not see them, and all steps."""
    seed = seeding.derive(experiment.config.seed, NAME) % 2**32
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
    predicted, taken = np.zeros((len(ids), experiment.data.source.num_classes)), 0
    for seen, held_out in folds.split(given, given):
        trained, count = plainly_trained(experiment, ids[torch.from_numpy(seen)])
        logits = predict(trained.method, trained.data.pixels, ids[torch.from_numpy(held_out)])
        predicted[held_out] = logits.softmax(-1).cpu().numpy()
        taken += count
    return predicted, taken


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
