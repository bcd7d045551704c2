"""Bars that show how far a long pass is."""

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tqdm import tqdm

ON_TERMINAL, IN_LOG = 0.1, 30.0
"""Seconds between two states of a bar."""


def bar(total: int, known: int, unit: str, *, shown: bool) -> "tqdm":
    """Make a bar on stderr, which is a context.

    In a log, where each state stays, it has two states a minute.

    Args:
        total: of the pass.
        known: what an earlier pass has done.
        unit: what is counted.
        shown: whether there is to be one.
    """
    from tqdm import tqdm

    return tqdm(
        total=total,
        initial=known,
        unit=unit,
        disable=not shown,
        leave=False,
        mininterval=ON_TERMINAL if sys.stderr.isatty() else IN_LOG,
    )
