"""A meta set of the most confident training samples instead of held-out ones."""

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from commands import fails, frozen, outcome, run
from experiments import build_with_other_truth, config, drive, flags
from torch import Tensor

import train
from mwnet.builders.experiment import build
from mwnet.data import Batches, Pixels
from mwnet.losses import TrainingSet
from mwnet.methods import METHODS
from mwnet.methods.confident import ConfidentBatches

IDS = torch.tensor([2, 3, 5, 7, 8, 9, 11, 12, 13, 14, 16, 17])
LABELS = torch.tensor([0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2])  # of the ids
FIRST = torch.tensor([0.9, 0.1, 0.8, 0.2, 0.3, 0.7, 0.2, 0.3, 0.4, 0.1, 0.05, 0.01])


def queue(size: int, batch_size: int = 3, **changes: Any) -> ConfidentBatches:
    x = torch.arange(80.0).reshape(20, 1, 2, 2)
    pixels = Pixels(x, torch.zeros(1, 1, 1), torch.ones(1, 1, 1))
    labels = torch.full((20,), -1)
    labels[IDS] = LABELS
    return ConfidentBatches(
        Batches(pixels, labels, IDS, 4, 0, "train"), size, batch_size, **changes
    )


def samples(confidence: Tensor) -> TrainingSet:
    """Predictions with these probabilities of the given labels."""
    p = ((1 - confidence) / 2)[:, None].repeat(1, 3)
    p[torch.arange(12), LABELS] = confidence
    return TrainingSet(IDS, LABELS, p.log)


def chosen(batches: Any) -> list[int]:
    """Sample ids of the meta batches of one pass."""
    steps = batches.size // batches.batch_size
    return sorted(int(i) for step in range(steps) for i in batches[step].index)


def test_the_most_confident_of_each_given_class_in_equal_numbers() -> None:
    batches = queue(6)
    batches.refresh(1, samples(FIRST))
    assert chosen(batches) == [2, 5, 12, 13, 16, 17]
    batch = batches[0]
    assert torch.equal(batch.y, batches.train_batches.labels[batch.index])
    assert torch.equal(batch.x, batches.train_batches.pixels.take(batch.index))


def test_a_small_class_gives_what_it_has() -> None:
    batches = queue(9)
    batches.refresh(1, samples(FIRST))
    ids = set(chosen(batches))
    assert {2, 5, 9, 12, 13, 11, 16, 17} < ids
    assert len(ids & {8, 14}) == 1  # the next one of either class


def test_there_is_no_meta_batch_while_warming_up() -> None:
    batches = queue(6, warmup=2)
    for epoch in (0, 1):
        batches.refresh(epoch, samples(FIRST))
        assert batches[epoch] is None
    batches.refresh(2, samples(FIRST))
    assert batches[2] is not None


def test_confidence_is_a_running_mean_over_epochs() -> None:
    second = torch.tensor([0.0, 0.5, 0.9, 0.2, 0.3, 0.0, 0.2, 0.3, 0.4, 0.1, 0.05, 0.01])
    # Of the first class, 3/4 of the first and 1/4 of the second are 0.675, 0.2, 0.825 and less.
    for memory, wanted in ((0.75, [2, 5]), (0.25, [3, 5]), (0.0, [3, 5])):
        batches = queue(6, memory=memory)
        batches.refresh(1, samples(FIRST))
        batches.refresh(2, samples(second))
        assert chosen(batches)[:2] == wanted


def test_a_round_trip_in_mid_pass_gives_the_same_batches() -> None:
    batches, other = queue(6), queue(6)
    batches.refresh(1, samples(FIRST))
    other.refresh(1, samples(FIRST.flip(0)))
    other[2]  # what it has chosen before must be forgotten
    other.load_state_dict(copy.deepcopy(batches.state_dict()))
    for step in range(3, 8):
        assert torch.equal(other[step].index, batches[step].index)
    changed = FIRST.clone()
    changed[:3] = 0.5
    batches.refresh(2, samples(changed))
    other.refresh(2, samples(changed))  # the mean has come along, too
    assert torch.equal(other.confidence, batches.confidence)
    assert torch.equal(other.chosen, batches.chosen)


# --- in a run

CONFIDENT = {"meta_source": "confident", "meta_noisy": False}
ANY = [name for name, entry in METHODS.items() if entry.meta == "any"]
FLAGS = ["--meta-source", "confident", "--no-meta-noisy"]


@pytest.mark.parametrize("method", ANY)
def test_no_samples_are_held_out_and_the_first_epoch_has_no_meta_loss(method: str) -> None:
    experiment = build(config(method, **CONFIDENT, meta_size=60))
    assert len(experiment.data.parts.meta) == 0
    assert not experiment.clean_meta
    assert len(experiment.data.parts.train) == 1437
    reports = drive(experiment)
    steps = len(experiment.train)
    assert ["meta_loss" in report for report in reports] == [False] * steps + [True] * 2 * steps
    batches = experiment.meta
    assert isinstance(batches, ConfidentBatches)
    labels = experiment.data.labels[batches.chosen]
    assert labels.bincount().tolist() == [6] * 10


@pytest.mark.parametrize("method", ANY)
def test_truth_never_reaches_the_choice(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = config(method, **CONFIDENT)
    runs = [build(settings), build_with_other_truth(settings, monkeypatch)]
    for each in runs:
        drive(each)
    assert frozen(runs[0].method.state_dict()) == frozen(runs[1].method.state_dict())
    auc = [each.metrics(each.score(each.data.parts.train))["detection_auc"] for each in runs]
    assert auc[0] != auc[1]


@pytest.mark.parametrize("method", ANY)
def test_a_run_cut_in_mid_epoch_ends_as_an_uninterrupted_one(method: str, tmp_path: Path) -> None:
    summary = run(tmp_path / "whole", *flags(method), *FLAGS)
    assert summary["meta_source"] == "confident"
    assert summary["samples"]["meta"] == 0
    run(tmp_path / "cut", *flags(method), *FLAGS, "--max-steps", "6")
    assert train.main(["--resume", str(tmp_path / "cut"), "--max-steps", "1000"]) == 0
    assert outcome(tmp_path / "cut") == outcome(tmp_path / "whole")


@pytest.mark.parametrize("size", ["0", "1438"])
def test_impossible_sizes(size: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    argv = [*flags("mwnet"), *FLAGS, "--meta-size", size, "--out", str(tmp_path / "run")]
    message = fails(capsys, *argv)
    assert "--meta-source confident needs --meta-size" in message
