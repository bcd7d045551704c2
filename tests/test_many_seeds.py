"""``--seeds 3``: every seed is the run that it would be alone."""

import json
import statistics
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from commands import fails, run

import train
from mwnet.config.schema import Config
from mwnet.methods import METHODS
from mwnet.runs.many_seeds import why_not

SMALL = ["--method", "erm", "--model.width", "8"]
# Not even the first one of these is 0.
SEEDS = [3, 4, 5]
MANY = ["--seeds", "3", "--seed", "3"]

Capture = pytest.CaptureFixture[str]


def metrics(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]


def flat(value: Any) -> Any:
    """Numbers of nested metrics, by their path."""
    if isinstance(value, dict):
        return {f"{k}/{p}": v for k, entry in value.items() for p, v in flat(entry).items()}
    if isinstance(value, list):
        return {f"{k}/{p}": v for k, entry in enumerate(value) for p, v in flat(entry).items()}
    return {"": value}


def compare(
    many: Path, tmp_path: Path, argv: list[str], tolerance: float, seeds: list[int]
) -> None:
    """Every file of numbers of each seed's folder against the run alone."""
    for seed in seeds:
        alone, own = tmp_path / f"alone-{seed}", many / f"seed-{seed}"
        run(alone, *argv, "--seed", str(seed))
        got, want = flat(metrics(own)), flat(metrics(alone))
        assert got.keys() == want.keys()
        for key, value in want.items():
            near = (
                value
                if value is None or isinstance(value, str)
                else pytest.approx(value, abs=tolerance)
            )
            assert got[key] == near, key
        p, q = (np.load(folder / "pred_probs.npy") for folder in (own, alone))
        np.testing.assert_allclose(p, q, rtol=0, atol=tolerance)
        for name in ("labels.npy", "noise_matrix.csv"):
            assert (own / name).read_bytes() == (alone / name).read_bytes()
        summaries = [json.loads((folder / "summary.json").read_text()) for folder in (own, alone)]
        for summary in summaries:
            del summary["seconds"]
        assert summaries[0].keys() == summaries[1].keys()
        assert summaries[0]["seed"] == seed
        left = {path.name for path in alone.iterdir()} - {path.name for path in own.iterdir()}
        assert left == {"last.pt", "best.pt"}


SAME = [
    ["--weight-decay", "0.01", "--lr-schedule", "cosine"],
    [
        "--loss",
        "gce",
        "--loss.q",
        "0.5",
        "--optimizer",
        "adam",
        "--lr",
        "0.003",
        "--augment",
        "crop",
    ],
    ["--loss", "taylor", "--model", "mlp3", "--nesterov", "--validation-size", "200"],
]


@pytest.mark.parametrize("argv", SAME, ids=lambda argv: " ".join(argv)[:24])
def test_every_seed_is_the_run_alone(tmp_path: Path, argv: list[str]) -> None:
    summary = run(tmp_path / "many", *SMALL, *MANY, *argv)
    assert summary["way"] == "perceptron"
    assert summary["seeds"] == SEEDS
    compare(tmp_path / "many", tmp_path, [*SMALL, *argv], 1e-5, SEEDS)
    probs = [np.load(tmp_path / "many" / f"seed-{seed}" / "pred_probs.npy") for seed in SEEDS]
    assert not np.allclose(probs[0], probs[1], atol=0.01)


def test_every_seed_of_a_convolutional_net_is_the_run_alone(tmp_path: Path) -> None:
    net = ["--method", "erm", "--model", "resnet32", "--model.depth", "8", "--model.width", "2"]
    argv = [*net, "--epochs", "1", "--lr", "0.02"]
    summary = run(tmp_path / "many", *argv, "--seeds", "2", "--seed", "3")
    assert summary["way"] == "looped"
    compare(tmp_path / "many", tmp_path, argv, 1e-5, SEEDS[:2])


def test_dropout_is_refused(tmp_path: Path, capsys: Capture) -> None:
    """Its draws come from one generator, so that no seed would be the run alone."""
    net = ["--model", "wrn-28-10", "--model.depth", "10", "--model.width", "1"]
    argv = ["--method", "erm", *net, "--model.dropout", "0.3", "--seeds", "2"]
    assert "dropout" in fails(capsys, *argv, "--out", str(tmp_path / "many"))
    assert not (tmp_path / "many").exists()


