"""Every script in examples/ runs within seconds, says what it says it does, and leaves no file."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
SECONDS = 120  # a few in practice; machines differ


def output(path: Path, folder: Path) -> str:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    result = subprocess.run(
        [sys.executable, str(path)],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert not list(folder.iterdir())
    return result.stdout


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_example_runs_and_says_something(path: Path, tmp_path: Path) -> None:
    said = output(path, tmp_path)
    assert said.strip()
    assert "nan" not in said
    if path.stem == "bilevel_transformer":
        right, wrong = map(float, re.findall(r"\d\.\d{3}", said))
        assert wrong < right
        assert "engine ghost" in said
    if path.stem == "find_label_issues":
        assert float(re.findall(r"wrong labels: (\d\.\d+)", said)[0]) > 0.97
    if path.stem == "bilevel_dataloader":
        assert int(re.findall(r"lowest weights (\d+)", said)[0]) > 80  # 30 by chance
    if path.stem == "bilevel_adamw_schedule":
        assert float(re.findall(r"test (\d\.\d+)", said)[-1]) > 0.6


def test_there_are_examples() -> None:
    assert len(EXAMPLES) >= 4
