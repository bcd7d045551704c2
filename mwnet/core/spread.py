"""Mean and standard deviation over seeds, as the summaries have them."""

import statistics
from collections.abc import Sequence
from typing import Any


def mean_sd(values: Sequence[float | None]) -> dict[str, Any]:
    """``{"mean", "sd", "n"}``; mean and sd are None where any value is, sd also where n is 1."""
    known = [value for value in values if value is not None]
    if not known or len(known) < len(values):
        return {"mean": None, "sd": None, "n": len(known)}
    sd = statistics.stdev(known) if len(known) > 1 else None
    return {"mean": statistics.fmean(known), "sd": sd, "n": len(known)}
