"""After its head the whole network of photos is trained, as if it had always been one."""

import functools
import json
import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from commands import outcome
from PIL import Image
from torch import nn

import mwnet
import train
from mwnet.__main__ import main
from mwnet.builders.experiment import Experiment, build
from mwnet.builders.whole import Whole, unfrozen
from mwnet.config.checks import validate
from mwnet.core.errors import UserError
from mwnet.data import photo_networks, photo_pixels
from mwnet.data.images import fitted, square
from mwnet.methods import METHODS
from mwnet.methods.base import predict
from mwnet.runs.run import finished
from mwnet.training.loop import steps

SIDE = 12


class Scale(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.float() / 128 - 1


def small(_side: int, _download: bool) -> photo_networks.Network:
    """A pretrained network of one layer, with a batch norm that has statistics."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        norm = nn.BatchNorm2d(6)
        layers = (Scale(), nn.Conv2d(3, 6, 3, stride=2), norm, nn.ReLU6(inplace=True))
        module = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())
        with torch.no_grad():
            module(torch.randint(0, 256, (64, 3, SIDE, SIDE)))
    module = module.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    see = functools.partial(square, side=SIDE)
    return photo_networks.Network(module.eval().requires_grad_(False), see, SIDE)


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Twenty photos of two classes, and that network in the place of the default one."""
    monkeypatch.setenv("MWNET_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(photo_networks, "_lite", small)
    rng = np.random.default_rng(0)
    for number in range(20):
        place = tmp_path / "photos" / ("dark", "light")[number % 2]
        place.mkdir(parents=True, exist_ok=True)
        x = rng.integers(0, 180, (SIDE, SIDE, 3)) + 60 * (number % 2)
        Image.fromarray(x.astype(np.uint8)).save(place / f"{number}.png")
    return tmp_path / "photos"


def flags(photos: Path, *more: str) -> list[str]:
    few = ["--epochs", "2", "--unfreeze", "2", "--unfreeze-lr", "0.01", "--batch-size", "6"]
    model = ["--model", "mlp2", "--model.width", "8", "--meta-size", "4", "--device", "cpu"]
    quiet = ["--no-tensorboard", "--no-figures", "--threads", "1"]
    return ["--data", str(photos), "--method", "mwnet", *few, *model, *quiet, *more]


def lines(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]


def experiment(photos: Path, method: str, **changes: Any) -> Experiment:
    meta_noisy = METHODS[method].meta == "any"
    return build(
        validate(
            {
                **{"dataset": "folder", "data": photos, "method": method, "unfreeze": 1},
                **{"epochs": 2, "batch_size": 6, "meta_size": 4, "model_options": {"width": 8}},
                **{"meta_noisy": meta_noisy, "device": "cpu", **changes},
            }
        )
    )


def drive(of: Experiment, start: int, stop: int) -> None:
    for _ in steps(of.method.train(), of.train, of.meta, start=start, stop=stop):
        pass


def test_a_run_in_two_parts(photos: Path, tmp_path: Path, capsys: Any) -> None:
    out = tmp_path / "run"
    assert train.main(flags(photos, "--out", str(out))) == 0
    printed = capsys.readouterr().out
    assert "the whole network from here on" in printed
    assert "epoch 4/4 whole" in printed
    found = lines(out)
    assert [line["phase"] for line in found] == ["head", "head", "whole", "whole"]
    assert [line["epoch"] for line in found] == [1, 2, 3, 4]
    assert len({line["step"] for line in found}) == 4
    summary = json.loads((out / "summary.json").read_text())
    assert summary["phases"] == {"head": 2, "whole": 2}
    assert summary["engine"] == "ghost"
    assert summary["test_accuracy"]["last"] == found[-1]["test_accuracy"]
    whole = finished(out).method.network
    assert isinstance(whole, Whole)
    assert not whole.train().backbone.training
    before = small(SIDE, False).module.state_dict()
    after = whole.backbone.state_dict()
    for name in before:
        still = any(part in name for part in ("running", "tracked"))
        assert torch.equal(before[name], after[name]) == still, name


def test_the_head_is_that_of_a_run_without(photos: Path, tmp_path: Path) -> None:
    for name, more in (("with", []), ("without", ["--unfreeze", "0"])):
        assert train.main(flags(photos, "--out", str(tmp_path / name), *more)) == 0
    one, other = lines(tmp_path / "with")[:2], lines(tmp_path / "without")
    assert [{**line, "phase": "head"} for line in other] == one
    assert all("phase" not in line for line in other)


# Photos in folders have no clean labels, which the others need.
ABLE = [name for name, entry in METHODS.items() if entry.meta != "clean" and not entry.stays_frozen]


@pytest.mark.parametrize("method", ABLE)
def test_every_method_goes_on_from_its_head(photos: Path, method: str) -> None:
    head = experiment(photos, method)
    drive(head, 0, head.frozen_steps)
    whole = unfrozen(head)
    ids = torch.arange(20)
    before, after = (predict(each.method, each.data.pixels, ids) for each in (head, whole))
    assert after.std() > 0
    torch.testing.assert_close(after, before, rtol=1e-4, atol=1e-4)
    one, two = (each.score(ids) for each in (head, whole))
    np.testing.assert_allclose(two.weight, one.weight, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(two.quality, one.quality, rtol=1e-3, atol=1e-4)
    drive(whole, head.frozen_steps, head.frozen_steps + 2)
    assert not torch.equal(predict(whole.method, whole.data.pixels, ids), after)
    batch, same = head.train[head.frozen_steps], whole.train[head.frozen_steps]
    assert torch.equal(batch.index, same.index)
    assert torch.equal(batch.y, same.y)
    assert same.x.shape == (len(batch.y), 3, SIDE, SIDE)


def test_both_engines_give_the_same(photos: Path) -> None:
    weights = []
    for engine in ("forward", "higher"):
        head = experiment(photos, "mwnet", engine=engine)
        drive(head, 0, head.frozen_steps)
        whole = unfrozen(head)
        drive(whole, head.frozen_steps, head.frozen_steps + 2)
        weights.append([p.detach() for p in whole.method.parameters()])
    for one, other in zip(*weights, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("stop", [3, 6])
def test_a_signal_in_either_part_and_resume(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop: int
) -> None:
    assert train.main(flags(photos, "--out", str(tmp_path / "whole"))) == 0
    taken = 0

    def step(self: Any, *batches: Any, original: Any = METHODS["mwnet"].step) -> Any:
        nonlocal taken
        taken += 1
        if taken == stop:
            os.kill(os.getpid(), signal.SIGINT)
        return original(self, *batches)

    with monkeypatch.context() as patch:
        patch.setattr(METHODS["mwnet"], "step", step)
        assert train.main(flags(photos, "--out", str(tmp_path / "cut"))) == 130
    assert taken == stop
    assert main(["resume", str(tmp_path / "cut"), "--threads", "1"]) == 0
    assert outcome(tmp_path / "cut") == outcome(tmp_path / "whole")
    assert main(["resume", str(tmp_path / "cut"), "--threads", "1"]) == 0
    assert outcome(tmp_path / "cut") == outcome(tmp_path / "whole")


def test_a_finished_head_is_unfrozen_by_resume(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train.main(flags(photos, "--out", str(tmp_path / "whole"))) == 0
    out = tmp_path / "later"
    assert train.main(flags(photos, "--out", str(out), "--unfreeze", "0")) == 0
    assert main(["resume", str(out), "--unfreeze", "2"]) == 0
    assert outcome(out) == outcome(tmp_path / "whole")
    assert isinstance(finished(out).method.network, Whole)
    assert main(["resume", str(out), "--unfreeze", "1"]) == 2
    assert "--unfreeze 2, which can only grow, got 1" in capsys.readouterr().err
    assert outcome(out) == outcome(tmp_path / "whole")


def test_predict_load_and_export(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    assert train.main(flags(photos, "--out", str(out))) == 0
    run = mwnet.load(out)
    wanted = np.load(out / "pred_probs.npy")
    order = [line.split(",")[0] for line in (out / "label_quality.csv").read_text().splitlines()]
    got = run.predict_proba([photos / name for name in order[1:]])
    np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-5)
    assert set(run.label_issues.index) == set(order[1:])
    x = np.stack([fitted(SIDE)(photos / name) for name in order[1:]])
    np.testing.assert_allclose(run.predict_proba(x), wanted, rtol=1e-4, atol=1e-5)
    table = tmp_path / "new.csv"
    assert main(["predict", str(out), "--data", str(photos), "--out", str(table)]) == 0
    assert len(table.read_text().splitlines()) == 21


def test_export(photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    out = tmp_path / "run"
    assert train.main(flags(photos, "--out", str(out), "--method", "erm")) == 0
    assert main(["predict", str(out), "--export", "onnx"]) == 0
    assert float(capsys.readouterr().out.split()[-3]) < 1e-5


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--features", "none"], "no features of one"),
        (["--features", "{own}"], "no features of one"),
        (["--method", "d2l"], "goes back to earlier weights"),
        (["--method", "cross-fit", "--meta-size", "0"], "trains ten networks"),
    ],
)
def test_refusals(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], more: list[str], message: str
) -> None:
    own = tmp_path / "own.npy"
    np.save(own, np.zeros((20, 3), dtype=np.float32))
    more = [one.format(own=own) for one in more]
    assert train.main(flags(photos, "--out", str(tmp_path / "no"), *more)) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "no").exists()


def test_with_seeds_each_is_a_run_of_its_own(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "many"
    assert train.main(flags(photos, "--out", str(out), "--method", "erm", "--seeds", "2")) == 0
    assert json.loads((out / "summary.json").read_text())["way"] == "a run of each"
    for seed in "01":
        assert lines(out / f"seed-{seed}")[-1]["epoch"] == 4


def test_other_data_is_refused() -> None:
    with pytest.raises(UserError, match="`unfreeze` trains the network that photos"):
        build(validate({"dataset": "digits", "unfreeze": 1}))


def test_many_pixels_lie_in_a_file(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = sorted(photos.rglob("*.png"))
    held = photo_pixels.photo_pixels(files, fitted(SIDE))
    assert held.shape == (20, 3, SIDE, SIDE)
    monkeypatch.setattr(photo_pixels, "IN_MEMORY", 0)
    assert torch.equal(photo_pixels.photo_pixels(files, fitted(SIDE), workers=2), held)
    monkeypatch.setattr(photo_pixels, "IN_MEMORY", -1)
    monkeypatch.setattr(os, "posix_fallocate", lambda *_: (_ for _ in ()).throw(OSError("full")))
    with pytest.raises(UserError, match=r"no room for .* set TMPDIR"):
        photo_pixels.photo_pixels(files, fitted(SIDE))
