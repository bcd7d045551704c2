"""Jobs for the tests of worker processes, which import this module by its name."""

import os
import time
from pathlib import Path

begun: list[str] = []


def begin() -> None:
    begun.append("once")


def square(number: int) -> tuple[int, int, int]:
    """The result, how often this process has been prepared, and which process it is."""
    return number**2, len(begun), os.getpid()


def dies(job: str) -> str:
    """A word is its own result; the process dies with "always", and with a path the first time."""
    if job == "always":
        os._exit(1)
    if "/" in job and not Path(job).exists():
        Path(job).touch()
        os._exit(1)
    return job


def raises(job: int) -> int:
    if job == 1:
        raise ValueError("a defect in job 1")
    return job


def sleeps(seconds: int) -> int:
    time.sleep(seconds)
    return seconds


def waits(job: tuple[str, str]) -> str:
    """Say in a file that the job has begun, and wait for another file before it ends."""
    begun, end = map(Path, job)
    begun.write_text(str(os.getpid()))
    while not end.exists():
        time.sleep(0.02)
    return begun.name


def does(job: str | int) -> str | tuple[int, int, int]:
    """What ``dies`` does with a word; the square of a number, of which 1 is a defect."""
    return dies(job) if isinstance(job, str) else square(raises(job))
