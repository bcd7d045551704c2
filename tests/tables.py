"""A small table of runs for the tests of the benchmark, and what is asked of several reports."""

import json
from pathlib import Path

import numpy as np
import yaml
from scipy import stats

from mwnet.reproduce.tables.command import main

SMALL = {
    "dataset": "digits", "epochs": 2, "model_options": {"width": 8}, "device": "cpu",
    "lr_schedule": "multistep", "lr_milestones": [1], "download": False,
}  # fmt: skip
TABLE = {
    "title": "Two methods",
    "base": SMALL,
    "columns": {"uniform 40 %": {"noise": "uniform", "noise_rate": 0.4}},
    "rows": {
        "plain, erm": {"method": "erm"},
        "RMNW-Net": {"method": "mwnet", "meta_loss": "mae", "meta_noisy": True},
    },
    "seeds": [0, 1],
}


def write(folder: Path, **changes: object) -> Path:
    """A table file: ``TABLE`` with other entries."""
    path = folder / "small.yaml"
    path.write_text(yaml.safe_dump({**TABLE, **changes}, sort_keys=False))
    return path


def benchmark(table: Path, *argv: str) -> int:
    return main([str(table), "--out", str(table.parent / "out"), "--jobs", "1", *argv])


def summaries(out: Path) -> dict[str, dict]:
    paths = sorted(out.glob("*/*/seed-*/summary.json"))
    return {str(p.parent.relative_to(out)): json.loads(p.read_text()) for p in paths}


def interval(ours: list[float], mean: float, sd: float, n: int) -> tuple[float, float]:
    """SciPy's interval for ours and raw values that have this very mean and deviation."""
    theirs = np.random.default_rng(0).normal(size=n)
    theirs = mean + sd * (theirs - theirs.mean()) / theirs.std(ddof=1)
    low, high = stats.ttest_ind(ours, theirs, equal_var=False).confidence_interval(0.95)
    return float(low), float(high)
