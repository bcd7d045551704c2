"""What the description of a saved model asks for."""

from pathlib import Path
from typing import Any

from torch import nn

from mwnet.core.errors import UserError
from mwnet.data.photo_networks import find_extractor
from mwnet.models import MODELS, PREFIX


def check_known(found: dict[str, Any], folder: Path) -> None:
    """Refuse a network that was registered by whoever trained it, and is not registered here."""
    options = found.get("options")
    name = options.get("model") if isinstance(options, dict) else None
    if isinstance(name, str) and name not in MODELS and not name.startswith(PREFIX):
        raise UserError(
            f"{folder} needs the network {name!r}, which mwnet does not have: in Python, put it "
            f"into mwnet.MODELS, then mwnet.load({str(folder)!r}) opens it"
        )


def backbone_of(found: dict[str, Any]) -> nn.Module | None:
    """The pretrained network that a whole one began as; None for other models."""
    extractor, shape = found.get("extractor"), found.get("shape")
    if isinstance(extractor, str) and isinstance(shape, list) and shape[1:] != [1, 1]:
        return find_extractor(extractor).load(False).module
    return None
