"""torchvision's networks by name: heads, weights, refusals."""

import pytest
import torch

from mwnet.models import find
from mwnet.models.torchvision_import import torchvision


@pytest.mark.parametrize(
    ("name", "size"),
    [  # one of each family: their heads and stems differ
        ("alexnet", 64),
        ("convnext_tiny", 32),
        ("densenet121", 32),
        ("efficientnet_b0", 32),
        ("googlenet", 32),
        ("inception_v3", 75),
        ("maxvit_t", 224),
        ("mnasnet0_5", 32),
        ("mobilenet_v3_small", 32),
        ("shufflenet_v2_x0_5", (32, 48)),
        ("squeezenet1_1", 32),
        ("swin_t", 32),
        ("vgg11_bn", 32),
        ("vit_b_32", 64),
    ],
)
def test_torchvision_networks_return_only_logits(name: str, size: int | tuple[int, int]) -> None:
    height, width = (size, size) if isinstance(size, int) else size
    with torch.device("meta"):
        model = find(f"torchvision:{name}")(num_classes=7, in_channels=2, image_size=size)
        assert model.training
        assert model(torch.zeros(2, 2, height, width)).shape == (2, 7)


def test_torchvision_starts_from_random_weights_of_the_global_seed() -> None:
    """The suite has no network, so that loaded weights would fail."""
    outputs = []
    for _ in range(2):
        torch.manual_seed(1)
        model = find("torchvision:regnet_x_400mf")(num_classes=3, image_size=32)
        outputs.append(model.eval()(torch.ones(1, 3, 32, 32)))
    assert torch.equal(*outputs)


@pytest.mark.parametrize(
    ("name", "stem", "head"),
    [
        ("shufflenet_v2_x0_5", "conv1.0", "fc"),
        ("squeezenet1_1", "features.0", "classifier.1"),
        ("googlenet", "conv1.conv", "fc"),
    ],
)
def test_pretrained_weights_are_kept_except_in_new_layers(
    monkeypatch: pytest.MonkeyPatch, name: str, stem: str, head: str
) -> None:
    zoo = torchvision().models
    options = {"init_weights": False} if name == "googlenet" else {}
    published = zoo.get_model(name, **options).state_dict()
    monkeypatch.setattr(zoo._api, "load_state_dict_from_url", lambda *args, **kwargs: published)
    for channels in (3, 1):
        model = find(f"torchvision:{name}")(
            num_classes=5, in_channels=channels, image_size=32, pretrained=True
        )
        new = (head,) if channels == 3 else (head, stem)
        state = model.state_dict()
        assert any(key.startswith("aux") for key in published) == (name == "googlenet")
        assert not any(key.startswith("aux") for key in state)
        for key, value in state.items():
            if key.rpartition(".")[0] not in new:
                assert torch.equal(value, published[key]), key
        assert state[f"{head}.weight"].shape[0] == 5
        assert state[f"{stem}.weight"].shape[1] == channels
        assert model(torch.randn(2, channels, 32, 32)).shape == (2, 5)


def test_weights_that_cannot_be_fetched_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*args: object, **kwargs: object) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr(torchvision().models._api, "load_state_dict_from_url", unreachable)
    with pytest.raises(ValueError, match="torchvision:resnet18 could not be fetched: no route"):
        find("torchvision:resnet18")(num_classes=5, image_size=32, pretrained=True)


@pytest.mark.parametrize(
    ("name", "size"),
    [("alexnet", 32), ("vgg11", 16), ("vit_b_32", 33), ("vit_b_32", (64, 32)), ("maxvit_t", 32)],
)
def test_torchvision_refuses_images_it_cannot_take(name: str, size: int | tuple[int, int]) -> None:
    message = rf"^torchvision:{name} cannot be built for 3x\d+x\d+ images: \S"
    with torch.device("meta"), pytest.raises(ValueError, match=message):
        find(f"torchvision:{name}")(num_classes=5, image_size=size)
