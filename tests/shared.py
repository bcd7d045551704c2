"""Where data lies that is no part of the project: beside the checkout, or at $MWNET_SHARED."""

import os
from pathlib import Path

import pytest
from commands import ROOT

SHARED = Path(os.environ.get("MWNET_SHARED") or ROOT.parent / "shared")


def needs(path: Path) -> pytest.MarkDecorator:
    """Skip a test where the folder or file is not there."""
    return pytest.mark.skipif(
        not path.exists(), reason=f"there is no {path} (MWNET_SHARED says where to look)"
    )
