"""Every architecture: parameter counts, shapes, refusals; that it learns; torchvision's by name."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from mwnet import models
from mwnet.models import MODELS, find


@pytest.mark.parametrize(
    ("name", "classes", "channels", "size", "count"),
    [
        ("mlp2", 10, 1, 28, 203_530),
        ("mlp3", 10, 1, 28, 269_322),
        ("tabm", 10, 100, 1, 42_314),
        ("cnn4", 10, 1, 28, 1_111_946),
        ("cnn4", 10, 3, 32, 1_703_370),
        ("jocor-net", 10, 3, 32, 835_610),
        ("jocor-net", 100, 3, 32, 853_340),
        ("jocor-repo", 10, 3, 32, 518_150),
        ("jocor-repo", 100, 3, 32, 541_280),
        ("cnn9", 10, 3, 32, 4_434_570),
        ("cnn9", 100, 3, 32, 4_446_180),
        ("vgg11", 10, 3, 32, 9_231_114),
        ("vgg11", 100, 3, 32, 9_277_284),
        ("vgg11", 10, 3, 64, 9_231_114),
        ("resnet18", 10, 3, 32, 11_173_962),
        ("resnet18", 100, 3, 32, 11_220_132),
        ("preact-resnet18", 10, 3, 32, 11_172_170),
        ("preact-resnet18", 100, 3, 32, 11_218_340),
        ("resnet32", 10, 3, 32, 464_154),
        ("resnet32", 100, 3, 32, 470_004),
        ("wrn-28-10", 10, 3, 32, 36_479_194),
        ("wrn-28-10", 100, 3, 32, 36_536_884),
        ("torchvision:resnet18", 10, 3, 32, 11_181_642),
        ("torchvision:resnet18", 100, 3, 32, 11_227_812),
        ("torchvision:resnet18", 14, 3, 224, 11_183_694),  # Clothing1M
    ],
)
def test_parameter_counts(name: str, classes: int, channels: int, size: int, count: int) -> None:
    with torch.device("meta"):
        model = find(name)(num_classes=classes, in_channels=channels, image_size=size)
    assert sum(p.numel() for p in model.parameters()) == count


# The smallest side each entry takes, and options that make it as small as its kind can be.
SMALLEST = {
    "mlp2": 1,
    "mlp3": 1,
    "tabm": 1,
    "cnn4": 16,
    "cnn9": 28,
    "jocor-net": 4,
    "jocor-repo": 8,
    "vgg11": 32,
    "resnet32": 4,
    "resnet18": 8,
    "preact-resnet18": 8,
    "wrn-28-10": 4,
    "wrn-16-4": 4,
}
SMALL: dict[str, dict[str, Any]] = {
    "cnn4": {"width": 32},
    "cnn9": {"width": 8, "dropout": 0.0},
    "vgg11": {"width": 8},
    "resnet32": {"depth": 8},
    "resnet18": {"width": 8},
    "preact-resnet18": {"width": 8},
    "wrn-28-10": {"depth": 10, "width": 1},
    "wrn-16-4": {"depth": 10, "width": 2},
}


def shapes() -> Iterator[tuple[str, int, int | tuple[int, int]]]:
    for name in MODELS:
        least = SMALLEST[name]
        yield name, 1, least
        yield name, 2, (least, least + 5)
        yield name, 3, 32
        if least <= 28:
            yield name, 1, 28


@pytest.mark.parametrize(("name", "channels", "size"), list(shapes()))
def test_shapes(name: str, channels: int, size: int | tuple[int, int]) -> None:
    model = MODELS[name](
        num_classes=7, in_channels=channels, image_size=size, **SMALL.get(name, {})
    )
    height, width = (size, size) if isinstance(size, int) else size
    assert model(torch.randn(2, channels, height, width)).shape == (2, 7)


@pytest.mark.parametrize("name", sorted(MODELS))
def test_it_overfits_64_samples(name: str) -> None:
    """Random images with arbitrary labels are all known, in evaluation, after a few steps."""
    torch.manual_seed(0)
    side = max(SMALLEST[name], 8)
    model = MODELS[name](num_classes=4, in_channels=3, image_size=side, **SMALL.get(name, {}))
    x, labels = torch.randn(64, 3, side, side), torch.arange(64) % 4
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    right = 0.0
    for _ in range(15):
        model.train()
        for _ in range(5):
            optimizer.zero_grad()
            F.cross_entropy(model(x), labels).backward()
            optimizer.step()
        with torch.no_grad():
            right = (model.eval()(x).argmax(1) == labels).float().mean().item()
        if right == 1:
            return
    pytest.fail(f"only {right:.0%} of the samples are known")


@pytest.mark.parametrize("name", ["mlp2", "mlp3", "tabm"])
def test_features_are_images_of_one_pixel(name: str) -> None:
    model = MODELS[name](num_classes=3, in_channels=5, image_size=1)
    assert model(torch.randn(2, 5, 1, 1)).shape == (2, 3)


def test_option_a_shortcut_pads_new_channels_with_zeros() -> None:
    from mwnet.models.resnet import BasicBlock

    block = BasicBlock(2, 4, 2).eval()
    torch.nn.init.zeros_(block.bn2.weight)
    x = torch.rand(1, 2, 4, 4)
    out = block(x)
    assert torch.equal(out[:, 1:3], x[:, :, ::2, ::2])
    assert not out[:, [0, 3]].any()


def test_the_projection_shortcut_is_there_only_where_the_shape_changes() -> None:
    from mwnet.models.resnet18 import ProjectionBlock

    for channels, stride in ((2, 1), (4, 1), (2, 2)):
        block = ProjectionBlock(2, channels, stride).eval()
        torch.nn.init.zeros_(block.bn2.weight)
        x = torch.rand(1, 2, 4, 4)
        same = channels == 2 and stride == 1
        assert len(block.shortcut) == (0 if same else 2)
        assert torch.equal(block(x), x if same else block.shortcut(x).relu())


def test_dropout_is_active_in_training_only() -> None:
    for name, side in (("wrn-28-10", 8), ("cnn9", 28)):
        model = MODELS[name](num_classes=2, **(SMALL[name] | {"dropout": 0.5}))
        x = torch.randn(4, 3, side, side)
        assert not torch.equal(model(x), model(x))
        model.eval()
        assert torch.equal(model(x), model(x))


def test_the_nine_layer_net_has_the_slopes_and_the_dropout_of_its_table() -> None:
    with torch.device("meta"):
        layers = list(MODELS["cnn9"](num_classes=10))
    assert [m.negative_slope for m in layers if isinstance(m, nn.LeakyReLU)] == [0.01] * 9
    assert [m.p for m in layers if isinstance(m, nn.Dropout2d)] == [0.25] * 2
    padding = [m.padding for m in layers if isinstance(m, nn.Conv2d)]
    assert padding == [(1, 1)] * 6 + [(0, 0)] * 3


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("resnet32", {"depth": 9}),
        ("resnet32", {"width": 0}),
        ("wrn-28-10", {"depth": 11}),
        ("wrn-28-10", {"width": 0}),
        ("wrn-28-10", {"dropout": 1.0}),
        ("mlp2", {"depth": 0}),
        ("tabm", {"members": 0}),
        ("tabm", {"width": 0}),
        ("tabm", {"depth": 1}),
        ("tabm", {"dropout": 1.0}),
        ("tabm", {"spread": -0.1}),
        ("cnn4", {"width": 0}),
        ("cnn9", {"width": 0}),
        ("cnn9", {"dropout": 1.0}),
        ("vgg11", {"width": 0}),
        ("resnet18", {"width": 0}),
        ("preact-resnet18", {"width": 0}),
    ],
)
def test_impossible_dimensions_are_refused(name: str, options: dict) -> None:
    with pytest.raises(ValueError, match="got"):
        MODELS[name](num_classes=10, **options)


@pytest.mark.parametrize("name", [name for name, least in SMALLEST.items() if least > 1])
def test_images_too_small_are_refused(name: str) -> None:
    least = SMALLEST[name]
    message = f"at least {least}x{least} pixels, got {least}x{least - 1}"
    with pytest.raises(ValueError, match=message):
        MODELS[name](num_classes=10, image_size=(least, least - 1))


def test_find_knows_every_entry_and_the_nearest_of_an_unknown_name() -> None:
    for name, builder in MODELS.items():
        assert find(name) is builder
    with pytest.raises(ValueError, match=r"'resnet23' \(did you mean resnet32\? known: .*cnn4"):
        find("resnet23")
    with pytest.raises(ValueError, match=r"'torchvision:resnet81' \(did you mean torchvision:re"):
        find("torchvision:resnet81")
    with pytest.raises(ValueError, match="'torchvision:maskrcnn_resnet50_fpn'"):  # no classifier
        find("torchvision:maskrcnn_resnet50_fpn")


def test_the_package_imports_nothing_of_mwnet() -> None:
    for path in Path(models.__file__).parent.glob("*.py"):
        assert not re.search(r"^\s*(from|import) mwnet", path.read_text(), re.MULTILINE), path
