"""How the tests of analyses run one and draw noise."""

import re
from pathlib import Path

import torch
from torch import Tensor

from mwnet.noise import NOISES
from mwnet.reproduce.claims.command import main


def matrix(name: str, rate: float, classes: int = 10) -> Tensor:
    """A transition matrix of a fixed seed."""
    return NOISES[name](classes, rate, torch.Generator().manual_seed(5), dataset="digits")


def rng() -> torch.Generator:
    """A generator that starts alike each time."""
    return torch.Generator().manual_seed(0)


def report(out: Path, name: str, *argv: str) -> str:
    """Run an analysis; its report, after a look at the figure."""
    assert main([name, "--out", str(out), *argv]) == 0
    assert (out / "figure.png").read_bytes().startswith(b"\x89PNG")
    text = (out / "report.md").read_text()
    assert re.search(r"\bnan\b", text) is None
    return text
