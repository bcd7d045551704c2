"""Choose where jobs run: in processes of this machine, or as tasks of Ray.

Both give ``results(jobs)``, and the same results.
"""

import argparse
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from mwnet.core.errors import UserError
from mwnet.core.processes import Workers

J = TypeVar("J")
R = TypeVar("R")
J_contra = TypeVar("J_contra", contravariant=True)
R_co = TypeVar("R_co", covariant=True)

LOCAL = "local"
"""Ray's word for an instance of its own on this machine."""
WORDS = (LOCAL, "auto", "none")
"""What may stand for an address; with ``none`` a resumed search leaves Ray."""
FLAGS = ("jobs", "ray", "task_cpus", "task_gpus")
"""What ``add_flags`` adds."""


@dataclass(frozen=True)
class Place:
    """Where jobs run, and what each of them needs.

    Attributes:
        processes: how many jobs run at a time; None: as many as Ray has room for.
        ray: ``local`` starts Ray on this machine, ``HOST:PORT`` or ``auto`` joins a cluster; None:
            processes of this machine.
        cpus: CPUs that Ray reserves for a job.
        gpus: GPUs that Ray reserves for a job; may be a share of one.
    """

    processes: int | None = 1
    ray: str | None = None
    cpus: float = 1.0
    gpus: float = 0.0

    def __post_init__(self) -> None:
        """Refuse what Ray would not understand.

        Raises:
            UserError: a number that is out of range.
        """
        if self.processes is not None and self.processes < 1:
            raise UserError(f"`jobs` must be at least 1, got {self.processes}")
        if not 0 < self.cpus < float("inf"):
            raise UserError(f"`task_cpus` must be above 0, got {self.cpus:g}")
        if not (0 <= self.gpus <= 1 or self.gpus.is_integer()) or self.gpus < 0:
            raise UserError(f"`task_gpus` must be a share of 1 or whole GPUs, got {self.gpus:g}")

    def __str__(self) -> str:
        """As in ``workers: 2`` or ``on Ray (10.0.0.1:6379)``."""
        return f"workers: {self.processes}" if self.ray is None else f"on Ray ({self.ray})"


class Scheduler(Protocol[J_contra, R_co]):
    """Runs jobs; a context manager."""

    def __enter__(self) -> "Scheduler[J_contra, R_co]": ...

    def __exit__(self, *error: object) -> None: ...

    def results(self, jobs: Sequence[J_contra]) -> Iterator[tuple[int, R_co | None]]:
        """Run jobs and yield ``(position, result)`` of each as it ends.

        The result is None for a job whose process died twice, or that was interrupted.
        """
        ...


def scheduler(
    run: Callable[[J], R],
    place: Place,
    start: Callable[[], None] | None = None,
    stopped: Callable[[], object] | None = None,
) -> Scheduler[J, R]:
    """Make what runs jobs at a place.

    Args:
        run: a picklable function of a job.
        place: where.
        start: called once in each process before its first job, picklable too.
        stopped: whether to stop; see ``Workers``.
    """
    if place.ray is None:
        return Workers(run, place.processes or 1, start, stopped)
    from mwnet.core.cluster import RayWorkers

    return RayWorkers(run, place, start, stopped)


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags that choose a place; see ``place_of``."""
    parser.add_argument(
        "--jobs",
        type=int,
        help=f"processes; default: one for two cores, here {half()} (give 1 on a GPU); with --ray "
        "as many as it has room for",
    )
    parser.add_argument(
        "--ray",
        metavar="ADDRESS",
        help="run on Ray: the cluster at ADDRESS (HOST:PORT or auto), or a Ray that is started "
        "here where no address follows (docs/DISTRIBUTED.md)",
    )
    parser.add_argument(
        "--task-cpus", type=float, default=1.0, help="CPUs that Ray reserves for each run"
    )
    parser.add_argument(
        "--task-gpus", type=float, default=0.0, help="GPUs that Ray reserves for each, as in 0.25"
    )


def place_of(args: argparse.Namespace, jobs: int) -> Place:
    """Make the place that the flags ask for.

    Args:
        args: what the parser has found.
        jobs: how many there are.

    Raises:
        UserError: a number that is out of range.
    """
    place = Place(args.jobs, address_of(args.ray), args.task_cpus, args.task_gpus)
    if place.ray is not None:
        return place
    return Place(min(place.processes or half(), max(1, jobs)))


def with_address(argv: Sequence[str]) -> list[str]:
    """Give the flag ``--ray`` its value, so that it may stand alone.

    Examples:
        >>> with_address(["--ray", "--jobs", "2"])
        ['--ray=local', '--jobs', '2']
        >>> with_address(["--ray", "10.0.0.1:6379"])
        ['--ray=10.0.0.1:6379']
    """
    rest, found = list(argv), []
    while rest:
        argument = rest.pop(0)
        if argument == "--ray":
            follows = bool(rest) and (rest[0] in WORDS or ":" in rest[0])
            argument = f"--ray={rest.pop(0) if follows else LOCAL}"
        found.append(argument)
    return found


def address_of(ray: str | None) -> str | None:
    """Return the address that an option names; None for no Ray."""
    return None if ray == "none" else ray


def half() -> int:
    """One process for two cores: what runs at a time if nobody says."""
    return max(1, (os.cpu_count() or 1) // 2)
