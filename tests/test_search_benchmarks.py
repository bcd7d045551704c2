"""The measurements of the search: many networks at once, and losses trained to the end."""

import json
import math
import statistics
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from commands import ROOT
from searches import THETA

from benchmarks import population, robust_losses
from mwnet.core.errors import UserError
from mwnet.losses.loss_file import TaylorLoss, write_loss
from mwnet.losses.taylor import CROSS_ENTROPY
from mwnet.methods.stacks import GROUP
from mwnet.models import MODELS

Capture = pytest.CaptureFixture[str]
CPU = torch.device("cpu")

# --- many networks at once


@pytest.mark.parametrize(
    ("model", "side", "members", "way"),
    [("mlp2", 4, 3, "perceptron"), ("mlp2", 4, 18, "perceptron"), ("cnn4", 16, 2, "looped")],
)
def test_a_measurement_of_tiny_sizes(model: str, side: int, members: int, way: str) -> None:
    """Also of fewer members than a group has, and of a group and a bit."""
    result = population.measure(model, side, 5, members, 1, 2, CPU)
    others = {"mapped", "looped", "one after another", way}
    if way == "perceptron":
        others.add("perceptron, bfloat16")
    assert result["ms"].keys() == others
    assert all(math.isfinite(value) and value > 0 for value in result["ms"].values())
    assert (result["members"], result["way"]) == (members, way)
    assert result[f"speedup_{members}"] == result["ms"]["one after another"] / result["ms"][way]
    assert result["largest_difference_of_a_parameter"] < 1e-4


@pytest.mark.parametrize("members", [2, 16, 18])
def test_groups_hold_every_member_once(members: int) -> None:
    networks = [
        MODELS["mlp2"](num_classes=10, in_channels=1, image_size=4, width=3) for _ in range(members)
    ]
    for kind in ("perceptron", "mapped", "looped"):
        built = population.groups(networks, kind, [CROSS_ENTROPY] * members, CPU)
        sizes = [group.stack.size for group in built]
        assert sum(sizes) == members
        assert max(sizes) == min(GROUP[kind], members)
        states = [group.stack.state(k) for group in built for k in range(group.stack.size)]
        for network, state in zip(networks, states, strict=True):
            torch.testing.assert_close(dict(network.state_dict()), state, rtol=0, atol=0)


# --- losses trained to the end

TRAINING = [
    "--config", str(ROOT / "configs" / "search" / "digits.yaml"), "--epochs", "2",
    "--model.width", "8", "--amp", "off", "--device", "cpu", "--threads", "1",
]  # fmt: skip
FEW = ["--seeds", "1", "--workers", "1", "--every", "1", "--samples", "200"]


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    path = tmp_path / "my_loss.yaml"
    write_loss(path, TaylorLoss(THETA, 1.0), {})
    return path


def run(out: Path, losses: str, *argv: str) -> dict[str, Any]:
    own = ["run", losses, *FEW, "--json", str(out), *argv]
    robust_losses.main([*own, "--", *TRAINING])
    return json.loads(out.read_text())


def test_losses_are_trained_to_the_end_and_tabled(
    tmp_path: Path, capsys: Capture, mine: Path
) -> None:
    picture = tmp_path / "curves.png"
    result = run(tmp_path / "r.json", f"ce,mae,{mine}", "--seeds", "2", "--figure", str(picture))
    assert list(result["losses"]) == ["ce", "mae", "my_loss"]
    assert (result["task"], result["noise"]) == ("digits/mlp2", "symmetric 0.8")
    assert (result["samples"], result["epochs"], result["precision"]) == (200, [1, 2], "off")
    printed = capsys.readouterr().out.splitlines()
    for name, curves in result["losses"].items():
        assert [len(curve) for curve in curves] == [2, 2]
        assert curves[0] != curves[1]
        assert all(0 <= value * 360 == pytest.approx(round(value * 360)) for value in curves[0])
        at_last = statistics.fmean(curve[-1] for curve in curves)
        (row,) = [line for line in printed if line.startswith(f"| {name} |")]
        assert f"| {100 * at_last:.2f} ± " in row
    rows = [line.split("|")[2] for line in printed if line.startswith("| ")][1:]
    assert rows == sorted(rows, reverse=True, key=lambda cell: float(cell.split()[0]))
    assert picture.stat().st_size > 1000
    # A loss is the same whatever it is trained together with.
    alone = run(tmp_path / "alone.json", f"{mine}", "--seeds", "2", "--in-job", "1")
    assert alone["losses"]["my_loss"] == result["losses"]["my_loss"]


