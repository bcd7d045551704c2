"""Losses with a memory: what they remember, and that a resumed run remembers it too."""

from pathlib import Path

import numpy as np
import pytest
import torch
from commands import ROBUST, fails, outcome, run
from torch import Tensor

from mwnet.losses import LOSSES, MEMORY_ONLY, STATEFUL, TrainingSet

LOGITS = torch.tensor([[2.0, 0, 0], [0, 3.0, 0], [0, 0, 1.0], [1.0, 1.0, 0]])
LABELS = torch.tensor([0, 1, 0, 2])
INDEX = torch.tensor([3, 0, 7, 5])


def samples(logits: Tensor = LOGITS) -> TrainingSet:
    return TrainingSet(INDEX, LABELS, lambda: logits)


def test_elr_remembers_a_moving_average_of_predictions_by_sample() -> None:
    loss = STATEFUL["elr"](num_samples=8, num_classes=3, weight=2.0, beta=0.6)
    p = LOGITS.softmax(-1).clamp(1e-4, 1 - 1e-4)
    p = p / p.sum(1, keepdim=True)
    loss(LOGITS, LABELS, INDEX)
    torch.testing.assert_close(loss.targets[INDEX], 0.4 * p)
    values = loss(LOGITS, LABELS, INDEX)
    targets = (0.6 * 0.4 + 0.4) * p
    torch.testing.assert_close(loss.targets[INDEX], targets)
    torch.testing.assert_close(values, LOSSES["elr"](LOGITS, LABELS, targets=targets, weight=2.0))
    assert float(loss.targets[[1, 2, 4, 6]].abs().sum()) == 0


def test_pruning_gives_up_what_a_pass_doubts_until_the_next_pass() -> None:
    loss = STATEFUL["truncated-gce"](num_samples=8, num_classes=3, k=0.5, start=3, every=2)
    plain = LOSSES["gce"](LOGITS, LABELS)
    constant = (1 - 0.5**0.7) / 0.7
    for epoch in range(3):  # epochs 1 to 3; 3 is no multiple of 2
        loss.begin_epoch(epoch, samples())
        torch.testing.assert_close(loss(LOGITS, LABELS, INDEX), plain)
    loss.begin_epoch(3, samples())
    pruned = torch.where(torch.tensor([True, True, False, False]), plain, constant)
    torch.testing.assert_close(loss(LOGITS, LABELS, INDEX), pruned)
    loss.begin_epoch(4, samples(-LOGITS))
    torch.testing.assert_close(loss(LOGITS, LABELS, INDEX), pruned)
    loss.begin_epoch(5, samples(torch.eye(3)[LABELS] * 9))
    torch.testing.assert_close(loss(LOGITS, LABELS, INDEX), plain)


def test_peer_ramps_up_and_pairs_at_random() -> None:
    loss = STATEFUL["peer"](num_samples=8, num_classes=3, alpha=2.0, ramp=4)
    loss.begin_epoch(0, samples())
    torch.testing.assert_close(loss(LOGITS, LABELS, INDEX), LOSSES["ce"](LOGITS, LABELS))
    loss.begin_epoch(2, samples())
    terms = {
        tuple(
            (loss(LOGITS, LABELS, INDEX) - LOSSES["ce"](LOGITS, LABELS)).round(decimals=4).tolist()
        )
        for _ in range(20)
    }
    assert len(terms) > 5
    pairs = torch.log(LOGITS.softmax(-1) + 1e-5)
    for values in terms:  # alpha is 1 by now: each term is log p of some sample at some label
        for value in values:
            assert (pairs[:, LABELS] - value).abs().min() < 1e-3


