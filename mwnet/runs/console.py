"""Print what happens before and after training."""

import logging

import torch

from mwnet import noise
from mwnet.builders.experiment import Experiment
from mwnet.core.device import warn_slow_bfloat16
from mwnet.detection import COLLAPSE
from mwnet.losses.unlearnable import warn_unlearnable
from mwnet.methods.confident import ConfidentBatches
from mwnet.runs.describe import describe
from mwnet.runs.folder import RunFolder
from mwnet.runs.outputs import Result

log = logging.getLogger(__name__)

SCORE = {"own": "its own score", "loss": "the loss", "probability": "probability"}


def announce(experiment: Experiment, folder: RunFolder) -> None:
    """Say what is about to run: data, noise, sizes, network."""
    config, data = experiment.config, experiment.data
    source, parts = data.source, data.parts
    for note in source.notes:
        print(note)
    if config.amp == "bf16":
        warn_slow_bfloat16(experiment.device)
    parameters = sum(p.numel() for p in experiment.method.parameters())
    print(
        f"{describe(config)} on {source.name}: {len(parts.train)} training, "
        f"{len(parts.meta)} meta, {len(parts.validation)} validation, {len(parts.test)} test "
        f"samples of {source.num_classes} classes; {config.model} with {parameters:,} parameters "
        f"on {experiment.device}"
    )
    if data.matrix is not None:
        print(f"noise {config.noise} {config.noise_rate:g}, Pr(given label | true label):")
        if source.num_classes <= 20:
            for name, row in zip(source.classes, data.matrix.tolist(), strict=True):
                print(f"  {name[:12]:>12} " + " ".join(f"{value:.2f}" for value in row))
        warn_unlearnable(data.matrix, "the matrix of the added noise", source.classes)
    for kind, options in (("loss", config.loss_options), ("meta_loss", config.meta_loss_options)):
        if "matrix" in options:
            given = torch.from_numpy(noise.array_from_file(str(options["matrix"])))
            warn_unlearnable(given, f"the matrix of `{kind}.matrix`", source.classes)
    rate = experiment.realised_rate()
    if rate is not None and source.truth is not None:
        print(f"{rate:.1%} of the training labels are wrong")
    elif rate is not None:
        print(f"the noise has changed {rate:.1%} of the training labels, which count as right")
    if isinstance(experiment.meta, ConfidentBatches):
        print(f"the meta set: the {len(experiment.meta.chosen)} training samples trusted most")
    elif experiment.meta is not None and len(parts.meta) < 2 * source.num_classes:
        few = "%d meta samples are few: more data or a higher `meta_size` may help"
        log.warning(few, len(parts.meta))
    print(f"writing to {folder}", flush=True)


def conclude(found: Result, folder: RunFolder) -> None:
    """Print the result, the most suspect samples, and where everything lies."""
    summary, collapse = found.summary, found.collapse
    print(f"\n{'':38}{'last':>8}{'best':>8}  (best epoch, by the same number)")
    given = summary["test_labels"] == "given"
    rows = [
        ("agreement with given test labels" if given else "test accuracy", summary["test_accuracy"])
    ]
    if summary["validation_accuracy"] is not None:
        rows.append(("agreement with given validation", summary["validation_accuracy"]))
    auc = summary["detection_auc"] or {}
    rows += [(f"AUC of wrong labels by {SCORE[name]}", entry) for name, entry in auc.items()]
    for name, entry in rows:
        if entry["last"] is not None:
            print(f"{name:38}{entry['last']:8.4f}{entry['best']:8.4f}  ({entry['best_epoch']})")
    score = "label quality"
    if collapse:
        score = "probability of the given label"
        print()
        log.warning(
            "the weights have collapsed: %s; label_quality cannot be trusted, rank by the loss "
            "instead, and try `meta_loss='mae'`, `normalisation='sum'`, "
            "`weight_net_optimizer='adam'` or another `weight_net_lr`",
            COLLAPSE[collapse],
        )
    print("\nmost suspect training samples")
    print(f"{'sample_id':>28}  {'given':>12}  {'predicted':>12}  {score}")
    for sample, given_label, predicted, quality in found.suspects():
        print(f"{sample[-28:]:>28}  {given_label[:12]:>12}  {predicted[:12]:>12}  {quality:.2g}")
    print(f"\n{summary['seconds']['total']:.1f} s of training; in {folder}:")
    print("  label_quality.csv  every training label with its score")
    print("  summary.json       the numbers")
    if folder.figures.is_dir():
        print("  figures/           what happened, in pictures")