def test_in_bfloat16_every_seed_is_near_the_run_alone(tmp_path: Path) -> None:
    argv = [*SMALL, "--amp", "bf16"]
    run(tmp_path / "many", *argv, *MANY)
    compare(tmp_path / "many", tmp_path, argv, 0.03, SEEDS)
    run(tmp_path / "exact", *SMALL, *MANY)
    pairs = (np.load(tmp_path / name / "seed-3" / "pred_probs.npy") for name in ("many", "exact"))
    assert not np.array_equal(*pairs)


def test_more_seeds_than_a_group_has_members(tmp_path: Path) -> None:
    """Eighteen perceptrons are two groups; those of the second are the runs alone, too."""
    argv = [*SMALL, "--epochs", "1"]
    run(tmp_path / "many", *argv, "--seeds", "18")
    compare(tmp_path / "many", tmp_path, argv, 1e-5, [0, 15, 16, 17])


def test_the_summary_has_mean_and_standard_deviation(tmp_path: Path, capsys: Capture) -> None:
    summary = run(tmp_path / "run", *SMALL, *MANY, "--loss", "mae")
    folders = [tmp_path / "run" / f"seed-{seed}" for seed in SEEDS]
    of = [json.loads((folder / "summary.json").read_text()) for folder in folders]
    assert len({str(metrics(folder)) for folder in folders}) == 3
    for which in ("last", "best"):
        values = [one["test_accuracy"][which] for one in of]
        entry = summary["test_accuracy"][which]
        assert entry["mean"] == pytest.approx(statistics.mean(values))
        assert entry["sd"] == pytest.approx(statistics.stdev(values))
        assert entry["n"] == 3
        line = f"{entry['mean']:8.4f}{entry['sd']:8.4f}"
        assert line in capsys.readouterr().out if which == "last" else True
    aucs = [one["detection_auc"]["own"]["last"] for one in of]
    assert summary["detection_auc"]["own"]["mean"] == pytest.approx(statistics.mean(aucs))
    assert (summary["mode"], summary["method"], summary["loss"]) == ("train", "erm", "mae")
    assert summary["versions"]["torch"] == torch.__version__
    assert {path.name for path in (tmp_path / "run").iterdir()} == {
        "config.yaml", "summary.json", *(folder.name for folder in folders)
    }  # fmt: skip


BAD = [
    (["--loss", "gce", "--loss.q", "7"], ["gce", "7"]),
    (["--loss", "cee"], ["cee", "did you mean ce?"]),
    (["--model", "mlp9"], ["mlp9"]),
    (["--lr", "1e30"], ["seed 0", "epoch 1", "--lr"]),
]


APART: list[dict[str, Any]] = [
    *({"method": name} for name in METHODS if name != "erm"),
    *({"loss": name} for name in ("elr", "forward", "gjs", "dmi")),
    *({name: True} for name in ("cuda_graphs", "compile")),
    {"max_steps": 9},
    {"eval_every": 2},
]


@pytest.mark.parametrize("options", APART, ids=str)
def test_what_one_pass_cannot_train(options: dict[str, Any]) -> None:
    name, value = next(iter(options.items()))
    reason = why_not(Config(**{"method": "erm", **options}))
    assert reason is not None
    assert (str(value) if isinstance(value, str) else name) in reason
    assert why_not(Config(method="erm")) is None


@pytest.mark.parametrize(("argv", "parts"), BAD, ids=lambda value: " ".join(value)[:30])
def test_bad_input_leaves_nothing(
    tmp_path: Path, capsys: Capture, argv: list[str], parts: list[str]
) -> None:
    message = fails(
        capsys, "--method", "erm", "--seeds", "2", "--out", str(tmp_path / "run"), *argv
    )
    for part in parts:
        assert part in message
    assert list(tmp_path.iterdir()) == []


def test_a_run_of_several_seeds_is_not_resumed_or_overwritten(
    tmp_path: Path, capsys: Capture
) -> None:
    out = tmp_path / "run"
    run(out, *SMALL, "--seeds", "2", "--epochs", "1")
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    assert train.main(["--resume", str(out)]) == 2
    message = capsys.readouterr().err
    assert "several seeds" in message
    assert message.count("\n") == 1
    assert "exists already" in fails(capsys, *SMALL, "--seeds", "2", "--out", str(out))
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before


def test_seeds_count_from_one(tmp_path: Path, capsys: Capture) -> None:
    assert "--seeds" in fails(capsys, "--seeds", "0", "--out", str(tmp_path / "run"))
    run(tmp_path / "one", *SMALL, "--seeds", "1", "--epochs", "1")  # an ordinary run
    assert (tmp_path / "one" / "last.pt").exists()