def test_every_few_epochs_and_the_last_are_measured(tmp_path: Path) -> None:
    own = ["run", "ce", *FEW, "--every", "2", "--json", str(tmp_path / "r.json")]
    robust_losses.main([*own, "--", *TRAINING, "--epochs", "5"])
    result = json.loads((tmp_path / "r.json").read_text())
    assert result["epochs"] == [2, 4, 5]
    assert len(result["losses"]["ce"][0]) == 3


def test_without_samples_all_are_trained_on(tmp_path: Path) -> None:
    robust_losses.main(
        ["run", "ce", *FEW[:-2], "--json", str(tmp_path / "r.json"), "--", *TRAINING]
    )
    assert json.loads((tmp_path / "r.json").read_text())["samples"] is None


@pytest.mark.parametrize(
    ("losses", "part"),
    [
        ("ce,maee", "did you mean mae?"),
        ("elr", "elr"),
        ("taylor", "taylor"),
        ("no.yaml", "no.yaml"),
    ],
)
def test_an_unknown_loss_is_one_sentence(tmp_path: Path, losses: str, part: str) -> None:
    with pytest.raises(ValueError, match=part.replace("?", ".")):
        run(tmp_path / "r.json", losses)
    assert not (tmp_path / "r.json").exists()


def test_files_of_the_same_name_keep_both_curves(tmp_path: Path) -> None:
    paths = [tmp_path / name / "taylor.yaml" for name in ("a", "b")]
    for path, theta in zip(paths, (THETA, CROSS_ENTROPY), strict=True):
        path.parent.mkdir()
        write_loss(path, TaylorLoss(theta, 5.0), {})
    result = run(tmp_path / "r.json", f"ce,{paths[0]},{paths[1]}")
    assert list(result["losses"]) == ["ce", *map(str, paths)]
    assert result["losses"][str(paths[0])] != result["losses"][str(paths[1])]


def planted(task: str, losses: dict[str, list[list[float] | None]]) -> dict[str, Any]:
    return {
        "task": task,
        "noise": "symmetric 0.8",
        "on": "test",
        "samples": 9,
        "epochs": [1, 2],
        "losses": losses,
    }


def test_a_training_that_failed_is_zero_and_last() -> None:
    result = planted("a/b", {"ce": [[0.9, 0.8], None], "mae": [[0.1, 0.2], [0.4, 0.3]]})
    assert robust_losses.last(result) == {"ce": [0.0], "mae": [0.2, 0.3]}
    table = robust_losses.table(result)
    assert "| ce | 0.00 | failed |" in table
    assert "| mae | 25.00 ± 7.07 | 25.00 (1) |" in table
    assert table.index("| mae |") < table.index("| ce |")


def test_ranks_are_averaged_over_tasks(tmp_path: Path, capsys: Capture) -> None:
    """Of the losses that every file has; equal ones share their ranks."""
    one = {"ce": [[0.9, 0.2]], "mae": [[0.1, 0.4]], "gce": [[0.1, 0.3]]}
    two = {"mae": [[0, 0.5]], "gce": [[0, 0.5]], "ce": [[0, 0.1]], "nce": [[0, 1]]}
    paths = [tmp_path / f"{k}.json" for k in range(2)]
    paths[0].write_text(json.dumps(planted("one/mlp2", one)))
    paths[1].write_text(json.dumps(planted("two/cnn4", two)))
    robust_losses.main(["ranks", *map(str, paths)])
    assert capsys.readouterr().out.splitlines() == [
        "| loss | one/mlp2, symmetric 0.8 | two/cnn4, symmetric 0.8 | average rank |",
        "|---|---|---|---|",
        "| mae | 40.00 | 50.00 | 1.25 |",
        "| gce | 30.00 | 50.00 | 1.75 |",
        "| ce | 20.00 | 10.00 | 3.00 |",
    ]
    paths[1].write_text(json.dumps(planted("two/cnn4", {"nce": [[1, 1]]})))
    with pytest.raises(UserError, match="no loss in common"):
        robust_losses.main(["ranks", *map(str, paths)])


def test_the_shipped_losses_are_ranked_from_a_real_run(tmp_path: Path, capsys: Capture) -> None:
    shipped = sorted((ROOT / "configs" / "losses").glob("*.yaml"))
    assert all(yaml.safe_load(path.read_text())["theta"] for path in shipped)
    for k in range(2):
        run(tmp_path / f"{k}.json", ",".join(["ce", *map(str, shipped)]))
    capsys.readouterr()
    robust_losses.main(["ranks", str(tmp_path / "0.json"), str(tmp_path / "1.json")])
    table = capsys.readouterr().out.splitlines()
    assert len(table) == 2 + 1 + len(shipped)
