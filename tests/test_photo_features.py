"""Features of pretrained networks: right, the same however they are computed, computed once."""

import shutil
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from shared import SHARED, needs
from torch import nn

from mwnet.core.errors import UserError
from mwnet.data import decoding, efficientnet_lite, photo_features, photo_networks
from mwnet.data.images import class_folders, square
from mwnet.models.torchvision_import import torchvision

features_of = photo_features.photo_features

PHOTOS = SHARED / "data" / "own" / "photos" / "hymenoptera.zip"

no_weights = efficientnet_lite.weights_file() is None
needs_weights = pytest.mark.skipif(no_weights, reason="mwnet[photos] is not installed")


@pytest.fixture(autouse=True)
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Caches and weights of these tests only."""
    monkeypatch.setenv("MWNET_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))


def photos(folder: Path, count: int) -> list[Path]:
    """Smooth pictures of many sizes, each of its own colours."""
    folder.mkdir(exist_ok=True)
    generator = np.random.default_rng(0)
    files = []
    for number in range(count):
        coarse = Image.fromarray(generator.integers(0, 256, (4, 5, 3), dtype=np.uint8))
        files.append(folder / f"{number}.png")
        coarse.resize((240 + number, 230), Image.Resampling.BICUBIC).save(files[-1])
    return files


class Counted:
    """A small network in the place of a pretrained one; knows what it was asked to load."""

    def __init__(self) -> None:
        self.loads, self.reads = 0, 0

    def load(self, download: bool) -> photo_networks.Network:
        self.loads += 1

        def counted(image: Image.Image) -> np.ndarray:
            self.reads += 1
            return square(image, 8)

        class Mean(nn.Module):
            def forward(self, x: torch.Tensor) -> torch.Tensor:
                return x.float().mean((2, 3))

        return photo_networks.Network(Mean(), counted, 8)


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Counted:
    network = Counted()
    monkeypatch.setattr(
        photo_features,
        "find_extractor",
        lambda name: photo_networks.Extractor(name, network.load),
    )
    return network


def test_a_second_run_computes_nothing(tmp_path: Path, counted: Counted) -> None:
    files = photos(tmp_path / "a", 5)
    files.append(tmp_path / "a" / "again.png")
    shutil.copy(files[0], files[-1])
    first = features_of(files, "x")
    assert first.shape == (6, 3)
    assert first.dtype == np.float32
    assert np.array_equal(first[0], first[5])
    assert (counted.loads, counted.reads) == (1, 5)
    moved = [file.rename(tmp_path / f"moved{n}.png") for n, file in enumerate(files)]
    assert np.array_equal(features_of(moved[::-1], "x"), first[::-1])
    assert (counted.loads, counted.reads) == (1, 5)
    fresh = photos(tmp_path / "b", 6)[5:]
    assert np.array_equal(features_of([*fresh, *moved], "x")[1:], first)
    assert counted.reads == 6
    assert np.array_equal(features_of(moved, "y"), first)
    assert counted.reads == 11


def test_without_a_cache_the_same_comes_out(
    tmp_path: Path, counted: Counted, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = photos(tmp_path / "a", 3)
    first = features_of(files, "x")
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("MWNET_CACHE", str(tmp_path / "file"))
    assert np.array_equal(features_of(files, "x"), first)
    assert counted.reads == 6


def test_what_was_computed_before_a_bad_file_is_kept(
    tmp_path: Path, counted: Counted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(photo_features, "KEEP", 1)
    files = photos(tmp_path / "a", 20)
    files[18].write_bytes(b"x")
    with pytest.raises(UserError, match=r"18\.png is no readable image .*`skip_bad=True`"):
        features_of(files, "x")
    with pytest.raises(UserError, match=r"none\.png is no readable image .*; mend it$"):
        features_of([tmp_path / "none.png"], "x", advice="mend it")
    read = counted.reads
    features_of(files[:16], "x")
    assert counted.reads == read


def test_a_bar_only_if_asked(
    tmp_path: Path, counted: Counted, capfd: pytest.CaptureFixture[str]
) -> None:
    files = photos(tmp_path / "a", 3)
    features_of(files[:2], "x")
    assert capfd.readouterr() == ("", "")
    features_of(files, "x", progress=True)
    out, err = capfd.readouterr()
    assert out == ""
    assert "2/3" in err


@needs_weights
def test_lite_is_the_network_of_its_weights() -> None:
    package = pytest.importorskip("efficientnet_lite_pytorch")
    file = efficientnet_lite.weights_file()
    state = torch.load(str(file), weights_only=True)
    theirs = package.EfficientNet.from_name("efficientnet-lite0")
    theirs.load_state_dict(state)
    before = torch.get_rng_state()
    ours = efficientnet_lite.efficientnet_lite0(state)
    assert torch.equal(before, torch.get_rng_state())
    x = torch.randint(0, 256, (2, 3, 224, 224), dtype=torch.uint8)
    with torch.no_grad():
        wanted = theirs.eval().extract_features((x.float() - 127) / 128).mean((2, 3))
        torch.testing.assert_close(ours(x), wanted, rtol=1e-4, atol=1e-4)
    assert wanted.shape == (2, 1280)
    assert wanted.std() > 0.1


@needs_weights
def test_batches_and_workers_change_rounding_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = photos(tmp_path / "a", 6)
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    found = []
    for batch, workers in ((16, 0), (1, 0), (4, 2)):
        monkeypatch.setattr(decoding, "BATCH", batch)
        monkeypatch.setenv("MWNET_CACHE", str(tmp_path / f"cache{batch}"))
        found.append(features_of(files, workers=workers))
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.get_num_threads() == threads
    assert not torch.is_inference_mode_enabled()
    assert found[0].shape == (6, 1280)
    assert np.abs(found[0] - found[0][0]).max() > 0.5
    for other in found[1:]:
        np.testing.assert_allclose(other, found[0], rtol=1e-4, atol=1e-4)
    again = [*files[::-1]]
    monkeypatch.setenv("MWNET_CACHE", str(tmp_path / "cache-turned"))
    np.testing.assert_allclose(features_of(again), found[0][::-1], rtol=1e-4, atol=1e-4)


def test_a_missing_package_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = photos(tmp_path / "a", 1)
    monkeypatch.setattr(efficientnet_lite, "PACKAGE", "no_such_package")
    monkeypatch.setitem(sys.modules, "timm", None)
    for name in ("efficientnet-lite0", "timm:resnet18"):
        with pytest.raises(UserError, match=r"pip install 'mwnet\[photos\]'$") as raised:
            features_of(files, name)
        assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "resnet18",
            r"unknown extractor 'resnet18' \(known: efficientnet-lite0, .*@SIDE, torch",
        ),
        ("torchvision:", "unknown extractor"),
        ("torchvision:resnet81", "torchvision has no network 'resnet81'.*did you mean resnet"),
    ],
)
def test_unknown_networks(tmp_path: Path, name: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        features_of(photos(tmp_path / "a", 1), name)


def test_torchvision(tmp_path: Path) -> None:
    files = photos(tmp_path / "a", 2)
    name = "torchvision:squeezenet1_1"
    with pytest.raises(UserError, match=r"not at hand .*fetch them with `download=True`"):
        features_of(files, name)
    zoo = torchvision().models
    weights = zoo.get_model_weights("squeezenet1_1").DEFAULT
    place = Path(torch.hub.get_dir()) / "checkpoints"
    assert place.is_relative_to(tmp_path)
    place.mkdir(parents=True)
    file = place / weights.url.rsplit("/", 1)[1]
    file.write_bytes(b"x")
    with pytest.raises(UserError, match=f"the weights of '{name}' cannot be loaded") as raised:
        features_of(files, name)
    assert "\n" not in str(raised.value)
    whole = zoo.get_model("squeezenet1_1", weights=None).eval()
    torch.save(whole.state_dict(), file)
    state = torch.get_rng_state()
    found = features_of(files, name)
    assert torch.equal(state, torch.get_rng_state())
    x = torch.stack([weights.transforms()(Image.open(one)) for one in files])
    with torch.no_grad():
        wanted = whole.features(x).relu().mean((2, 3))
    np.testing.assert_allclose(found, wanted.numpy(), rtol=1e-4, atol=1e-4)


def test_torchvision_takes_the_input_of_the_last_layer(tmp_path: Path) -> None:
    files = photos(tmp_path / "a", 2)
    zoo = torchvision().models
    weights = zoo.get_model_weights("mnasnet0_5").DEFAULT
    place = Path(torch.hub.get_dir()) / "checkpoints"
    place.mkdir(parents=True)
    whole = zoo.get_model("mnasnet0_5", weights=None).eval()
    torch.save(whole.state_dict(), place / weights.url.rsplit("/", 1)[1])
    found = features_of(files, "torchvision:mnasnet0_5")
    x = torch.stack([weights.transforms()(Image.open(one)) for one in files])
    with torch.no_grad():
        wanted = whole(x)
        ours = whole.classifier(torch.from_numpy(found))
    torch.testing.assert_close(ours, wanted, rtol=1e-4, atol=1e-4)


def test_timm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torchvision()
    timm = pytest.importorskip("timm")
    hub = pytest.importorskip("huggingface_hub")
    from safetensors.torch import save_file

    monkeypatch.setattr(hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    files = photos(tmp_path / "a", 2)
    with pytest.raises(UserError, match=r"timm has no pretrained network 'resnet1q'.*did you mean"):
        features_of(files, "timm:resnet1q")
    name = "timm:mobilenetv3_small_050"
    with pytest.raises(UserError, match=r"not at hand .*fetch them with `download=True`"):
        features_of(files, name)
    whole = timm.create_model("mobilenetv3_small_050").eval()
    repository = whole.pretrained_cfg["hf_hub_id"]
    place = tmp_path / "hub" / f"models--{repository.replace('/', '--')}"
    (place / "refs").mkdir(parents=True)
    (place / "refs" / "main").write_text("0" * 40)
    (place / "snapshots" / ("0" * 40)).mkdir(parents=True)
    save_file(whole.state_dict(), place / "snapshots" / ("0" * 40) / "model.safetensors")
    found = features_of(files, name)
    wants = timm.data.resolve_model_data_config(whole)
    transform = timm.data.create_transform(**wants, is_training=False)
    x = torch.stack([transform(Image.open(one)) for one in files])
    with torch.no_grad():
        torch.testing.assert_close(
            whole.classifier(torch.from_numpy(found)), whole(x), rtol=1e-4, atol=1e-4
        )


@needs_weights
@needs(PHOTOS)
def test_features_tell_ants_from_bees(tmp_path: Path) -> None:
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import cross_val_score

    with zipfile.ZipFile(PHOTOS) as archive:
        archive.extractall(tmp_path / "photos")
    tree = class_folders(tmp_path / "photos")
    kept = [*range(0, len(tree.files), 5)]
    x = features_of([tree.files[place] for place in kept])
    y = [tree.labels[place] for place in kept]
    assert set(y) == {"ants", "bees"}
    assert cross_val_score(LogisticRegression(C=0.01, max_iter=1000), x, y, cv=5).mean() > 0.85
