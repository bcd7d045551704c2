"""Analyses that train: what they compute from runs, and their commands on a tiny problem."""

import json
import statistics
from pathlib import Path

import numpy as np
import pytest
import torch
from analyses import report
from commands import run

from mwnet.config.recipes import RUN_CONFIG as CONFIG
from mwnet.config.recipes import load_yaml
from mwnet.losses import taylor_range
from mwnet.reproduce.claims import noise_levels, normalisation, weight_spread
from mwnet.reproduce.claims.base import of_folders
from mwnet.reproduce.claims.heavy_noise import differences
from mwnet.reproduce.claims.noise_levels import ranks_and_gaps
from mwnet.reproduce.claims.weight_curve import curve, falling_share, falls_from, per_nat

SMALL = ["--epochs", "2", "--model.width", "8", "--device", "cpu", "--train-size", "200"]


def analyse(name: str, out: Path, *flags: str) -> tuple[str, dict[str, dict]]:
    """The report of a small problem, and the summaries of its runs by folder."""
    text = report(out, name, "--seeds", "1", "--jobs", "1", *SMALL, *flags)
    paths = sorted(out.glob("*/*/seed-*/summary.json"))
    return text, {str(p.parent.relative_to(out)): json.loads(p.read_text()) for p in paths}


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
    assert (
        f"RMNW-Net minus MNW-Net is {spread} points at uniform 0.7 (n = 2, seeds 0 to 1)." in text
    )
    holds = "Holds here" if ahead.min() > 0 else "Does not hold in every seed here"
    assert f"{holds} for uniform noise" in text
    row = next(line for line in text.splitlines() if line.startswith("| uniform 0.7 | MNW-Net |"))
    assert f"| {statistics.mean(of('MNW-Net')):.2f} ± " in row
    assert row.endswith(f"| {spread} |")


def test_the_range_of_the_weights_is_of_their_mean() -> None:
    weights = np.linspace(0, 2, 101)
    assert weight_spread.width(weights) == pytest.approx(1.8)
    assert weight_spread.width(7 * weights) == pytest.approx(1.8)
    assert weight_spread.width(np.zeros(5)) == 0


def test_wrong_labels_weigh_this_many_times_what_right_ones_do() -> None:
    right = np.array([True, True, False, False])
    assert weight_spread.wrong_over_right(np.array([1.0, 3.0, 0.5, 0.5]), right) == 0.25
    assert weight_spread.wrong_over_right(np.ones(4), right | True) is None
    assert weight_spread.wrong_over_right(np.zeros(4), right) is None


def test_rank_correlation_is_of_the_known_pairs() -> None:
    assert weight_spread.rank_correlation([(1, 0.1), (2, 0.5), (9, 0.6)]) == pytest.approx(1)
    assert weight_spread.rank_correlation([(1, 3), (2, 1), (3, 2), (None, 9)]) == pytest.approx(
        -0.5
    )
    assert weight_spread.rank_correlation([(1, 3), (2, 1), (None, 2)]) is None
    assert weight_spread.rank_correlation([(1, 3), (1, 1), (1, 2)]) is None


def test_weights_are_tighter_if_they_are_in_every_seed() -> None:
    assert weight_spread.verdict({"a": [True, True], "b": [True]}) == "Holds"
    assert weight_spread.verdict({"a": [True, False], "b": [True]}) == "Holds in part"
    assert weight_spread.verdict({"a": [True, False], "b": [False]}) == "Does not hold"


def test_weight_spread(tmp_path: Path) -> None:
    text, runs = analyse("weight-spread", tmp_path, "--only", "noise=uniform")
    widths, accuracies = {}, {}
    for folder, summary in runs.items():
        experiment = of_folders([tmp_path / folder])[0].experiment()
        ids = experiment.data.parts.train
        weights = experiment.score(ids).weight
        assert experiment.data.truth is not None
        right = (experiment.data.labels[ids] == experiment.data.truth[ids]).numpy()
        row = folder.split("/")[0].replace("MW-Net", "MW-Net*").replace("RMW-Net*", "RMW-Net")
        widths[row] = np.subtract(*np.percentile(weights, [95, 5])) / weights.mean()
        accuracies[row] = last(summary)
        ratio = weights[~right].mean() / weights[right].mean()
        assert f"| uniform 0.4 | {row} | {widths[row]:.3f} | {ratio:.3f} | " in text
    tighter = widths["RMNW-Net"] < widths["MW-Net*"]
    better = accuracies["RMNW-Net"] > accuracies["MW-Net*"]
    assert f"{'Holds' if tighter else 'Does not hold'} here: of 1 pairs " in text
    assert f"has the tighter weights in {int(tighter)} (" in text
    assert f"the higher accuracy in {int(better)} (n = 1, seed 0)." in text
    assert "| uniform 0.4 | 3 | " in text
    assert "At uniform 0.4 the run with the lowest AUC, " in text


