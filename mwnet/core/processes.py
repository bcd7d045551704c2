"""Run jobs in this process or in several; what comes out does not depend on how many.

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
from multiprocessing.synchronize import Event
from typing import Generic, TypeVar

J = TypeVar("J")
R = TypeVar("R")

POLL = 0.2
"""Seconds between two looks at whether to stop."""


class Workers(Generic[J, R]):
    """Runs jobs; a context manager.

    Args:
        run: a picklable function of a job.
        count: how many processes; with 1 it is this one.
        start: called once in each process, picklable too.
        stopped: whether to stop; then no further job begins, and each that runs in another process
            gets a KeyboardInterrupt, once, to come to an end by itself. None: jobs are not to be
            interrupted, and leaving the block ends their processes.
    """

    def __init__(
        self,
        run: Callable[[J], R],
        count: int,
        start: Callable[[], None] | None = None,
        stopped: Callable[[], object] | None = None,
    ) -> None:
        self.run, self.count, self.start, self.stopped = run, count, start, stopped
        self.pools: list[ProcessPoolExecutor] = []
        self.context = multiprocessing.get_context("spawn")
        self.stop = None if stopped is None else self.context.Event()

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
        """Run jobs and yield ``(position, result)`` of each as it ends.

        The result is None for a job whose process died twice, or that was interrupted.

        Raises:
            Exception: whatever a job raises.
        """
        if not self.pools:
            for position, job in enumerate(jobs):
                yield position, self.run(job)
            return
        left = list(enumerate(jobs))[::-1]
        running: dict[Future[R | None], tuple[int, int, bool]] = {}

        def submit(worker: int, position: int, again: bool) -> None:
            job = (_interruptible if self.stop else _plain, self.run, jobs[position])
            try:
                future = self.pools[worker].submit(*job)
            except BrokenProcessPool:  # it died between two jobs
                self.pools[worker] = self._pool()
                future = self.pools[worker].submit(*job)
            running[future] = worker, position, again

        for worker in range(min(self.count, len(left))):
            submit(worker, left.pop()[0], False)
        while running:
            timeout = None if self.stopped is None else POLL
            done = wait(running, timeout, return_when=FIRST_COMPLETED).done
            if self.stopped is not None and self.stopped():
                left.clear()
                self._interrupt()
            for future in done:
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
        return ProcessPoolExecutor(1, self.context, _begin, (self.start, self.stop))

    def _interrupt(self) -> None:
        """Interrupt the running jobs, once."""
        if self.stop is None or self.stop.is_set():
            return
        self.stop.set()
        for pool in self.pools:
            for process in (pool._processes or {}).values():
                if process.pid is not None:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(process.pid, signal.SIGINT)


_stop: Event | None = None


def _begin(start: Callable[[], None] | None, stop: Event | None) -> None:
    """Prepare a worker: Ctrl-C is its parent's business, and it does not outlive that parent."""
    global _stop  # noqa: PLW0603  (there is no other way to a process of a pool)
    _stop = stop
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if stop is not None and hasattr(os, "setsid"):
        os.setsid()  # a terminal's Ctrl-C is for the parent, which passes it on once
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


def _plain(run: Callable[[J], R], job: J) -> R:
    return run(job)


def _interruptible(run: Callable[[J], R], job: J) -> R | None:
    """Run a job that hears of Ctrl-C, which the process does only meanwhile."""
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        if _stop is not None and _stop.is_set():
            return None
        return run(job)
    except KeyboardInterrupt:
        return None
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
