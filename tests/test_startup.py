"""What is imported before the first step: modules are counted, since seconds vary."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import rankdata
from sklearn.datasets import load_digits
from sklearn.metrics import f1_score
from sklearn.model_selection import train_test_split

from mwnet.data.builtin import digits
from mwnet.detection.metrics import f1
from mwnet.detection.weights import midranks


def modules_of(code: str) -> set[str]:
    """Names of all modules that some code leaves imported."""
    code += "\nimport json, sys\nprint(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_the_main_command_imports_what_it_uses(tmp_path: Path) -> None:
    argv = ["--meta-loss", "mae", "--meta-noisy", "--epochs", "1", "--out", str(tmp_path / "run")]
    found = modules_of(f"from mwnet.__main__ import train\nassert train({argv!r}) == 0")
    for slow in (
        "sklearn",
        "pandas",
        "scipy",
        "torch._dynamo.convert_frame",
        "sympy",
        "torch._decomp.decompositions_for_jvp",
    ):
        assert slow not in found, slow
    assert len(found) < 1920


def test_help_imports_no_torch() -> None:
    code = "import contextlib\nfrom mwnet.__main__ import train\n"
    found = modules_of(code + "with contextlib.suppress(SystemExit): train(['--help'])")
    assert not {"torch", "numpy", "sklearn"} & found


COMPILED = """
import torch
from mwnet.core import compiler
compiler.defer()
weight = torch.nn.Parameter(torch.ones(3))
optimizer = torch.optim.SGD([weight], lr=0.1)
weight.sum().backward()
optimizer.step()
assert not compiler.is_imported()
assert torch.allclose(weight, torch.full((3,), 0.9))
"""


@pytest.mark.parametrize(
    "use",
    [
        "assert torch.compile(lambda x: x + 1, backend='eager')(torch.ones(1)) == 2",
        "import torch._dynamo.config as config; assert config.cache_size_limit",
        "from torch._dynamo import allow_in_graph; assert callable(allow_in_graph)",
        "with torch.compiler.set_stance('force_eager'): pass",
        "from torch.fx.experimental.symbolic_shapes import ShapeEnv, expect_true, sym_eq\n"
        "assert expect_true(sym_eq(torch.Size([2]), torch.Size([2]))); ShapeEnv()\n"
        "assert torch.compile(lambda x: x * 2, dynamic=True)(torch.ones(3)).sum() == 6",
    ],
)
def test_the_compiler_is_there_when_it_is_wanted(use: str) -> None:
    code = COMPILED + use + "\nassert compiler.is_imported()\noptimizer.step()"
    assert "torch._dynamo.convert_frame" in modules_of(code)


def test_ranks_and_f1_are_those_of_the_libraries() -> None:
    rng = np.random.default_rng(0)
    values = rng.integers(0, 20, 100) / 7
    assert (midranks(values) == rankdata(values)).all()
    wrong, called = rng.random((2, 50)) < 0.3
    assert f1(wrong, called) == pytest.approx(float(f1_score(wrong, called)))
    assert f1(np.zeros(3, bool), np.zeros(3, bool)) == 0


def test_digits_are_those_of_scikit_learn() -> None:
    x, y = load_digits(return_X_y=True)
    _, test = train_test_split(np.arange(len(y)), test_size=360, random_state=0, stratify=y)
    source = digits()
    assert (source.x.flatten(1).numpy() == x).all()
    assert (source.labels.numpy() == y).all()
    assert source.test_ids is not None
    assert source.test_ids.tolist() == sorted(test.tolist())
