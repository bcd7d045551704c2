"""True labels given or swapped: parameters, scores and issues stay the same to the bit."""

import dataclasses
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.datasets import load_digits

from benchmarks.faults.point import Point, Size
from mwnet.builders.experiment import build
from mwnet.config.checks import validate
from mwnet.methods import METHODS
from mwnet.training.loop import steps


def run(point: Point, size: Size, seed: int) -> None:
    """Train every method twice, with other truth the second time."""
    point.open_ends.append(
        "A clean meta set and `--noise-rate-known` are given truth on purpose; methods that need a "
        "clean meta set are tried with true labels of test samples swapped only."
    )
    x, y = load_digits(return_X_y=True)
    rng = np.random.default_rng(seed)
    given = np.where(rng.random(len(y)) < 0.3, rng.integers(0, 10, len(y)), y)
    count = 400
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "own.npz"
        held = np.arange(len(y)) >= count
        for method, entry in METHODS.items():
            noisy = entry.meta != "clean"
            results = []
            for truth, tested in ((y, y), (rng.permutation(y), y[::-1])):
                own: dict[str, Any] = {"y_true": truth[~held]} if noisy else {"y_true": y[~held]}
                np.savez(
                    path, x=x[~held], y=given[~held], x_test=x[held][:200],
                    y_test=tested[held][:200], **own,
                )  # fmt: skip
                results.append(trained(path, method, noisy))
            first, second = results
            differing = [key for key in first if not torch.equal(first[key], second[key])]
            kind = "truth and test labels swapped" if noisy else "test labels swapped"
            point.saw(kind, not differing, f"{method}: {differing[:3]} differ")


def trained(path: Path, method: str, noisy: bool) -> dict[str, torch.Tensor]:
    """Parameters and scores of a short training."""
    values: dict[str, Any] = {
        "dataset": "arrays", "data": path, "method": method, "epochs": 2, "model": "mlp2",
        "model_options": {"width": 8}, "device": "cpu", "threads": 1,
        "meta_noisy": noisy and METHODS[method].meta != "none",
    }  # fmt: skip
    if METHODS[method].meta != "none":
        values["meta_size"] = 60
    if noisy and METHODS[method].meta != "none":
        values["meta_loss"] = "mae"
    config = validate(values)
    torch.manual_seed(0)
    experiment = build(config)
    trained_in = steps(
        experiment.method,
        experiment.train,
        experiment.meta,
        start=0,
        stop=2 * len(experiment.train),
    )
    for _ in trained_in:
        pass
    scored = experiment.score(experiment.data.parts.train)
    found = {k: v.detach() for k, v in experiment.method.named_parameters()}
    for field in dataclasses.fields(scored):
        value = getattr(scored, field.name)
        if isinstance(value, np.ndarray) and field.name != "truth":
            value = torch.from_numpy(value)
        if torch.is_tensor(value) and field.name != "truth":
            found[f"scored.{field.name}"] = value
    found["scored.is_issue"] = torch.from_numpy(np.asarray(scored.is_issue))
    return found
