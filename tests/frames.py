"""Small tables for tests."""

from pathlib import Path

import numpy as np
import pandas as pd

RNG = np.random.default_rng(0)
ROWS = 40


def frame(**columns: object) -> pd.DataFrame:
    return pd.DataFrame(columns or {"a": RNG.normal(size=ROWS)})


def table(path: Path, **columns: object) -> Path:
    everything = {"a": RNG.normal(size=ROWS), **columns, "label": ["x", "y"] * (ROWS // 2)}
    pd.DataFrame(everything).to_csv(path, index=False)
    return path


def mixed() -> pd.DataFrame:
    return frame(
        a=np.where(RNG.random(ROWS) < 0.2, np.nan, RNG.normal(size=ROWS)),
        colour=RNG.choice(["red", "blue"], ROWS),
        b=RNG.random(ROWS) < 0.5,
        text=[f"row {i} tells about cats or dogs {i % 3}" for i in range(ROWS)],
    )
