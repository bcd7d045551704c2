"""Descriptions as JSON files that tell whether they were changed."""

import hashlib
import json
from pathlib import Path
from typing import Any

from mwnet.core.errors import UserError
from mwnet.core.files import write_text

SEAL = "seal"
"""Name of the digest among the entries."""


def write_sealed(path: Path, described: dict[str, Any], *, indent: int | None = None) -> None:
    """Replace a JSON file with a description and a digest of its entries."""
    found = json.loads(json.dumps(described))
    write_text(path, json.dumps({**found, SEAL: _digest(found)}, indent=indent) + "\n")


def check_sealed(path: Path, found: dict[str, Any]) -> None:
    """Refuse a description that differs from its digest; one without a digest is of before.

    Args:
        path: of the file, for the message.
        found: its entries.

    Raises:
        UserError: it was changed.
    """
    if SEAL in found and found[SEAL] != _digest(found):
        raise UserError(f"{path} is damaged: its entries differ from their digest")


def digest(content: bytes) -> str:
    """Tell the bytes of a file from others."""
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def _digest(found: dict[str, Any]) -> str:
    """Tell the entries from others, whatever their order."""
    entries = {name: value for name, value in found.items() if name != SEAL}
    return digest(json.dumps(entries, sort_keys=True).encode())
