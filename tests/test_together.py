"""Several processes compute what one does."""

import csv
import os
import subprocess
import sys
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from commands import QUICK, ROBUST, ROOT, run
from experiments import config
from test_resume import KILLER
from together import FLOAT32, outcomes
from torch import nn

from mwnet.bilevel.batch_norm import SharedBatchNorm, share_batch_norms
from mwnet.builders.experiment import build
from mwnet.core.commands import guarded
from mwnet.core.errors import UserError
from mwnet.core.world import World, alone, world
from mwnet.methods import METHODS
from mwnet.models import MODELS


def torchrun(processes: int, *arguments: object) -> subprocess.CompletedProcess:
    """Run a program in several processes of this machine."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    paths = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    return subprocess.run(
        [*command, "--nproc-per-node", str(processes), *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.mark.parametrize(("processes", "which"), [(2, "all"), (4, "few")])
def test_gradients_parameters_and_scores_equal_one_process(
    processes: int, which: str, tmp_path: Path
) -> None:
    done = torchrun(processes, ROOT / "tests" / "together.py", tmp_path, which)
    assert done.returncode == 0, done.stderr
    wanted = outcomes(which)
    found = [torch.load(tmp_path / f"{rank}.pt") for rank in range(processes)]
    for case, values in wanted.items():
        for name, value in values.items():
            tolerance = 1e-5 if case in FLOAT32 else 1e-10
            torch.testing.assert_close(
                found[0][case][name],
                value,
                rtol=tolerance,
                atol=tolerance,
                msg=lambda text, case=case, name=name: f"{case}, {name}: {text}",
            )
            assert all(torch.equal(found[0][case][name], other[case][name]) for other in found)


def test_a_process_is_killed_and_another_number_goes_on(tmp_path: Path) -> None:
    few = [*QUICK, *ROBUST, "--batch-size", "100", "--out"]
    program = tmp_path / "program.py"
    # The 20th step is in the second epoch; the first process is not the one that dies.
    program.write_text(
        "import os\n" + KILLER.replace("== when", "== when and os.environ['RANK'] == '2'")
    )
    killed = torchrun(3, program, 20, "SIGKILL", *few, tmp_path / "run")
    assert killed.returncode == 1
    said = [line for line in killed.stderr.splitlines() if line.startswith("train.py: ")]
    assert said == [
        "train.py: another process of this training has ended; continue with: mwnet resume "
        f"{tmp_path / 'run'}"
    ]
    resumed = torchrun(2, ROOT / "train.py", "--resume", tmp_path / "run")
    assert resumed.returncode == 0, resumed.stderr
    assert resumed.stdout.count("continuing after step 12") == 1
    assert "2 processes share each batch of 100 samples" in resumed.stdout
    summary = run(tmp_path / "one", *ROBUST, "--batch-size", "100")
    assert summary["engine"] == "ghost"
    one, several = (table(tmp_path / name / "label_quality.csv") for name in ("one", "run"))
    torch.testing.assert_close(several, one, rtol=1e-3, atol=1e-4)
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == sorted(
        path.name for path in (tmp_path / "one").iterdir()
    )


def table(path: Path) -> torch.Tensor:
    """The numbers of ``label_quality.csv``."""
    with path.open() as file:
        lines = list(csv.DictReader(file))
    words = {"given_label", "predicted_label", "is_label_issue"}
    return torch.tensor([[float(line[k]) for k in line if k not in words] for line in lines])


@pytest.fixture
def two(monkeypatch: pytest.MonkeyPatch) -> None:
    """This process as the first of two, until it looks for the other one."""
    monkeypatch.setattr("mwnet.core.world._world", World(2, 0))


@pytest.mark.parametrize("name", sorted(n for n, entry in METHODS.items() if not entry.distributed))
@pytest.mark.usefixtures("two")
def test_other_methods_say_so_by_name(name: str) -> None:
    with pytest.raises(UserError, match=f"method='{name}'` trains in one process; in several do"):
        build(config(name))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"loss": "dmi"}, "`loss='dmi'` compares the samples of a batch"),
        ({"batch_size": 1}, "`batch_size=1` has no sample for each of 2 processes"),
        ({"compile": True}, "`compile` is for one process"),
    ],
)
@pytest.mark.usefixtures("two")
def test_what_one_process_alone_can_do(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        build(config("erm", **options))


def test_shares_are_the_batch_in_order() -> None:
    for size, n in ((1, 5), (2, 5), (4, 11), (4, 4), (3, 2)):
        shares = [list(range(n))[World(size, rank).share(n)] for rank in range(size)]
        assert list(chain(*shares)) == list(range(n))
        assert max(map(len, shares)) - min(map(len, shares)) <= 1


@pytest.mark.usefixtures("two")
def test_alone_a_process_has_all_samples() -> None:
    with alone():
        assert world().share(7) == slice(0, 7)
    assert world().share(7) == slice(0, 4)


def test_the_others_are_silent(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> int:
        raise UserError("wrong")

    monkeypatch.setattr("mwnet.core.commands.GRACE", 0.0)
    for name, value in {"TORCHELASTIC_RUN_ID": "0", "WORLD_SIZE": "2", "RANK": "1"}.items():
        monkeypatch.setenv(name, value)
    assert guarded("train.py", fail) == 2
    assert capsys.readouterr().err == ""
    monkeypatch.setenv("RANK", "0")
    assert guarded("train.py", fail) == 2
    assert capsys.readouterr().err == "train.py: wrong\n"


def test_batch_norms_keep_names_and_values() -> None:
    network = MODELS["resnet32"](num_classes=3, in_channels=1, depth=8, width=4)
    network(torch.randn(4, 1, 8, 8))
    before = {name: value.clone() for name, value in network.state_dict().items()}
    share_batch_norms(network)
    assert any(isinstance(module, SharedBatchNorm) for module in network.modules())
    assert not any(isinstance(module, nn.BatchNorm2d) for module in network.modules())
    after = network.state_dict()
    assert list(before) == list(after)
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_no_process_holds_what_is_mapped(tmp_path: Path) -> None:
    """Each may use less memory than the samples take; what is read of a file does not count."""
    n, width = 300_000, 1000
    x = np.lib.format.open_memmap(tmp_path / "x.npy", "w+", np.float32, (n, width))  # holes
    x[::1000, 0] = 1
    np.save(tmp_path / "y.npy", np.arange(n) % 3)
    options = ["--method", "erm", "--model", "mlp2", "--max-steps", "2", "--no-figures"]
    files = ["--data", tmp_path / "x.npy", "--labels", tmp_path / "y.npy"]
    limit = 900
    assert x.nbytes > limit * 2**20
    done = torchrun(
        2, "-m", "benchmarks.mapped", "--child", limit, *files, *options, "--out", tmp_path / "run"
    )
    assert done.returncode == 0, done.stderr
    held = [int(line.split()[-3]) for line in done.stdout.splitlines() if "MiB held" in line]
    assert len(held) == 2
    assert max(held) < limit
