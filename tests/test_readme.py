"""The Python of the README runs as it is printed."""

import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from commands import ROOT
from sklearn.datasets import load_digits


def test_the_python_of_the_readme_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert len([line for line in code.splitlines() if line]) <= 6
    x, y = load_digits(return_X_y=True)
    pixels = pd.DataFrame(x, columns=[f"pixel {number}" for number in range(x.shape[1])])
    pixels[:400].assign(label=y[:400]).to_csv("my.csv", index=False)
    names: dict[str, Any] = {"X": pixels[:400], "y": y[:400], "X_new": pixels[400:]}
    exec(code, names)
    assert len(names["issues"]) == 400
    assert names["probabilities"].shape == (1397, 10)
    assert (tmp_path / "classifier" / "model.safetensors").is_file()
