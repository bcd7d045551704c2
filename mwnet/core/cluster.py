"""Run jobs as tasks of Ray, with the results of ``Workers``.

A task is a batch of jobs that lasts about a second or more, as measured from the first ones:
thousands of shorter tasks would wear the scheduler out.
"""

import logging
import math
import statistics
import uuid
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Generic, TypeVar

from mwnet.core.cluster_start import join, start
from mwnet.core.cluster_task import Told, Work, run_task, versions
from mwnet.core.errors import UserError, first_line
from mwnet.core.processes import POLL
from mwnet.core.scheduling import LOCAL, Place

log = logging.getLogger(__name__)

J = TypeVar("J")
R = TypeVar("R")

TASK_SECONDS = 1.0
"""What a task should last at least."""
REMEMBERED = 100
"""Jobs whose seconds say how many make a task."""


class RayWorkers(Generic[J, R]):
    """Runs jobs as tasks of Ray; a context manager with the methods of ``Workers``.

    A job whose process dies is run once more, by itself. What a lost node ran is run again.

    Args:
        run: a picklable function of a job.
        place: which Ray, and what a job needs.
        begin: called once in each process, picklable too.
        stopped: whether to stop; then no further job begins, and each that runs is interrupted,
            once. None: leaving the block ends the jobs.
    """

    def __init__(
        self,
        run: Callable[[J], R],
        place: Place,
        begin: Callable[[], None] | None = None,
        stopped: Callable[[], object] | None = None,
    ) -> None:
        self.place, self.stopped = place, stopped
        self.work = Work(run, begin, Path.cwd(), versions(), uuid.uuid4().hex)
        self.seconds: deque[float] = deque(maxlen=REMEMBERED)

    def __enter__(self) -> "RayWorkers[J, R]":
        """Start Ray, or join it.

        Raises:
            UserError: Ray is not installed, cannot be reached, or has no room for a job.
        """
        place = self.place
        if place.ray == LOCAL:
            count = place.processes
            self.ray = start(None if count is None else math.ceil(count * place.cpus))
        else:
            self.ray = join(str(place.ray))
        try:
            self._check_room()
            self.shared = self.ray.put(self.work)
            self.task = self.ray.remote(run_task).options(
                num_cpus=place.cpus, num_gpus=place.gpus, max_retries=0
            )
        except BaseException:
            self.ray.shutdown()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        self.ray.shutdown()

    def results(self, jobs: Sequence[J]) -> Iterator[tuple[int, R | None]]:
        """Run jobs and yield ``(position, result)`` of each as it ends.

        The result is None for a job whose process died twice, or that was interrupted.

        Raises:
            UserError: a node cannot run the jobs.
            Exception: whatever a job raises.
        """
        queue = _Queue(len(jobs))
        running: dict[Any, list[int]] = {}
        stopping = False
        while queue.left or queue.alone or running:
            slots = self._slots()
            # Where nobody limits them, a second task waits for each one that runs.
            while len(running) < (self.place.processes or 2 * slots):
                batch = queue.take(self._size(len(queue.left) // slots))
                if not batch:
                    break
                running[self.task.remote(self.shared, [jobs[place] for place in batch])] = batch
            done, _ = self.ray.wait(list(running), timeout=POLL)
            if not stopping and self.stopped is not None and self.stopped():
                stopping = True
                for task in running:
                    self.ray.cancel(task)
            for task in done:
                batch, told = running.pop(task), self._told(task)
                self.seconds.extend(told.seconds)
                if stopping:
                    # A job that was interrupted before it had a result is told of, too.
                    none = [None] * (told.end == "interrupted" and not told.results)
                    yield from zip(batch, told.results + none, strict=False)
                else:
                    yield from queue.ended(batch, told)
            if stopping:
                queue.left.clear()
                queue.alone.clear()

    def _told(self, task: Any) -> Told:
        """Fetch what came of a task, whatever that is."""
        errors = self.ray.exceptions
        try:
            return self.ray.get(task)
        except errors.TaskCancelledError:
            return Told(end="cancelled")
        except (errors.NodeDiedError, errors.ObjectLostError, errors.LocalRayletDiedError):
            return Told(end="lost")
        except (errors.WorkerCrashedError, errors.OutOfMemoryError):
            return Told(end="died")
        except errors.RayTaskError as error:
            cause = error.cause
            if isinstance(cause, ImportError):
                raise UserError(
                    f"a node cannot run the jobs ({first_line(cause)}): install the same on "
                    "every node"
                ) from error
            raise (cause if isinstance(cause, Exception) else error) from None
        except errors.RayError as error:
            raise UserError(f"Ray has failed: {first_line(error)}") from error

    def _size(self, share: int) -> int:
        """How many jobs make a task; no node gets more than its share of those that are left."""
        if not self.seconds:
            return 1
        each = max(statistics.median(self.seconds), 1e-4)
        return max(1, min(math.ceil(TASK_SECONDS / each), share))

    def _slots(self) -> int:
        """How many jobs the nodes have room for at a time."""
        there = self.ray.cluster_resources()
        slots = there.get("CPU", 0) / self.place.cpus
        if self.place.gpus:
            slots = min(slots, there.get("GPU", 0) / self.place.gpus)
        return max(1, int(slots))

    def _check_room(self) -> None:
        """Refuse needs that no node has, for which Ray would wait forever."""
        nodes = [node["Resources"] for node in self.ray.nodes() if node["Alive"]]
        needs = {"CPU": self.place.cpus, "GPU": self.place.gpus}
        if not any(all(of.get(kind, 0) >= n for kind, n in needs.items()) for of in nodes):
            wanted = " and ".join(f"{n:g} {kind}" for kind, n in needs.items() if n)
            raise UserError(f"no node of Ray has {wanted}: lower `task_cpus` or `task_gpus`")


class _Queue:
    """The jobs that are to be run.

    Args:
        count: how many there are.

    Attributes:
        left: those to come.
        alone: those that may have ended their process, to be run by themselves.
    """

    def __init__(self, count: int) -> None:
        self.left = deque(range(count))
        self.alone: deque[int] = deque()
        self.tried: set[int] = set()

    def take(self, size: int) -> list[int]:
        """Take the jobs of the next task; none if there are none."""
        if self.alone:
            return [self.alone.popleft()]
        return [self.left.popleft() for _ in range(min(size, len(self.left)))]

    def ended(self, batch: list[int], told: Told) -> list[tuple[int, Any]]:
        """Return the results of a task; what has none is run again, or has died twice."""
        if told.end == "died":
            if len(batch) == 1 and batch[0] in self.tried:
                return [(batch[0], None)]
            self.tried.update(batch)
            self.alone.extend(batch)
            return []
        results = told.results
        if told.end != "whole":  # its node has ended, or is about to: the last one is not whole
            log.warning("a node or a process of Ray was ended: what it ran is run again")
            results = results[:-1]
            self.left.extendleft(reversed(batch[len(results) :]))
        return list(zip(batch, results, strict=False))
