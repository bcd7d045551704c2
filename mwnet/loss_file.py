"""Files that hold a loss: ``taylor.yaml`` with theta, eta and where they are from."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from mwnet import checkpoint
from mwnet.errors import UserError, reason

FILE = "taylor.yaml"
HEADER = "# A Taylor loss: python train.py --loss taylor --loss.theta THIS_FILE\n"


@dataclass(frozen=True)
class TaylorLoss:
    """Twelve coefficients of eq. 4 and the range of eq. 5."""

    theta: tuple[float, ...]
    eta: float


def read_loss(path: Path) -> TaylorLoss:
    """Read a loss.

    Raises:
        UserError: it cannot be read, or does not hold twelve finite numbers and an eta above 0.
    """
    try:
        values = yaml.safe_load(path.read_text())
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot read the loss {path}: {reason(error)}") from None
    except yaml.YAMLError as error:
        raise UserError(f"{path} is no valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(values, dict) or "theta" not in values:
        raise UserError(f"{path} holds no loss: there is no theta: in it")
    theta, eta = values["theta"], values.get("eta", 1.0)
    if not isinstance(theta, list) or not all(_is_number(value) for value in theta):
        raise UserError(f"{path}: theta must be a list of finite numbers, got {theta}")
    if len(theta) != 12:
        raise UserError(f"{path}: theta needs 12 numbers, got {len(theta)}")
    if not _is_number(eta) or eta <= 0:
        raise UserError(f"{path}: eta must be a number above 0, got {eta}")
    return TaylorLoss(tuple(map(float, theta)), float(eta))


def write_loss(path: Path, loss: TaylorLoss, provenance: dict[str, Any]) -> None:
    """Write a loss and how it was found."""
    values = {"theta": list(loss.theta), "eta": loss.eta, **provenance}
    checkpoint.write_text(path, HEADER + yaml.safe_dump(values, sort_keys=False, width=100))


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and np.isfinite(value)
