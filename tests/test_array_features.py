"""Images in arrays through a frozen network: as photos with the same pixels, computed once."""

import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import mwnet
from mwnet.core.errors import UserError
from mwnet.core.progress import bar
from mwnet.data import array_features, efficientnet_lite, photo_networks
from mwnet.data.images import square
from mwnet.data.load import load
from mwnet.data.photo_features import photo_features
from train import main

needs_weights = pytest.mark.skipif(
    efficientnet_lite.weights_file() is None, reason="mwnet[photos] is not installed"
)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MWNET_CACHE", str(tmp_path / "cache"))


def images(count: int, channels: int = 3) -> torch.Tensor:
    rng = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (count, channels, 9, 8), dtype=torch.uint8, generator=rng)


class Mean(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.float().mean((2, 3))


class Counted:
    """A small network in the place of a pretrained one; counts what it sees."""

    def __init__(self) -> None:
        self.seen, self.stop_after = 0, 10**9

    def load(self, download: bool) -> photo_networks.Network:
        return photo_networks.Network(Mean(), self.see, 4)

    def see(self, image: Image.Image) -> np.ndarray:
        self.seen += 1
        if self.seen > self.stop_after:
            raise KeyboardInterrupt
        return square(image, 4)


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Counted:
    network = Counted()
    found = photo_networks.Extractor("small", network.load)
    monkeypatch.setattr(array_features, "find_extractor", lambda name: found)
    return network


def test_each_content_is_seen_once(counted: Counted) -> None:
    x = torch.cat([images(6), images(2)])
    first = array_features.array_features(x, "small")
    assert first.shape == (8, 3)
    assert first.dtype == np.float32
    assert np.array_equal(first[:2], first[6:])
    assert counted.seen == 6
    assert np.array_equal(array_features.array_features(x.flip(0), "small"), first[::-1])
    assert counted.seen == 6
    # The same bytes in another shape are another image.
    array_features.array_features(x.transpose(2, 3).contiguous(), "small")
    assert counted.seen == 12


def test_an_interrupted_computation_goes_on(
    counted: Counted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(array_features, "KEEP", 16)
    counted.stop_after = 40
    with pytest.raises(KeyboardInterrupt):
        array_features.array_features(images(64), "small")
    counted.seen, counted.stop_after = 0, 10**9
    array_features.array_features(images(64), "small")
    assert counted.seen == 64 - 32


@pytest.mark.parametrize(
    ("x", "word"),
    [
        (images(2).float(), "float32"),
        (images(2, 2), r"\(2, 9, 8\)"),
        (torch.zeros(3, 1, 1, 1, dtype=torch.uint8), r"\(1, 1, 1\)"),
    ],
)
def test_what_is_no_image_is_refused(counted: Counted, x: torch.Tensor, word: str) -> None:
    with pytest.raises(UserError, match=f"needs images as bytes.*{word}"):
        array_features.array_features(x, "small")
    assert counted.seen == 0


@pytest.mark.parametrize("side", ["", "31", "1025", "x", "²", "9" * 30])
def test_a_side_that_cannot_be(side: str) -> None:
    with pytest.raises(UserError, match=r"from 32 to 1024 behind the @, as in .*@96"):
        photo_networks.find_extractor(f"efficientnet-lite0@{side}")


@needs_weights
def test_an_image_has_the_features_of_a_photo_with_its_pixels(tmp_path: Path) -> None:
    coarse = Image.fromarray(images(1)[0].permute(1, 2, 0).numpy())
    picture = coarse.resize((32, 32), Image.Resampling.BICUBIC)
    picture.save(tmp_path / "a.png")
    x = torch.from_numpy(np.asarray(picture).copy()).permute(2, 0, 1)[None]
    for name in ("efficientnet-lite0@64", "efficientnet-lite0"):
        ours = array_features.array_features(x, name)
        theirs = photo_features([tmp_path / "a.png"], name)
        assert ours.shape == (1, 1280)
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)
    small = array_features.array_features(x, "efficientnet-lite0@64")
    assert not np.allclose(small, ours, atol=1e-2)


@needs_weights
def test_a_run_on_images_predicts_images(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    y = np.arange(40) % 2
    x = (rng.integers(0, 120, (40, 32, 32, 3)) + 120 * y[:, None, None, None]).astype(np.uint8)
    np.savez(tmp_path / "i.npz", x=x, y=y)
    argv = ["--data", str(tmp_path / "i.npz"), "--features", "efficientnet-lite0@32"]
    argv += ["--method", "erm", "--epochs", "8", "--out", str(tmp_path / "run")]
    assert main([*argv, "--no-figures", "--no-tensorboard", "--device", "cpu"]) == 0
    run = mwnet.load(tmp_path / "run")
    assert '"model": "tabm"' in (tmp_path / "run" / "model.json").read_text()
    probabilities = run.predict_proba(x)
    features = array_features.array_features(
        torch.from_numpy(x).permute(0, 3, 1, 2).contiguous(), "efficientnet-lite0@32"
    )
    np.testing.assert_allclose(run.predict_proba(features), probabilities, atol=1e-6)


def test_features_of_images_are_not_for_rows_of_numbers(tmp_path: Path) -> None:
    np.savez(
        tmp_path / "t.npz", x=np.random.default_rng(0).normal(size=(40, 3)), y=np.arange(40) % 2
    )
    with pytest.raises(UserError, match="is for images, and this data has 3 numbers a sample"):
        load("arrays", path=tmp_path / "t.npz", features="efficientnet-lite0@96")
    with pytest.raises(UserError, match="does not fit data of the kind arrays"):
        load("arrays", path=tmp_path / "t.npz", features="tfidf")


def test_a_bar_in_a_log_has_few_states(capsys: pytest.CaptureFixture[str]) -> None:
    with bar(1000, 0, "image", shown=True) as counted:
        for _ in range(1000):
            counted.update()
            time.sleep(0.0005)
    assert capsys.readouterr().err.count("image/s") < 3
