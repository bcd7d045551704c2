"""What a search tells whoever watches it. It prints nothing: the command hands it a console."""

from collections.abc import Iterable, Iterator
from typing import Any, Protocol

from mwnet.config.search import SearchConfig
from mwnet.core.scheduling import Place
from mwnet.runs.folder import RunFolder
from mwnet.search.loop import Generation
from mwnet.search.tasks import Task


class View(Protocol):
    """Shows a search."""

    def announce(
        self, config: SearchConfig, tasks: list[Task], place: Place, folder: RunFolder
    ) -> None:
        """The search is about to begin or to go on."""
        ...

    def memorised(self, reached: list[dict[str, Any]]) -> None:
        """Cross entropy has been trained on each task."""
        ...

    def generations(self, ones: Iterable[Generation], total: int) -> Iterator[Generation]:
        """Hand on each generation as it comes."""
        ...

    def comparing(self) -> None:
        """The last generation is over; the result is trained on fresh seeds."""
        ...

    def conclude(
        self, rows: list[dict[str, Any]], summary: dict[str, Any], folder: RunFolder
    ) -> None:
        """The search is finished and written."""
        ...
