"""Read and write files of a Taylor loss: theta, eta and where they are from."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from mwnet.core import files
from mwnet.core.errors import UserError
from mwnet.core.shipped import find_shipped
from mwnet.core.yaml_file import read_yaml
from mwnet.losses.taylor import LARGEST

FILE = "taylor.yaml"
HEADER = "# A Taylor loss: python train.py --method erm --loss taylor --loss.theta THIS_FILE\n"


@dataclass(frozen=True)
class TaylorLoss:
    """A Taylor loss: the twelve coefficients of eq. 4 and the range of eq. 5."""

    theta: tuple[float, ...]
    eta: float


def is_loss_file(value: Any) -> bool:
    """Say whether a value for theta names a file; twelve numbers with commas between them do not.

    A file is named by its path, or by the name of a loss that ships. Whether it exists is checked
    when it is read.
    """
    text = str(value)
    return "," not in text or text.endswith((".yaml", ".yml"))


def read_loss(path: Path) -> TaylorLoss:
    """Read a Taylor loss from a file.

    Args:
        path: of the file, or the name of one that ships, such as mnist_sym80.

    Raises:
        UserError: (a ValueError) the file cannot be read, or does not hold twelve finite numbers
            and an eta above 0.
    """
    path = find_shipped(path, "losses", "loss")
    values = read_yaml(path, "loss")
    if not isinstance(values, dict) or "theta" not in values:
        raise UserError(f"{path} holds no loss: there is no theta: in it")
    theta, eta = values["theta"], _number(values.get("eta", 1.0))
    numbers = [_number(value) for value in theta] if isinstance(theta, list) else []
    if not isinstance(theta, list) or not all(math.isfinite(number) for number in numbers):
        raise UserError(f"{path}: theta must be a list of finite numbers, got {theta}")
    if len(numbers) != 12:
        raise UserError(f"{path}: theta needs 12 numbers, got {len(numbers)}")
    if max(map(abs, numbers)) > LARGEST:
        raise UserError(f"{path}: theta must have no number above {LARGEST:g}, got {theta}")
    if not 0 < eta < math.inf:
        raise UserError(f"{path}: eta must be a number above 0, got {values.get('eta')}")
    return TaylorLoss(tuple(numbers), eta)


def write_loss(path: Path, loss: TaylorLoss, provenance: dict[str, Any]) -> None:
    """Write a Taylor loss and its provenance to a YAML file."""
    values = {"theta": list(loss.theta), "eta": loss.eta, **provenance}
    files.write_text(path, HEADER + yaml.safe_dump(values, sort_keys=False, width=100))


def _number(value: Any) -> float:
    """Convert a value to float, also text such as ``1e-3``; return NaN if it is no number."""
    try:
        return math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        return math.nan
