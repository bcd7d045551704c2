"""Options of what a reviewer said about labels."""

from pathlib import Path
from typing import Literal

from mwnet.config.section import Section, option


class CorrectionOptions(Section):
    """Verdicts on labels, and what happens to samples about which a reviewer was unsure."""

    corrections: Path | None = option(
        "data",
        None,
        "What a reviewer said about labels: a CSV of id, given, verdict, label, note "
        "(docs/guide/corrections.md).",
        resumable=True,
    )
    unsure: Literal["leave-out", "stay"] = option(
        "data", "leave-out", "Samples of --corrections with the verdict unsure: leave-out or stay."
    )
