"""Reading YAML, with one sentence for what is wrong."""

from pathlib import Path
from typing import Any

import yaml

from mwnet.core.errors import UserError, reason


def read_yaml(path: Path, kind: str) -> Any:
    """What a YAML file holds.

    Args:
        path: of the file.
        kind: what it is, for the message.

    Raises:
        UserError: it cannot be read or is no YAML.
    """
    try:
        return yaml.safe_load(path.read_text())
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot read the {kind} {path}: {reason(error)}") from None
    except yaml.YAMLError as error:
        raise UserError(f"{path} is no valid YAML: {' '.join(str(error).split())}") from None
