"""Reading YAML, with one sentence for what is wrong."""

from pathlib import Path
from typing import Any

import yaml

from mwnet.core.errors import UserError, first_line, reason


class _Loader(yaml.SafeLoader):
    """A safe loader that takes no key twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        twice = [key for key in keys if keys.count(key) > 1]
        if twice:
            raise UserError(f"the key '{twice[0]}' stands there twice: leave one of them out")
        return super().construct_mapping(node, deep)


def read_yaml(path: Path, kind: str) -> Any:
    """What a YAML file holds.

    Args:
        path: of the file.
        kind: what it is, for the message.

    Raises:
        UserError: it cannot be read, is no YAML or has a key twice.
    """
    try:
        return yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot read the {kind} {path}: {reason(error)}") from None
    except yaml.YAMLError as error:
        raise UserError(f"{path} is no valid YAML: {' '.join(str(error).split())}") from None
    except Exception as error:  # whatever a value leads YAML to, such as the 30th of February
        raise UserError(f"{path} is no valid YAML: {first_line(error)}") from None