def test_weight_spread_of_data_without_truth(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    arrays = {"x": rng.normal(size=(90, 4)).astype(np.float32), "y": np.arange(90) % 3}
    np.savez(tmp_path / "three.npz", **arrays)
    options = ["--method", "mwnet", "--meta-noisy", "--dataset", "arrays"]
    options += ["--data", str(tmp_path / "three.npz"), "--noise", "none", "--noise-rate", "0"]
    run(tmp_path / "run", *options, "--epochs", "1")
    text = report(tmp_path / "out", "weight-spread", "--run", str(tmp_path / "run"))
    assert "90 % of the weights span, in mean weights, mwnet-mae-noisy, " in text
    assert "lowest AUC" not in text
    row = next(line for line in text.splitlines() if line.startswith("| arrays, none | mwnet"))
    assert row.split(" | ")[3] == "-"


def test_a_curve_goes_through_the_percentiles_of_the_loss() -> None:
    loss = np.array([3.0, 0.0, 1.0, 4.0, 2.0])
    assert curve(loss, 10 * loss, 3) == ([0, 2, 4], [0, 20, 40])
    assert curve(loss, -loss, 5) == ([0, 1, 2, 3, 4], [0, -1, -2, -3, -4])


def test_when_a_curve_falls_and_how_much_of_it() -> None:
    assert falls_from({1: 0.2, 2: -0.1, 3: 0.3, 4: -0.2, 5: -0.5}) == 4
    assert falls_from({3: -0.2, 6: -0.1}) == 3
    assert falls_from({1: -0.2, 2: 0.0}) is None
    assert falls_from({1: -0.2, 2: float("nan")}) is None
    assert falling_share([5, 4, 4, 3, 6]) == pytest.approx(2 / 3)
    assert falling_share([1, 1]) == 0
    # From the 10th to the 90th percentile, not from end to end.
    points = {"loss": [0.0, *np.linspace(1, 5, 9), 100.0], "weight": [9.0] * 2 + [1.0] * 9}
    assert per_nat(points) == pytest.approx(-8 / 4)


def test_weight_curve(tmp_path: Path) -> None:
    text, runs = analyse("weight-curve", tmp_path, "--only", "noise=uniform")
    assert set(runs) == {f"{row}/uniform-0.4/seed-0" for row in ("MNW-Net", "MW-Net", "RMNW-Net")}
    for folder, summary in runs.items():
        run = of_folders([tmp_path / folder])[0]
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
        assert (f"{row} 1 of 1 (rank correlation negative from epoch " in text) == (slope < 0)
    falling = sum(summary["weights"]["slope"] < 0 for summary in runs.values())
    assert f"in {falling} of 3 runs: " in text


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
    row = "| the recipe's weight decay |"
    assert f"\n{row} place of 2 | {1 + (mae > taylor)} |\n" in text
    assert f"\n{row} points ahead | {100 * (taylor - mae):+.2f} |\n" in text
    assert "No run of Taylor beside other losses at another rate than 0.8 (n = 1" in text


@pytest.mark.parametrize(
    ("with_it", "without", "verdict"),
    [
        ([True, True], [True, False, True], "Holds here"),
        ([True, False], [True], "Holds in part here"),
        ([False], [False, True], "Does not hold here"),
    ],
)
def test_a_loss_serves_where_it_is_mostly_in_the_better_half(
    with_it: list[bool], without: list[bool], verdict: str
) -> None:
    sentence = noise_levels.told({"decay": with_it, "no decay": without, "unknown": []}, 6)
    assert sentence.startswith(f"{verdict}: ")
    assert f"at {sum(with_it)} of {len(with_it)} other rates with decay and at " in sentence
    assert "unknown" not in sentence


def test_normalisation(tmp_path: Path) -> None:
    text, runs = analyse("normalisation", tmp_path, "--only", "lr=0.25,row=ar_sym80*")
    values = [100 * last(run) for run in runs.values()]  # by eta, then no decay
    lowest, highest = taylor_range(normalisation.FOUND["ar_sym80"].theta, 10)
    for place, setting in enumerate(("the recipe's weight decay", "no weight decay")):
        one, bare = values[place], values[2 + place]
        start = f"| {setting} | ar_sym80 |"
        assert f"{start} 1.000 | {1 / (highest - lowest):.3f} | {one:.2f} |" in text
        assert f"{start} {highest - lowest:.3f} | 1.000 | {bare:.2f} |" in text
        assert f"| {setting} | gain |  |  | {bare - one:.2f} |" in text
        assert f"{bare - one:+.1f} points with {setting}" in text
    assert "training without eq. 5 changes mean accuracy by " in text
    stays = (values[2] - values[0]) * (values[3] - values[1]) > 0
    assert f"stays in every seed without weight decay at {int(stays)} of 1 learning rates" in text
    configs = [load_yaml(tmp_path / folder / CONFIG) for folder in runs]
    wanted = [1.0] * 2 + [pytest.approx(highest - lowest)] * 2
    assert [config["loss_options"]["eta"] for config in configs] == wanted
    assert [config["weight_decay"] for config in configs] == [0.01, 0.0] * 2


def test_a_difference_lasts_if_every_seed_has_its_sign() -> None:
    assert normalisation.lasts([0.2, -0.1], [0.01, 0.3])
    assert normalisation.lasts([-0.2, 0.1], [-0.01])
    assert not normalisation.lasts([0.2, 0.1], [0.4, -0.01])
    assert not normalisation.lasts([0.2, 0.1], [0.4, 0.0])


def test_normalisation_of_other_data_says_that_no_run_has_its_range(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    arrays = {"x": rng.normal(size=(90, 4)).astype(np.float32), "y": np.arange(90) % 3}
    np.savez(tmp_path / "three.npz", **arrays)
    out = tmp_path / "out"
    flags = ["--dataset", "arrays", "--data", str(tmp_path / "three.npz"), "--train-size", "50"]
    text, _ = analyse("normalisation", out, "--only", "lr=0.25,row=ar_sym80*", *flags)
    lowest, highest = taylor_range(normalisation.FOUND["ar_sym80"].theta, 3)
    assert "at 3 classes the range without eq. 5" in text
    assert "training with their range at 10 classes as eta changes" in text
    assert f"| ar_sym80 | 1.000 | {1 / (highest - lowest):.3f} | " in text


def test_ranges_of_random_polynomials_fall_like_one_over_the_classes() -> None:
    few, many = (normalisation.candidates_ranges(classes, 8) for classes in (10, 40))
    np.testing.assert_allclose(few / many, 4, rtol=0.3)
    assert few.max() / few.min() > 5  # which is what eq. 5 is for
