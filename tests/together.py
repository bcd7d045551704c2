"""What several processes compute together; torchrun runs this file, and tests run it alone."""

import sys
from dataclasses import replace
from itertools import product

import torch
from experiments import config, drive
from problems import batch, flat, problem
from torch import Tensor
from torch.optim import SGD, AdamW

from mwnet.bilevel import ENGINES, bilevel_step
from mwnet.bilevel.batch_norm import share_batch_norms
from mwnet.builders.experiment import Experiment, build
from mwnet.core.world import together, world
from mwnet.data import Batch, Batches, Pixels

STEPS, SIZE, META_SIZE = 20, 11, 6
Case = tuple[str, str, str, str]
"""Engine, normalisation, optimizer, network."""
CASES: list[Case] = [
    (engine, *rest, network)
    for engine, rest, network in product(
        ("forward", "ghost", "higher"),
        (("mean", "momentum"), ("sum", "adamw")),
        ("plain", "batchnorm"),
    )
    if (engine, network) != ("ghost", "batchnorm")
]
FEW = CASES[::3]


def share_of(whole: Batch) -> Batch:
    part = world().share(len(whole.y))
    return replace(whole, index=whole.index[part], x=whole.x[part], y=whole.y[part])


def steps(case: Case) -> dict[str, Tensor]:
    """dM/dTheta of the first step, and both networks after 20 steps on uneven shares."""
    engine, normalise, kind, network = case
    task = problem(network, normalise=normalise, virtual_step="optimizer")
    share_batch_norms(task.classifier)
    w, theta = list(task.classifier.parameters()), list(task.weight_net.parameters())
    optimizer = (
        SGD(w, lr=0.1, momentum=0.9, weight_decay=1e-2)
        if kind == "momentum"
        else AdamW(w, lr=0.01, eps=1e-4)
    )
    weight_optimizer = SGD(theta, lr=1.0, momentum=0.9)
    first = None
    reports = []
    for step in range(STEPS):
        data, meta = share_of(batch(SIZE, step)), share_of(batch(META_SIZE, 1000 + step))
        report = bilevel_step(task, ENGINES[engine], optimizer, weight_optimizer, data, meta)
        reports += world().report(report).values()
        if first is None:
            first = flat(tuple(p.grad.clone() for p in theta if p.grad is not None))
    assert first is not None
    return {
        "gradient": first,
        "theta": flat(tuple(p.detach() for p in theta)),
        "w": flat(tuple(v.double() for v in task.classifier.state_dict().values())),
        "reports": torch.stack(reports).detach(),
    }


METHODS: dict[str, dict[str, object]] = {
    "erm": {"augment": "crop-flip"},
    "mwnet": {"normalisation": "sum"},
    "mwnet, lag": {"lag": True, "virtual_step": "optimizer", "meta_source": "next-batch"},
    "mwnet, confident": {"meta_source": "confident"},
    "cross-fit": {},
    "co-teaching": {"noise_rate_estimate": 0.3},
    "elr": {},
}


FLOAT32 = {"cross-fit"}
"""Methods that compute their weights in float32."""


def in_float64(experiment: Experiment) -> Experiment:
    """The same with samples and parameters in float64."""

    def double(pixels: Pixels) -> Pixels:
        return replace(pixels, mean=pixels.mean.double(), std=pixels.std.double())

    for batches in (experiment.train, experiment.meta):
        if isinstance(batches, Batches):
            batches.pixels = double(batches.pixels)
    experiment.method.double()
    return replace(experiment, data=replace(experiment.data, pixels=double(experiment.data.pixels)))


def training(name: str) -> dict[str, Tensor]:
    """What a short training of a method on digits ends with."""
    method, _, _ = name.partition(",")
    few = {"train_size": 200, "batch_size": 33, "epochs": 2}
    experiment = build(config(method, **few, **METHODS[name]))
    if method not in FLOAT32:
        experiment = in_float64(experiment)
    reports = drive(experiment)
    scored = experiment.score(experiment.data.parts.train)
    return {
        "parameters": flat(tuple(p.detach() for p in experiment.method.parameters())),
        "reports": torch.tensor(
            [value for report in reports for value in report.values()], dtype=torch.float64
        ),
        "quality": torch.from_numpy(scored.quality),
        "weight": torch.from_numpy(scored.weight),
        "probabilities": torch.from_numpy(scored.probabilities),
    }


def outcomes(which: str) -> dict[str | Case, dict[str, Tensor]]:
    """Of all cases and methods, or of a few cases."""
    torch.set_num_threads(1)
    if which == "few":
        return {case: steps(case) for case in FEW}
    return {case: steps(case) for case in CASES} | {name: training(name) for name in METHODS}


if __name__ == "__main__":
    out, which = sys.argv[1:]
    with together() as processes:
        torch.save(outcomes(which), f"{out}/{processes.rank}.pt")
