"""Analyses that train: what they compute from runs, and their commands on a tiny problem."""

import json
import statistics
from pathlib import Path

import numpy as np
import pytest
import torch

from mwnet.analysis import normalisation
from mwnet.analysis.__main__ import main
from mwnet.analysis.base import of_folder
from mwnet.analysis.heavy_noise import differences
from mwnet.analysis.noise_levels import ranks_and_gaps
from mwnet.analysis.weight_curve import curve, falling_share, falls_from, per_nat
from mwnet.losses import taylor_range
from mwnet.recipe import load_yaml
from mwnet.report.folder import CONFIG

SMALL = ["--epochs", "2", "--model.width", "8", "--device", "cpu", "--train-size", "200"]


def analyse(name: str, out: Path, *flags: str) -> tuple[str, dict[str, dict]]:
    """The report of a small problem, and the summaries of its runs by folder."""
    assert main([name, "--seeds", "1", "--jobs", "1", "--out", str(out), *SMALL, *flags]) == 0
    assert (out / "figure.png").read_bytes()[1:4] == b"PNG"
    paths = sorted(out.glob("*/*/seed-*/summary.json"))
    summaries = {str(p.parent.relative_to(out)): json.loads(p.read_text()) for p in paths}
    return (out / "report.md").read_text(), summaries


def last(summary: dict) -> float:
    return summary["test_accuracy"]["last"]


def test_differences_are_between_runs_of_one_seed() -> None:
    assert differences({0: 0.9, 2: 0.5, 3: 0.1}, {3: 0.4, 0: 0.5, 7: 0.2}) == pytest.approx(
        [0.4, -0.3]
    )


def test_heavy_noise(tmp_path: Path) -> None:
    text, runs = analyse("heavy-noise", tmp_path, "--seeds", "2", "--only", "noise=uniform")
    assert len(runs) == 4 * 2
    assert all(run["noise"]["rate"] == 0.7 for run in runs.values())

    def of(row: str) -> list[float]:
        return [100 * last(runs[f"{row}/uniform-0.7/seed-{seed}"]) for seed in (0, 1)]

    ahead = np.subtract(of("RMNW-Net"), of("MNW-Net"))
    spread = f"{statistics.mean(ahead):.2f} ± {statistics.stdev(ahead):.2f}"
    assert f"RMNW-Net minus MNW-Net {spread} points" in text
    row = next(line for line in text.splitlines() if line.startswith("| uniform 0.7 | MNW-Net |"))
    assert f"| {statistics.mean(of('MNW-Net')):.2f} ± " in row
    assert row.endswith(f"| {spread} |")
    assert "n = 2, seeds 0 to 1" in text


def test_a_curve_goes_through_the_percentiles_of_the_loss() -> None:
    loss = np.array([3.0, 0.0, 1.0, 4.0, 2.0])
    assert curve(loss, 10 * loss, 3) == ([0, 2, 4], [0, 20, 40])
    assert curve(loss, -loss, 5) == ([0, 1, 2, 3, 4], [0, -1, -2, -3, -4])


def test_when_a_curve_falls_and_how_much_of_it() -> None:
    assert falls_from([0.2, -0.1, 0.3, -0.2, -0.5]) == 4
    assert falls_from([-0.2, -0.1]) == 1
    assert falls_from([-0.2, 0.0]) is None
    assert falls_from([-0.2, float("nan")]) is None
    assert falling_share([5, 4, 4, 3, 6]) == pytest.approx(2 / 3)
    assert falling_share([1, 1]) == 0
    # From the 10th to the 90th percentile, not from end to end.
    points = {"loss": [0.0, *np.linspace(1, 5, 9), 100.0], "weight": [9.0] * 2 + [1.0] * 9}
    assert per_nat(points) == pytest.approx(-8 / 4)


