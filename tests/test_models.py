"""Every architecture: parameter counts, shapes, refusals."""

import pytest
import torch

from models import MODELS


@pytest.mark.parametrize(
    ("name", "classes", "channels", "size", "count"),
    [
        ("mlp2", 10, 1, 28, 203_530),
        ("mlp3", 10, 1, 28, 269_322),
        ("resnet32", 10, 3, 32, 464_154),
        ("resnet32", 100, 3, 32, 470_004),
        ("wrn-28-10", 10, 3, 32, 36_479_194),
        ("wrn-28-10", 100, 3, 32, 36_536_884),
    ],
)
def test_parameter_counts(name: str, classes: int, channels: int, size: int, count: int) -> None:
    with torch.device("meta"):
        model = MODELS[name](num_classes=classes, in_channels=channels, image_size=size)
    assert sum(p.numel() for p in model.parameters()) == count


SMALL = {"wrn-28-10": {"depth": 10, "width": 1}, "resnet32": {"depth": 8}}


@pytest.mark.parametrize("name", sorted(MODELS))
@pytest.mark.parametrize(("channels", "size"), [(1, 28), (3, 32), (1, 8), (2, (8, 12))])
def test_shapes(name: str, channels: int, size: int | tuple[int, int]) -> None:
    model = MODELS[name](
        num_classes=7, in_channels=channels, image_size=size, **SMALL.get(name, {})
    )
    height, width = (size, size) if isinstance(size, int) else size
    assert model(torch.randn(2, channels, height, width)).shape == (2, 7)


@pytest.mark.parametrize("name", ["mlp2", "mlp3"])
def test_features_are_images_of_one_pixel(name: str) -> None:
    model = MODELS[name](num_classes=3, in_channels=5, image_size=1)
    assert model(torch.randn(2, 5, 1, 1)).shape == (2, 3)


def test_option_a_shortcut_pads_new_channels_with_zeros() -> None:
    from models.resnet import BasicBlock

    block = BasicBlock(2, 4, 2).eval()
    torch.nn.init.zeros_(block.bn2.weight)
    x = torch.rand(1, 2, 4, 4)
    out = block(x)
    assert torch.equal(out[:, 1:3], x[:, :, ::2, ::2])
    assert not out[:, [0, 3]].any()


def test_dropout_of_the_wide_resnet_is_active() -> None:
    model = MODELS["wrn-28-10"](num_classes=2, depth=10, width=1, dropout=0.5)
    x = torch.randn(4, 3, 8, 8)
    assert not torch.equal(model(x), model(x))


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("resnet32", {"depth": 9}),
        ("resnet32", {"image_size": 1}),
        ("wrn-28-10", {"depth": 11}),
        ("wrn-28-10", {"image_size": 2}),
        ("wrn-28-10", {"dropout": 1.0}),
        ("mlp2", {"depth": 0}),
    ],
)
def test_impossible_dimensions_are_refused(name: str, options: dict) -> None:
    with pytest.raises(ValueError, match="got"):
        MODELS[name](num_classes=10, **options)
