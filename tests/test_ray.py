"""Jobs, a table and a search on a cluster of Ray that loses a node."""

import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jobs
import pytest
import tables
from searches import QUICK, SMALL, TWO_TASKS, result, search

import train
from mwnet.core.cluster import RayWorkers
from mwnet.core.cluster_start import QUIET
from mwnet.core.errors import UserError
from mwnet.core.scheduling import Place, scheduler
from mwnet.search.log import Log

pytest.importorskip("ray", reason="there is no Ray: pip install 'mwnet[ray]'")

Capture = pytest.CaptureFixture[str]
Patch = pytest.MonkeyPatch
CONNECT = socket.socket.connect
OBJECTS = 80 * 2**20
SAME = ("metrics.jsonl", "label_quality.csv", "pred_probs.npy", "model.safetensors")


class Nodes:
    """A cluster of two nodes with a CPU each, one of which may be taken away."""

    def __init__(self) -> None:
        from ray.cluster_utils import Cluster

        self.options: dict[str, Any] = {
            "num_cpus": 1, "include_dashboard": False, "object_store_memory": OBJECTS,
        }  # fmt: skip
        self.cluster = Cluster(initialize_head=True, head_node_args=self.options)
        self.second: Any = None
        self.address = self.cluster.address

    def two(self) -> None:
        if self.second is None:
            self.second = self.cluster.add_node(**self.options)

    def one(self) -> None:
        """Take the second node away, as if it had lost its power."""
        if self.second is not None:
            self.cluster.remove_node(self.second, allow_graceful=False)
            self.second = None


@pytest.fixture(scope="module")
def nodes() -> Iterator[Nodes]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in QUIET.items():
            patch.setenv(name, value)
        patch.setenv("RAY_AUTH_MODE", "disabled")
        root = Path(__file__).parents[1]
        patch.setenv("PYTHONPATH", f"{root}:{root}/tests:{os.environ.get('PYTHONPATH', '')}")
        made = Nodes()
        yield made
        made.cluster.shutdown()


@pytest.fixture(autouse=True)
def own_machine(no_network: None, monkeypatch: Patch) -> None:
    """The cluster lies at the address of this machine."""
    import ray

    own = {"127.0.0.1", "localhost", "::1", ray.util.get_node_ip_address()}

    def connect(self: socket.socket, address: Any) -> None:
        assert isinstance(address, str) or address[0] in own, f"network access to {address}"
        CONNECT(self, address)

    monkeypatch.setattr(socket.socket, "connect", connect)


def test_results_are_those_of_processes(nodes: Nodes, tmp_path: Path) -> None:
    """And a job that ends its process is tried once more, without harm to the others."""
    nodes.two()
    place = Place(None, nodes.address)
    wanted = ["a", str(tmp_path / "marker"), "b", "always", *"cdefgh"]
    with scheduler(jobs.dies, place) as workers:
        results = dict(workers.results(wanted))
        assert results == {n: None if job == "always" else job for n, job in enumerate(wanted)}
        assert (tmp_path / "marker").exists()
        assert dict(workers.results([])) == {}
    handlers = [signal.getsignal(kind) for kind in (signal.SIGINT, signal.SIGTERM)]
    with RayWorkers(jobs.square, place, jobs.begin) as workers:
        numbers = list(range(100))
        found = dict(workers.results(numbers))
        assert [signal.getsignal(kind) for kind in (signal.SIGINT, signal.SIGTERM)] == handlers
    squares, prepared, processes = zip(*(found[n] or () for n in numbers), strict=True)
    assert squares == tuple(n**2 for n in numbers)
    assert set(prepared) == {1}  # each process once
    assert os.getpid() not in processes
    with (
        RayWorkers(jobs.raises, place) as workers,
        pytest.raises(ValueError, match="defect in job 1"),
    ):
        list(workers.results([0, 1, 2]))