def test_cores_ramps_up_by_the_prior_of_the_given_labels_then_sieves() -> None:
    loss = STATEFUL["cores"](num_samples=8, num_classes=3, beta=2.0, begin=1, full=3, sieve=3)
    loss.begin_epoch(1, samples())
    torch.testing.assert_close(loss(LOGITS, LABELS, INDEX), LOSSES["ce"](LOGITS, LABELS))
    loss.begin_epoch(2, samples())
    prior = torch.tensor([0.5, 0.25, 0.25])
    half = LOSSES["cores"](LOGITS, LABELS, beta=1.0, prior=prior)
    torch.testing.assert_close(loss(LOGITS, LABELS, INDEX), half)
    loss.begin_epoch(3, samples())
    full = LOSSES["cores"](LOGITS, LABELS, beta=2.0, prior=prior)
    kept = torch.tensor([1.0, 1.0, 0.0, 0.0])
    # Two of four count: the batch's mean is that of the two.
    torch.testing.assert_close(loss(LOGITS, LABELS, INDEX), full * kept * 2)
    none = loss(-LOGITS, torch.tensor([0, 1, 2, 0]), INDEX)
    assert none[:3].tolist() == [0, 0, 0]  # a batch in which nothing is selected is no error


@pytest.mark.parametrize("kind", ["forward", "backward"])
def test_correction_estimates_its_matrix_once(kind: str) -> None:
    matrix = torch.tensor([[0.8, 0.2, 0.0], [0.1, 0.8, 0.1], [0.0, 0.3, 0.7]])
    seen = []

    def estimate(probabilities: Tensor, labels: Tensor) -> Tensor:
        seen.append((probabilities, labels))
        return matrix

    loss = STATEFUL[kind](num_samples=8, num_classes=3, estimate=estimate, warmup=1)
    loss.begin_epoch(0, samples())
    torch.testing.assert_close(loss(LOGITS, LABELS, INDEX), LOSSES["ce"](LOGITS, LABELS))
    for epoch in (1, 2):
        loss.begin_epoch(epoch, samples())
    assert len(seen) == 1
    torch.testing.assert_close(seen[0][0], LOGITS.softmax(-1))
    torch.testing.assert_close(
        loss(LOGITS, LABELS, INDEX), LOSSES[kind](LOGITS, LABELS, matrix=matrix)
    )


@pytest.mark.parametrize("name", sorted(STATEFUL))
def test_a_resumed_run_remembers(name: str, tmp_path: Path) -> None:
    flags = ["--method", "erm", "--loss", name]
    early = {"truncated-gce": ["start", "every"], "cores": ["begin"], "forward": ["warmup"]}
    early["backward"] = early["forward"]
    flags += [part for key in early.get(name, []) for part in (f"--loss.{key}", "1")]
    if name == "cores":
        flags += ["--loss.full", "2", "--loss.sieve", "2"]
    run(tmp_path / "whole", *flags)
    run(tmp_path / "parts", *flags, "--max-steps", "20")
    from train import main

    assert main(["--resume", str(tmp_path / "parts"), "--max-steps", "1000"]) == 0
    assert outcome(tmp_path / "parts") == outcome(tmp_path / "whole")


# --- from the command line


EARLY = {
    "truncated-gce": ["--loss.start", "9", "--loss.every", "3"],
    "forward": ["--loss.warmup", "6"],
    "backward": ["--loss.warmup", "6"],
    "cores": ["--loss.begin", "2", "--loss.full", "8", "--loss.sieve", "10"],
    "ael": ["--lr", "0.5"],  # its gradient is a sixth of mae's
    "nce": ["--lr", "0.5"],
    "aul": ["--lr", "0.01"],  # and this one's twelve times mae's
}


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_every_loss_trains_by_its_flag(name: str, tmp_path: Path) -> None:
    """To a network that knows most digits; but dmi, which is for networks that already do."""
    flags = ["--method", "erm", "--loss", name, "--noise-rate", "0", "--noise", "none"]
    flags += ["--lr", "0.1", *EARLY.get(name, []), "--epochs", "15"]
    accuracy = run(tmp_path / "run", *flags)["test_accuracy"]["last"]
    assert accuracy > (0 if name == "dmi" else 0.8)


@pytest.mark.parametrize("name", sorted(set(LOSSES) - MEMORY_ONLY))
def test_every_pure_loss_is_a_meta_loss(name: str, tmp_path: Path) -> None:
    flags = ["--meta-loss", name, "--meta-noisy", "--max-steps", "2"]
    assert run(tmp_path / "run", *flags)["engine"] == "ghost"


