"""One point of the campaign: what was tried, what survived, what was lost."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

Size = Literal["quick", "full"]


@dataclass
class Point:
    """Counts attempts, and keeps a sentence for each that failed.

    Attributes:
        name: short, as in ``--only``.
        title: heading in the report.
        promise: what survives means here.
        tried: attempts by kind.
        lost: a sentence for each attempt that did not survive.
        notes: measured figures, a sentence each.
        mended: what an earlier campaign found, and the subject of the commit that mended it.
        open_ends: what cannot be guaranteed.
        passed_over: what this machine could not try, and why.
        seconds: how long it took.
    """

    name: str
    title: str
    promise: str
    tried: dict[str, int] = field(default_factory=dict)
    failed: dict[str, int] = field(default_factory=dict)
    lost: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    mended: list[tuple[str, str]] = field(default_factory=list)
    open_ends: list[str] = field(default_factory=list)
    passed_over: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def saw(self, kind: str, survived: bool, what: str) -> None:
        """Count an attempt.

        Args:
            kind: what was tried; attempts of a kind are one row of the report.
            survived: whether the promise was kept.
            what: a sentence for the report if it was not.
        """
        self.tried[kind] = self.tried.get(kind, 0) + 1
        self.failed[kind] = self.failed.get(kind, 0) + (not survived)
        if not survived:
            self.lost.append(f"{kind}: {what}")
            print(f"  LOST {kind}: {what}", flush=True)

    def attempt(self, kind: str, what: str, check: Callable[[], object]) -> None:
        """Count an attempt that survives if ``check`` ends without an error."""
        try:
            check()
        except Exception as error:
            self.saw(kind, False, f"{what}: {type(error).__name__}: {error}")
        else:
            self.saw(kind, True, "")


Campaign = Callable[[Point, Size, int], None]


def measured(point: Point, campaign: Campaign, size: Size, seed: int) -> None:
    """Run a campaign and note its duration."""
    started = time.perf_counter()
    campaign(point, size, seed)
    point.seconds = time.perf_counter() - started