def test_what_a_lost_node_ran_is_run_again(
    nodes: Nodes, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    nodes.two()
    pairs = [(str(tmp_path / f"begun {n}"), str(tmp_path / "end")) for n in range(4)]
    workers = RayWorkers(jobs.waits, Place(2, nodes.address))

    def lose() -> None:
        while len(list(tmp_path.glob("begun*"))) < 2:
            time.sleep(0.02)
        nodes.one()
        Path(pairs[0][1]).touch()

    thread = threading.Thread(target=lose)
    with caplog.at_level(logging.WARNING, "mwnet"), workers:
        thread.start()
        results = dict(workers.results(pairs))
        thread.join()
    assert results == {n: f"begun {n}" for n in range(4)}
    assert "what it ran is run again" in caplog.text


def test_a_table_that_loses_a_node_is_that_of_one_process(
    nodes: Nodes, tmp_path: Path, monkeypatch: Patch
) -> None:
    nodes.two()
    folders = tmp_path / "quiet", tmp_path / "cluster"
    for folder in folders:
        folder.mkdir()
    assert tables.benchmark(tables.write(folders[0])) == 0
    records: list[logging.LogRecord] = []

    def lose(record: logging.LogRecord) -> bool:
        records.append(record)
        if len(records) == 2:
            nodes.one()
        return True

    logger = logging.getLogger("mwnet.reproduce.tables.runner")
    monkeypatch.setattr(logger, "filters", [lose])
    assert tables.benchmark(tables.write(folders[1]), "--ray", nodes.address, "--jobs", "4") == 0
    assert nodes.second is None
    assert [record.getMessage()[:6] for record in records] == [f"[{n}/4] " for n in range(1, 5)]
    for cell in tables.summaries(folders[0] / "out"):
        for name in SAME:
            quiet, cluster = ((folder / "out" / cell / name).read_bytes() for folder in folders)
            assert quiet == cluster, (cell, name)
    quiet, cluster = ((folder / "out" / "table.tex").read_text() for folder in folders)
    assert quiet == cluster
    # Nothing is run again.
    assert tables.benchmark(folders[1] / "small.yaml", "--ray", nodes.address) == 0
    assert len(records) == 4


def test_a_search_that_loses_a_node_is_that_of_one_process(
    nodes: Nodes, tmp_path: Path, monkeypatch: Patch
) -> None:
    nodes.two()
    small = [*TWO_TASKS, "--search-generations", "2", "--search-compare", "ce"]
    search(tmp_path / "quiet", *small)
    add, added = Log.add, []

    def lose(self: Log, *arguments: Any) -> None:
        add(self, *arguments)
        added.append(arguments)
        if len(added) == 3:
            nodes.one()

    monkeypatch.setattr(Log, "add", lose)
    argv = [flag for flag in (*QUICK, *SMALL, *small) if flag not in ("--workers", "1")]
    out = tmp_path / "cluster"
    assert train.main([*argv, "--ray", nodes.address, "--out", str(out)]) == 0
    assert nodes.second is None
    assert result(out) == result(tmp_path / "quiet")


def test_ctrl_c_writes_checkpoints_and_the_same_command_continues(
    nodes: Nodes, tmp_path: Path, monkeypatch: Patch, capsys: Capture
) -> None:
    folders = tmp_path / "quiet", tmp_path / "cluster"
    for folder in folders:
        folder.mkdir()
    long = ["--epochs", "60", "--only", "row=RMNW-Net", "--seeds", "2"]
    cell = tmp_path / "cluster/out/RMNW-Net/uniform-40/seed-0"
    table = tables.write(folders[1])

    def stop() -> None:
        while not (cell / "last.pt").exists():
            time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=stop)
    thread.start()
    command = ["--ray", nodes.address, "--jobs", "1", *long]
    assert tables.benchmark(table, *command) == 130
    thread.join()
    assert "the same command continues" in capsys.readouterr().err
    assert (cell / "last.pt").exists()
    assert not (cell / "summary.json").exists()
    assert tables.benchmark(table, *command) == 0
    assert tables.benchmark(tables.write(folders[0]), *long) == 0
    for name in SAME:
        quiet = (tmp_path / "quiet/out/RMNW-Net/uniform-40/seed-0" / name).read_bytes()
        assert (cell / name).read_bytes() == quiet, name


@pytest.mark.parametrize(
    ("place", "message"),
    [
        (Place(1, "", gpus=1.0), "no node of Ray has 1 CPU and 1 GPU"),
        (Place(1, "", cpus=99.0), "no node of Ray has 99 CPU: lower `task_cpus`"),
        (Place(1, "127.0.0.1:1"), "cannot join Ray at 127.0.0.1:1: Connection refused"),
    ],
)
def test_a_place_that_is_not_there_is_refused(nodes: Nodes, place: Place, message: str) -> None:
    place = Place(1, place.ray or nodes.address, place.cpus, place.gpus)
    with pytest.raises(UserError, match=message), RayWorkers(jobs.square, place):
        pass
