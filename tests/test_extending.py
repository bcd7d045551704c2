"""The script of the guide that registers a user's own loss, model and noise."""

import re
import subprocess
import sys
from pathlib import Path

from commands import QUICK, ROOT


def test_the_guides_script_trains_with_its_own_loss(tmp_path: Path) -> None:
    guide = (ROOT / "docs/guide/extending.md").read_text()
    (script,) = re.findall(r"```python\n(.*?)```", guide, re.DOTALL)
    assert len([line for line in script.splitlines() if line]) <= 10
    (tmp_path / "mine.py").write_text(script)
    command = [sys.executable, str(tmp_path / "mine.py"), *QUICK, "--out", str(tmp_path / "run")]
    command += ["--model", "mlp-1024", "--noise", "gentle", "--noise-rate", "0.4"]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={"PYTHONPATH": str(ROOT), "PATH": ""},
    )
    assert done.returncode == 0, done.stderr
    config = (tmp_path / "run" / "config.yaml").read_text()
    assert "loss: squared-margin" in config
    assert "margin: 0.5" in config
    matrix = (tmp_path / "run" / "noise_matrix.csv").read_text()
    assert "0.82" in matrix
