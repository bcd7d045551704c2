"""Numbers at the edge have a defined result; the same seed gives the same bits."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.faults.commands import SMALL, inside
from benchmarks.faults.kills import outcome
from benchmarks.faults.point import Point, Size


def run(point: Point, size: Size, seed: int) -> None:
    """Train on odd numbers, then twice on the same."""
    import mwnet

    point.open_ends += [
        "Bits are the same on one machine with one number of threads. Another number of threads, "
        "another processor or another version of torch may round otherwise.",
        "On a GPU some operations of torch have no deterministic form.",
    ]
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(120, 5))
    y = np.arange(120) % 3
    x[:, 0] += y
    few = np.where(np.arange(120) == 7, 3, y)

    def column(value: float) -> np.ndarray:
        odd = x.copy()
        odd[::3, 2] = value
        return odd

    quick: dict[str, Any] = {"epochs": 2, "model": "mlp2", "model_options": {"width": 8}}

    def fits(samples: np.ndarray, labels: np.ndarray, **changes: Any) -> Callable[[], str]:
        def attempt() -> str:
            made = mwnet.MWNetClassifier(**{**quick, **changes}).fit(samples, labels)
            numbers = made.label_issues_.select_dtypes("number").to_numpy()
            whole = np.isfinite(made.predict_proba(samples)).all()
            return "" if whole and np.isfinite(numbers).all() else "NaN or infinity in the result"

        return attempt

    cases: list[tuple[str, Callable[[], str]]] = [
        ("features that are NaN", fits(column(np.nan), y)),
        ("features that are infinite", fits(column(np.inf), y)),
        ("features of 1e38", fits(column(1e38), y)),
        ("features of 1e300", fits(column(1e300), y)),
        ("denormal features", fits(column(1e-310), y)),
        ("a constant feature", fits(np.hstack([x, np.ones((120, 1))]), y)),
        ("only constant features", fits(np.ones((120, 3)), y)),
        ("labels in the order of classes", fits(x[np.argsort(y)], np.sort(y), batch_size=8)),
        ("a class of one sample", fits(x, few)),
        ("a batch of one", fits(x, y, batch_size=1, epoch_steps=None, epochs=1)),
        ("a batch of one with batch norm", fits(
            rng.random((33, 8, 8)).astype(np.float32), np.arange(33) % 3, batch_size=32,
            model="cnn4", model_options=None, epochs=1)),
        ("a weight net that stands still", fits(x, y, method="mwnet", weight_net_lr=0.0)),
        ("learning rate of 1e-30", fits(x, y, lr=1e-30)),
        ("learning rate of 1e30", fits(x, y, lr=1e30)),
        ("weights that underflow", fits(x, y, method="mwnet", weight_net_lr=1e6)),
        ("two samples of each class", fits(x[:6], y[:6])),
    ]  # fmt: skip
    for what, attempt in cases:
        try:
            fault = attempt()
        except ValueError as error:  # refused, or NonFiniteLoss: a defined result, too
            fault = "" if str(error) and "\n" not in str(error) else f"not one sentence: {error}"
        except Exception as error:
            fault = f"{type(error).__name__}: {error}"
        point.saw("numbers at the edge", not fault, f"{what}: {fault}")
    with tempfile.TemporaryDirectory() as name:
        for method in ("mwnet", "cross-fit", "co-teaching"):
            argv = ("train", f"--method={method}", "--epochs=2", *SMALL)
            outs = [Path(name) / f"{method}-{number}" for number in range(2)]
            codes = [inside(*argv, "--out", str(out)).code for out in outs]
            same = codes == [0, 0] and outcome(outs[0]) == outcome(outs[1])
            point.saw("the same seed twice", same, method)