def test_weight_curve(tmp_path: Path) -> None:
    text, runs = analyse("weight-curve", tmp_path, "--only", "noise=uniform")
    assert set(runs) == {f"{row}/uniform-0.4/seed-0" for row in ("MNW-Net", "MW-Net", "RMNW-Net")}
    for folder, summary in runs.items():
        run = of_folder(tmp_path / folder)
        assert [line["epoch"] for line in run.history] == [1, 2]
        points = run.history[-1]["weight_curve"]
        assert len(points["loss"]) == 41
        assert points["loss"] == sorted(points["loss"])
        with torch.no_grad():
            weight_net = run.experiment().method.get_submodule("weight_net")
            weights = weight_net(torch.tensor(points["loss"]))
        torch.testing.assert_close(torch.tensor(points["weight"]), weights, rtol=0, atol=1e-5)
        assert run.history[0]["weight_curve"] != points
        row = "MW-Net*" if folder.startswith("MW-Net") else folder.split("/")[0]
        line = next(x for x in text.splitlines() if x.startswith(f"| uniform 0.4 | {row} |"))
        slope = summary["weights"]["slope"]
        assert f"| {slope:.3f} |" in line
        assert f"{row} {int(slope < 0)} of 1 (" in text


def test_a_rank_is_one_more_than_how_many_are_better() -> None:
    scores = {"a": [0.5, 0.9, 0.7], "b": [0.6, 0.4, 0.7], "c": [0.8, 0.3, 0.2]}
    ranks, gaps = ranks_and_gaps(scores, "a")
    assert ranks == [3, 1, 1]
    assert gaps == pytest.approx([0.3, -0.5, 0.0])


def test_noise_levels(tmp_path: Path) -> None:
    only = "noise_rate=0.[48],loss=taylor"
    text, runs = analyse("noise-levels", tmp_path, "--only", only)
    values = [f"{100 * last(run):.2f}" for run in runs.values()]  # by rate, then no decay
    mean = f"{100 * statistics.mean(map(last, list(runs.values())[::2])):.2f}"
    assert f"| the recipe's weight decay | Taylor | {values[0]} | {values[2]} | {mean} |" in text
    assert f"| no weight decay | Taylor | {values[1]} | {values[3]} | " in text
    decays = [load_yaml(tmp_path / folder / CONFIG)["weight_decay"] for folder in runs]
    assert decays == [0.01, 0.0] * 2
    # Finished runs are not trained again.
    text, runs = analyse("noise-levels", tmp_path, "--only", "noise_rate=0.8,loss=[mt]a*")
    mae, taylor = (last(runs[f"{row}/symmetric-0.8/seed-0"]) for row in ("MAE", "Taylor"))
    place = f"place {1 + (mae > taylor)} at symmetric 0.8 ({100 * (taylor - mae):+.1f})"
    assert f"the recipe's weight decay: Taylor has {place}" in text


def test_normalisation(tmp_path: Path) -> None:
    text, runs = analyse("normalisation", tmp_path, "--only", "lr=0.25,row=ar_sym80*")
    one, bare = (last(run) for run in runs.values())
    lowest, highest = taylor_range(normalisation.FOUND["ar_sym80"].theta, 10)
    assert f"| ar_sym80 | 1.000 | {1 / (highest - lowest):.3f} | {100 * one:.2f} |" in text
    assert f"| ar_sym80 | {highest - lowest:.3f} | 1.000 | {100 * bare:.2f} |" in text
    assert (
        f"with eta 1 and without eq. 5 (n = 1, seed 0): lr 0.25 {one:.2%} and {bare:.2%}." in text
    )
    etas = [load_yaml(tmp_path / folder / CONFIG)["loss_options"]["eta"] for folder in runs]
    assert etas == [1.0, pytest.approx(highest - lowest)]


def test_normalisation_of_other_data_says_that_no_run_has_its_range(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    arrays = {"x": rng.normal(size=(90, 4)).astype(np.float32), "y": np.arange(90) % 3}
    np.savez(tmp_path / "three.npz", **arrays)
    out = tmp_path / "out"
    flags = ["--dataset", "arrays", "--data", str(tmp_path / "three.npz"), "--train-size", "50"]
    text, _ = analyse("normalisation", out, "--only", "lr=0.25,row=ar_sym80*", *flags)
    lowest, highest = taylor_range(normalisation.FOUND["ar_sym80"].theta, 3)
    assert "At 3 classes the range without eq. 5" in text
    assert "with eta 1 and with their range at 10 classes instead" in text
    assert f"| ar_sym80 | 1.000 | {1 / (highest - lowest):.3f} | " in text


def test_ranges_of_random_polynomials_fall_like_one_over_the_classes() -> None:
    few, many = (normalisation.candidates_ranges(classes, 8) for classes in (10, 40))
    np.testing.assert_allclose(few / many, 4, rtol=0.3)
    assert few.max() / few.min() > 5  # which is what eq. 5 is for
