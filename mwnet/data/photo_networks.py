"""Find pretrained networks and what they want to see; nothing is fetched unasked."""

import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlparse

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from mwnet.core.errors import UserError, first_line, nearest
from mwnet.data import efficientnet_lite
from mwnet.data.images import square
from mwnet.data.picture import open_rgb
from mwnet.models.torchvision_import import torchvision

DEFAULT = "efficientnet-lite0"
KNOWN = f"known: {DEFAULT}, {DEFAULT}@SIDE, torchvision:NAME, timm:NAME"
SIDES = (32, 1024)
"""Pixels a side that images may be scaled to: below, the network has nothing left to pool."""
READING = "1"
"""Counts changes to how files become what a network sees."""
INSTALL = "pip install 'mwnet[photos]'"


class Network(NamedTuple):
    """A frozen network, which makes ``(n, d)`` features of stacked arrays of ``see``.

    Attributes:
        module: the network.
        see: makes what the network sees of a picture of mode RGB.
        side: pixels a side of that, for decoding large files no finer than needed.
    """

    module: nn.Module
    see: Callable[[Image.Image], np.ndarray]
    side: int

    def read(self, file: Path) -> np.ndarray:
        """Read what the network sees of a file."""
        return self.see(open_rgb(file, self.side))


class Extractor(NamedTuple):
    """A network that is loaded when it is needed.

    Attributes:
        maker: name and version; the same maker makes the same features of the same file.
        load: gives the network; fetches weights that are not here if its argument is true.
    """

    maker: str
    load: Callable[[bool], Network]


def find_extractor(name: str) -> Extractor:
    """Find a pretrained network by its name.

    Args:
        name: ``efficientnet-lite0``, whose weights are in a package, or ``efficientnet-lite0@96``
            for images of 96 pixels a side, which takes less time than its 224;
            ``torchvision:NAME`` with the default weights of torchvision; ``timm:NAME``, perhaps
            with the tag of its weights.

    Raises:
        UserError: no such network, a side outside 32 to 1,024; a package is missing; from ``load``:
            weights that are not here, cannot be fetched or do not fit.
    """
    if name.partition("@")[0] == DEFAULT:
        load = partial(_lite, _side_of(name))
        return Extractor(f"{name} {efficientnet_lite.WEIGHTS} {READING}", load)
    kind, _, model = name.partition(":")
    if kind == "torchvision" and model:
        return _of_torchvision(name, model)
    if kind == "timm" and model:
        return _of_timm(name, model)
    raise UserError(f"unknown extractor '{name}' ({KNOWN})")


def _side_of(name: str) -> int:
    _, at, number = name.partition("@")
    if not at:
        return efficientnet_lite.SIDE
    side = int(number) if number.isascii() and number.isdigit() and len(number) < 9 else 0
    if not SIDES[0] <= side <= SIDES[1]:
        raise UserError(
            f"extractor '{name}' needs a number of pixels a side from {SIDES[0]} to {SIDES[1]} "
            f"behind the @, as in {DEFAULT}@96"
        )
    return side


def _lite(side: int, _: bool) -> Network:
    file = efficientnet_lite.weights_file()
    if file is None:
        raise UserError(f"features of photos need the weights of {DEFAULT}: {INSTALL}")
    state = torch.load(file, map_location="cpu", weights_only=True)
    module = efficientnet_lite.efficientnet_lite0(state)
    return Network(module, partial(square, side=side), side)


def _of_torchvision(name: str, model: str) -> Extractor:
    zoo = torchvision().models
    known = zoo.list_models(module=zoo)
    if model not in known:
        raise UserError(f"torchvision has no network '{model}' ({nearest(model, known)})")
    weights = zoo.get_model_weights(model).DEFAULT
    file = Path(torch.hub.get_dir()) / "checkpoints" / Path(urlparse(weights.url).path).name

    def load(download: bool) -> Network:
        if not file.is_file() and not download:
            raise _absent(name, file)
        build = partial(zoo.get_model, model, weights=weights, progress=False)
        module = _loaded(name, build)
        _drop_head(module, len(weights.meta["categories"]))
        transform = weights.transforms()
        return Network(module, _transformed(transform), max(transform.resize_size))

    return Extractor(f"{name} {file.name} {READING}", load)


def _of_timm(name: str, model: str) -> Extractor:
    torchvision()  # which timm imports
    try:
        import huggingface_hub
        import timm as installed
    except ImportError as error:
        raise UserError(f"'{name}' needs timm ({error}): {INSTALL}") from None
    timm: Any = installed  # its names are exported in no way that a type checker sees
    given = timm.models.get_pretrained_cfg(model) if timm.is_model(model) else None
    if given is None or not given.hf_hub_id:
        known = timm.list_models(pretrained=True)
        raise UserError(f"timm has no pretrained network '{model}' ({nearest(model, known)})")
    repository, file_name = given.hf_hub_id, given.hf_hub_filename or "model.safetensors"

    def load(download: bool) -> Network:
        # timm itself would ask the hub even for what is here.
        file = huggingface_hub.try_to_load_from_cache(repository, file_name)
        if not isinstance(file, str) and not download:
            raise _absent(name, Path(huggingface_hub.constants.HF_HUB_CACHE))

        def build() -> nn.Module:
            path = file
            if not isinstance(path, str):
                path = huggingface_hub.hf_hub_download(repository, file_name)
            overlay = {"file": path}
            return timm.create_model(
                model, pretrained=True, num_classes=0, pretrained_cfg_overlay=overlay
            )

        module = _loaded(name, build)
        wants = timm.data.resolve_model_data_config(module)
        side = math.ceil(max(wants["input_size"][1:]) / wants["crop_pct"])
        return Network(module, _transformed(timm.data.create_transform(**wants)), side)

    return Extractor(f"{name} {repository} {file_name} {READING}", load)


def _absent(name: str, where: Path) -> UserError:
    return UserError(
        f"the weights of '{name}' are not at hand (looked for {where}); fetch them with "
        "`download=True`"
    )


def _loaded(name: str, build: Callable[[], nn.Module]) -> nn.Module:
    """A frozen network; weights are drawn before they are loaded, which nobody is to notice."""
    try:
        with torch.random.fork_rng(devices=[]):
            module = build()
    except Exception as error:  # of the network, the hub, the file's format
        raise UserError(f"the weights of '{name}' cannot be loaded: {first_line(error)}") from None
    module = module.eval().requires_grad_(False)
    return module.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]


def _drop_head(module: nn.Module, classes: int) -> None:
    """Let a network return what goes into its classification layer."""
    for path, layer in reversed(list(module.named_modules())):
        outputs = getattr(layer, "out_features", None) or getattr(layer, "out_channels", None)
        if isinstance(layer, (nn.Linear, nn.Conv2d)) and outputs == classes:
            module.set_submodule(path, nn.Identity())
            return
    raise AssertionError(f"no layer with {classes} outputs")


def _transformed(transform: Callable[..., Tensor]) -> Callable[[Image.Image], np.ndarray]:
    def see(image: Image.Image) -> np.ndarray:
        return transform(image).numpy()

    return see
