"""Jobs in several processes, some of which die."""

import os
import signal
import time
from pathlib import Path

import jobs
import pytest

from mwnet.core.processes import Workers


@pytest.mark.parametrize("count", [1, 2])
def test_workers_return_every_result_with_its_position(count: int) -> None:
    jobs.begun.clear()
    with Workers(jobs.square, count, jobs.begin) as workers:
        results = dict(workers.results([3, 1, 4, 1, 5]))
        again = dict(workers.results([2]))
        assert dict(workers.results([])) == {}
    squares = {position: result[0] for position, result in results.items() if result}
    assert squares == {0: 9, 1: 1, 2: 16, 3: 1, 4: 25}
    assert again[0] is not None
    assert again[0][0] == 4
    entries = [result for result in (*results.values(), again[0]) if result]
    assert {prepared for _, prepared, _ in entries} == {1}  # each process once
    processes = {process for *_, process in entries}
    assert (os.getpid() in processes) == (count == 1)
    assert len(processes) <= count


def test_a_job_whose_process_dies_is_tried_once_more(tmp_path: Path) -> None:
    wanted = ["a", str(tmp_path / "marker"), "b", "always", "c"]
    with Workers(jobs.dies, 2) as workers:
        results = list(workers.results(wanted))
        assert sorted(position for position, _ in results) == [0, 1, 2, 3, 4]
        assert dict(results) == {0: "a", 1: wanted[1], 2: "b", 3: None, 4: "c"}
        assert dict(workers.results(["d", "e"])) == {0: "d", 1: "e"}  # as if nothing had happened
    assert (tmp_path / "marker").exists()


def test_a_process_that_dies_between_two_jobs_is_replaced() -> None:
    with Workers(jobs.square, 2) as workers:
        running = workers.results([2, 3, 4, 5])
        position, result = next(running)
        assert result is not None
        os.kill(result[2], signal.SIGKILL)
        limit = time.monotonic() + 20
        while not any(pool._broken for pool in workers.pools) and time.monotonic() < limit:
            time.sleep(0.02)
        results = {position: result, **dict(running)}
    assert {k: value[0] for k, value in results.items() if value} == {0: 4, 1: 9, 2: 16, 3: 25}


@pytest.mark.parametrize("count", [1, 2])
def test_what_a_job_raises_is_raised(count: int) -> None:
    with Workers(jobs.raises, count) as workers, pytest.raises(ValueError, match="defect in job 1"):
        list(workers.results([0, 1, 2]))


def test_leaving_ends_the_processes_in_the_middle_of_their_jobs() -> None:
    started = time.monotonic()
    with Workers(jobs.sleeps, 2) as workers:
        assert next(workers.results([0, 500])) == (0, 0)
        processes = [p for pool in workers.pools for p in (pool._processes or {}).values()]
        assert len(processes) == 2
    assert time.monotonic() - started < 60
    assert not any(process.is_alive() for process in processes)
