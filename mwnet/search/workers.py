"""Jobs in this process or in several; what comes out does not depend on how many.

Each worker is a pool of one process, so that one that dies takes no other's job with it.
"""

import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import wait as wait_for
from typing import Generic, TypeVar

J = TypeVar("J")
R = TypeVar("R")


class Workers(Generic[J, R]):
    """Runs jobs; a context manager.

    Args:
        run: a picklable function of a job.
        count: how many processes; with 1 it is this one.
        start: called once in each process, picklable too.
    """

    def __init__(
        self, run: Callable[[J], R], count: int, start: Callable[[], None] | None = None
    ) -> None:
        self.run, self.count, self.start = run, count, start
        self.pools: list[ProcessPoolExecutor] = []

    def __enter__(self) -> "Workers[J, R]":
        if self.count > 1:
            self.pools = [self._pool() for _ in range(self.count)]
        elif self.start is not None:
            self.start()
        return self

    def __exit__(self, *error: object) -> None:
        for pool in self.pools:
            # A process in the middle of a job would be waited for: it is not needed any more.
            for process in list((pool._processes or {}).values()):
                process.terminate()
            pool.shutdown(wait=True, cancel_futures=True)

    def results(self, jobs: Sequence[J]) -> Iterator[tuple[int, R | None]]:
        """``(position, result)`` of each job as it ends; None for one whose process died twice.

        Raises:
            Exception: whatever a job raises.
        """
        if not self.pools:
            for position, job in enumerate(jobs):
                yield position, self.run(job)
            return
        left = list(enumerate(jobs))[::-1]
        running: dict[Future[R], tuple[int, int, bool]] = {}

        def submit(worker: int, position: int, again: bool) -> None:
            try:
                future = self.pools[worker].submit(self.run, jobs[position])
            except BrokenProcessPool:  # it died between two jobs
                self.pools[worker] = self._pool()
                future = self.pools[worker].submit(self.run, jobs[position])
            running[future] = worker, position, again

        for worker in range(min(self.count, len(left))):
            submit(worker, left.pop()[0], False)
        while running:
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                worker, position, again = running.pop(future)
                try:
                    yield position, future.result()
                except BrokenProcessPool:
                    self.pools[worker].shutdown(wait=False)
                    self.pools[worker] = self._pool()
                    if not again:
                        submit(worker, position, True)
                        continue
                    yield position, None
                if left:
                    submit(worker, left.pop()[0], False)

    def _pool(self) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), _begin, (self.start,))


def _begin(start: Callable[[], None] | None) -> None:
    """Prepare a worker: Ctrl-C is its parent's business, and it does not outlive that parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        sentinel = parent.sentinel

        def follow() -> None:
            wait_for([sentinel])
            os._exit(1)

        threading.Thread(target=follow, daemon=True).start()
    if start is not None:
        with contextlib.suppress(KeyboardInterrupt):
            start()