def test_hyper_parameters_by_flag(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    erm = ["--method", "erm", "--max-steps", "2", "--out"]
    run(tmp_path / "a", "--loss", "sce", "--loss.alpha", "6", "--meta-loss", "ce", *erm[:4])
    theta = "0.5,0.5,-1,2,-8,48,-2,0,4,-16,0,0"
    run(tmp_path / "b", "--loss", "taylor", "--loss.theta", theta, "--loss.eta", "2", *erm[:4])
    run(tmp_path / "c", "--loss", "imae", "--loss.variant", "paper", *erm[:4])
    np.save(tmp_path / "t.npy", np.full((10, 10), 0.05) + 0.5 * np.eye(10))
    matrix = ["--loss.matrix", str(tmp_path / "t.npy")]
    run(tmp_path / "d", "--loss", "forward", *matrix, *erm[:4])
    run(tmp_path / "e", "--loss", "forward", *matrix, *ROBUST, "--max-steps", "2")
    np.save(tmp_path / "bad.npy", np.ones((10, 10)))
    np.save(tmp_path / "three.npy", np.eye(3))
    np.save(tmp_path / "flat.npy", np.full((10, 10), 0.1))
    np.save(tmp_path / "column.npy", np.eye(10)[[0, 1, 2, 3, 4, 5, 6, 7, 8, 8]])
    for flags, parts in (
        (["--loss", "taylor", "--loss.theta", "1,x"], ["--loss.theta", "numbers with commas"]),
        (["--loss", "imae", "--loss.variant", "3"], ["--loss.variant", "no word"]),
        (["--loss", "imae", "--loss.T", "high"], ["--loss.T", "no number"]),
        (["--loss", "forward", "--loss.matrix", "no.npy"], ["no.npy"]),
        (["--loss", "forward", "--loss.matrix", str(tmp_path / "bad.npy")], ["distributions"]),
        (["--loss", "cores", "--loss.full", "5"], ["begin < full"]),
        (["--loss", "cores"], ["changes in epoch 30", "--loss.sieve"]),
        (["--loss", "forward"], ["changes in epoch 20", "--loss.warmup"]),
        (["--loss", "forward", "--loss.warmup", "1.5"], ["1.5", "no whole number"]),
        (["--loss", "gce", "--loss.q", "true"], ["True", "no number"]),
        (["--loss", "imae", "--loss.T", "inf"], ["--loss.T"]),
        (["--loss", "truncated-gce", "--loss.every", "0"], ["every from 1, got 0"]),
        (
            ["--loss", "forward", "--loss.matrix", str(tmp_path / "three.npy")],
            ["3 classes, not 10"],
        ),
        (["--loss", "forward", "--loss.matrix", str(tmp_path / "column.npy")], ["label 9"]),
        (["--loss", "backward", "--loss.matrix", str(tmp_path / "flat.npy")], ["no inverse"]),
        (["--loss", "gce", "--loss.q", "2"], ["gce needs q in [0, 1], got 2"]),
    ):
        message = fails(capsys, "--method", "erm", *flags, "--out", str(tmp_path / "bad"))
        for part in parts:
            assert part in message
    for flags, parts in (
        (["--loss", "elr"], ["--loss elr has a memory", "--method erm"]),
        (["--loss", "truncated-gce"], ["--loss truncated-gce has a memory", "--method erm"]),
        (["--meta-loss", "forward"], ["--meta-loss.matrix"]),
        (["--loss", "dmi"], ["whole batches"]),
    ):
        message = fails(capsys, *flags, "--out", str(tmp_path / "bad"))
        for part in parts:
            assert part in message
    assert not (tmp_path / "bad").exists()


def test_an_estimate_without_an_inverse_ends_the_run_in_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """All samples look the same, so every row of the estimate is the same."""
    y = np.arange(200) % 4
    np.savez(tmp_path / "same.npz", x=np.ones((200, 4), dtype=np.float32), y=y)
    data = ["--dataset", "arrays", "--data", str(tmp_path / "same.npz"), "--method", "erm"]
    flags = ["--loss", "backward", "--loss.warmup", "1", "--out", str(tmp_path / "run")]
    assert "estimated transition matrix has no inverse" in fails(capsys, *data, *flags)
