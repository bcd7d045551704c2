"""Jobs, a table and a search on a cluster of Ray that loses a node."""

import logging
import os
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import joblib
import jobs
import pytest
import tables
from commands import ROBUST, run
from searches import TWO_TASKS, result, search
from sklearn.datasets import load_digits
from sklearn.model_selection import cross_val_score

from mwnet import MWNetClassifier
from mwnet.core.cluster import RayWorkers
from mwnet.core.cluster_start import QUIET
from mwnet.core.errors import Interrupted, UserError
from mwnet.core.scheduling import Place, scheduler
from mwnet.reproduce.tables import runner
from mwnet.reproduce.tables.cells import plan
from mwnet.reproduce.tables.latex import latex
from mwnet.reproduce.tables.records import records as records_of
from mwnet.reproduce.tables.table import load_table
from mwnet.search.log import Log

ray = pytest.importorskip("ray", reason="there is no Ray: pip install 'mwnet[ray]'")
from ray.util.joblib import register_ray  # noqa: E402

Patch = pytest.MonkeyPatch
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
        patch.setenv("OWN_ADDRESS", ray.util.get_node_ip_address())
        root = Path(__file__).parents[1]
        patch.setenv("PYTHONPATH", f"{root}:{root}/tests:{os.environ.get('PYTHONPATH', '')}")
        made = Nodes()
        yield made
        made.cluster.shutdown()


def test_results_are_those_of_processes(nodes: Nodes, tmp_path: Path) -> None:
    """And a job that ends its process is tried once more, without harm to the others."""
    nodes.two()
    marker = str(tmp_path / "marker")
    wanted = ["a", marker, "b", "always", *range(2, 60)]
    handlers = [signal.getsignal(kind) for kind in (signal.SIGINT, signal.SIGTERM)]
    with scheduler(jobs.does, Place(None, nodes.address), jobs.begin) as workers:
        results = dict(workers.results(wanted))
        assert [signal.getsignal(kind) for kind in (signal.SIGINT, signal.SIGTERM)] == handlers
        assert dict(workers.results([])) == {}
        with pytest.raises(ValueError, match="defect in job 1"):
            list(workers.results([1]))
    assert [results[n] for n in range(4)] == ["a", marker, "b", None]
    squares, prepared, processes = zip(*(results[n] for n in range(4, 62)), strict=True)
    assert squares == tuple(n**2 for n in range(2, 60))
    assert set(prepared) == {1}  # each process once
    assert os.getpid() not in processes


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
    nodes: Nodes, tmp_path: Path, monkeypatch: Patch, caplog: pytest.LogCaptureFixture
) -> None:
    nodes.two()
    table = load_table(tables.write(tmp_path, seeds=[0, 1, 2]))
    quiet, cluster = tmp_path / "quiet", tmp_path / "cluster"
    assert runner.run_cells(plan(table, quiet), Place(1)) == []
    records: list[logging.LogRecord] = []

    def lose(record: logging.LogRecord) -> bool:
        records.append(record)
        if len(records) == 2:
            nodes.one()
        return True

    caplog.set_level(logging.INFO, runner.log.name)
    monkeypatch.setattr(runner.log, "filters", [lose])
    assert runner.run_cells(plan(table, cluster), Place(4, nodes.address)) == []
    assert nodes.second is None
    assert [record.getMessage()[:6] for record in records] == [f"[{n}/6] " for n in range(1, 7)]
    assert latex(table, records_of(table, quiet)) == latex(table, records_of(table, cluster))
    for cell in plan(table, cluster):
        assert cell.state() == "finished"
        folder = quiet / cell.folder.relative_to(cluster)
        for name in SAME:
            assert (folder / name).read_bytes() == (cell.folder / name).read_bytes(), (cell, name)


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
    search(tmp_path / "cluster", *small, "--ray", nodes.address, "--workers", "2")
    assert nodes.second is None
    assert result(tmp_path / "cluster") == result(tmp_path / "quiet")


def test_ctrl_c_writes_checkpoints_and_the_same_command_continues(
    nodes: Nodes, tmp_path: Path
) -> None:
    rows = {"RMNW-Net": tables.TABLE["rows"]["RMNW-Net"]}
    table = load_table(tables.write(tmp_path, rows=rows, seeds=[0, 1]))
    table = replace(table, base={**table.base, "epochs": 20})
    first, second = plan(table, tmp_path / "cluster")

    def stop() -> None:
        while not (first.folder / "last.pt").exists():
            time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=stop)
    thread.start()
    with pytest.raises(Interrupted, match="the same command continues"):
        runner.run_cells([first, second], Place(1, nodes.address))
    thread.join()
    assert (first.state(), second.state()) == ("interrupted", "new")
    assert runner.run_cells([first], Place(1)) == []  # no matter where
    [quiet, _] = plan(table, tmp_path / "quiet")
    assert runner.run_cells([quiet], Place(1)) == []
    for name in SAME:
        assert (quiet.folder / name).read_bytes() == (first.folder / name).read_bytes(), name


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


def test_seeds_on_a_cluster_are_those_of_one_process(nodes: Nodes, tmp_path: Path) -> None:
    nodes.two()
    argv = [*ROBUST, "--seeds", "2"]
    here = run(tmp_path / "here", *argv)
    there = run(tmp_path / "there", *argv, "--ray", nodes.address)
    assert here["test_accuracy"] == there["test_accuracy"]
    for seed in (0, 1):
        for name in SAME:
            ours, theirs = (tmp_path / of / f"seed-{seed}" / name for of in ("here", "there"))
            assert ours.read_bytes() == theirs.read_bytes(), (seed, name)


def test_cross_validation_on_a_cluster_has_the_scores_of_one_process(nodes: Nodes) -> None:
    nodes.two()
    x, y = load_digits(return_X_y=True)
    small = MWNetClassifier(method="erm", epochs=1)
    here = cross_val_score(small, x[:300], y[:300], cv=2)
    register_ray()
    ray.init(address=nodes.address, log_to_driver=False)
    try:
        with joblib.parallel_config(backend="ray"):
            there = cross_val_score(small, x[:300], y[:300], cv=2, n_jobs=2)
    finally:
        ray.shutdown()
    assert here.tolist() == there.tolist()
