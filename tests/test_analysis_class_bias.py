"""Accuracy by class and what noise costs the hard ones, on numbers small enough to know."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from analyses import report

from mwnet.reproduce.claims.class_accuracy import by_class, chance_gap, gap, lost, lost_by_hard
from mwnet.reproduce.claims.class_bias import LABELS, verdict

SETTINGS = ["--model.width", "16", "--jobs", "1"]
TINY = ["--epochs", "1", "--seeds", "0,", *SETTINGS]


def test_accuracy_by_class_and_its_gap() -> None:
    truth = torch.tensor([0, 0, 0, 1, 1, 3])
    counts = by_class(torch.tensor([0, 0, 1, 1, 0, 3]), truth, 4)
    assert counts == {"right": [2, 1, 0, 1], "all": [3, 2, 0, 1]}
    assert gap(np.array([0.9, 0.4, np.nan, 0.7])) == pytest.approx(0.5)


def test_the_gap_by_chance() -> None:
    """Of two classes of one sample each it is 2 a (1 - a); a class without samples has no part."""
    assert chance_gap(0.3, np.array([1.0, 1, 0]), draws=100_000) == pytest.approx(0.42, abs=0.01)
    assert chance_gap(1.0, np.array([5.0, 7])) == 0
    assert chance_gap(0.5, np.full(10, 1e6)) < 0.003


def test_what_is_lost_by_mean_worst_and_hard_class() -> None:
    clean, noisy = np.array([0.9, 0.8, 1.0]), np.array([0.3, 0.6, 0.9])
    assert lost(clean, noisy) == pytest.approx((0.3, 0.5))
    # Class 1 is the worst of seed 0 and class 0 of seed 1: each loses in the other seed.
    others = np.array([0.5, 0.8, 1.0]), np.array([0.4, 0.1, 1.0])
    assert lost_by_hard([clean, others[0]], [noisy, others[1]]) == pytest.approx([0.6, 0.7])
    assert lost_by_hard([clean], [noisy]) == []


def test_class_bias_reports_and_keeps_every_epoch(tmp_path: Path) -> None:
    argv = ["--epochs", "1", "--seeds", "2", *SETTINGS, "--only", "row=CE,noise=[nu]*"]
    text = report(tmp_path / "a", "class-bias", *argv)
    assert "n = 2, seeds 0 to 1" in text
    assert "| uniform 0.4 | CE |" in text
    assert "under CE the claim " in text
    assert f"against {LABELS[True]}" in text
    folder = tmp_path / "a" / "CE" / "uniform-0.4" / "seed-0"
    history = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    for line in history:
        right, total = (sum(line["test_classes"][key]) for key in ("right", "all"))
        assert right / total == pytest.approx(line["test_accuracy"])


def test_epochs_are_looked_up_where_not_all_are_measured(tmp_path: Path) -> None:
    few = ["--epochs", "5", "--eval-every", "2", "--seeds", "1", *SETTINGS]
    text = report(tmp_path / "a", "class-bias", *few, "--only", "row=CE,noise=[nu]*")
    folder = tmp_path / "a" / "CE" / "uniform-0.4" / "seed-0"
    history = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in history] == [1, 3, 5]
    best = max(history, key=lambda line: line["test_accuracy"])["test_classes"]
    worst = min(right / total for right, total in zip(best["right"], best["all"], strict=True))
    (line,) = [line for line in text.splitlines() if line.startswith("| uniform 0.4 | CE |")][:1]
    assert f"| {100 * worst:.1f} |" in line


def test_class_bias_says_when_the_true_labels_are_not_known(tmp_path: Path) -> None:
    np.savez(
        tmp_path / "data.npz",
        x=np.random.default_rng(7).normal(size=(200, 5)).astype("float32"),
        y=np.arange(200) % 2,
    )
    argv = ["--dataset", "arrays", "--data", str(tmp_path / "data.npz"), *TINY]
    text = report(tmp_path / "a", "class-bias", *argv, "--only", "row=CE,noise=none")
    assert f"against {LABELS[False]}" in text
    assert "true labels" not in text


def test_the_claim_has_three_parts() -> None:
    assert verdict(differ=True, grows=True, major=True) == "holds"
    assert verdict(differ=False, grows=True, major=False) == "holds in part"
    assert verdict(differ=False, grows=False, major=False) == "does not hold here"
