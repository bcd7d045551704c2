"""What became of a cell."""

from dataclasses import dataclass
from typing import Literal

from mwnet.reproduce.tables.cells import Cell


@dataclass(frozen=True)
class Outcome:
    """What became of a cell: its result, why it failed, or that it was asked to stop."""

    cell: Cell
    state: Literal["done", "failed", "stopped"]
    text: str
