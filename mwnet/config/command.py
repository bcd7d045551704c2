"""Options of every command that trains."""

from pathlib import Path
from typing import Literal

from mwnet.config.section import Section, option


class Command(Section):
    """What every command that trains has: where it runs and where it writes."""

    mode: Literal["train", "loss-search"] = option(
        "run", "train", "train, or loss-search: find a robust Taylor loss (docs/SEARCH.md)."
    )
    out: Path | None = option(
        "run", None, "Run folder; default runs/ with data set, method, noise, seed and time."
    )
    device: str = option(
        "run", "auto", "cpu, cuda, cuda:N, or auto (a GPU if there is one).", resumable=True
    )
    threads: int | None = option(
        "run", None, "CPU threads; default: torch's own choice.", ge=1, le=1024, resumable=True
    )
    figures: bool = option("output", True, "Draw figures and the review page.", resumable=True)

    @classmethod
    def resumable(cls) -> frozenset[str]:
        """Options that a resumed run may be given anew: where it runs and how long."""
        extras = {name: field.json_schema_extra for name, field in cls.model_fields.items()}
        return frozenset(
            name
            for name, extra in extras.items()
            if isinstance(extra, dict) and extra.get("resumable")
        )
