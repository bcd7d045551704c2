"""Hear Ctrl-C and SIGTERM: the one place where signal handlers are set for training."""

import signal
import threading
from types import TracebackType
from typing import Any

from mwnet.core.errors import Interrupted

KINDS = (signal.SIGINT, signal.SIGTERM)


class StopSignal:
    """Within the block SIGINT and SIGTERM are noted; a second one acts as it did before.

    Outside the main thread, where Python lets no handler be set, nothing is heard.

    Args:
        at_once: raise KeyboardInterrupt where the signal arrives, and leave the block as
            ``Interrupted`` with the signal's exit code; otherwise look at ``signum``.

    Attributes:
        signum: the signal that was received, or None.
        heard: how many signals any such block of this process has received.
    """

    heard = 0

    def __init__(self, *, at_once: bool = False) -> None:
        self.at_once = at_once
        self.signum: int | None = None
        self.previous: dict[int, Any] = {}

    def __enter__(self) -> "StopSignal":
        if threading.current_thread() is threading.main_thread():
            for kind in KINDS:
                self.previous[kind] = signal.signal(kind, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self._restore()
        stopped = isinstance(error, (KeyboardInterrupt, Interrupted))
        if self.at_once and self.signum is not None and stopped:
            raise Interrupted(str(error) or "stopped", self.signum) from None

    def _note(self, signum: int, frame: object) -> None:
        self.signum = signum
        StopSignal.heard += 1
        self._restore()
        if self.at_once:
            raise KeyboardInterrupt

    def _restore(self) -> None:
        for kind, handler in self.previous.items():
            signal.signal(kind, handler)
