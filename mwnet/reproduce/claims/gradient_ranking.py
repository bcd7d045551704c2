"""Does a sample with a larger gradient in the logits have a larger gradient in the parameters?"""

from pathlib import Path
from statistics import mean

import numpy as np
import torch
from scipy.stats import rankdata
from torch import Tensor, nn

from mwnet.builders.experiment import Experiment
from mwnet.builders.hyper import bound
from mwnet.core.errors import UserError
from mwnet.losses import LOSSES, OF_BATCH, STATEFUL, Loss
from mwnet.reproduce.claims.base import (
    LI,
    Analysis,
    Finding,
    Run,
    Runs,
    grid,
    labelled,
    seeds_of,
    verdict,
)
from mwnet.reproduce.claims.features import PANELS, head, some
from mwnet.reproduce.document import markdown_table
from mwnet.reproduce.tables.statistics import spread
from mwnet.runs.canvas import NEUTRAL, RIGHT, WRONG, figure, panels, without

SAMPLES = 1000
NORMS = ("last layer, L1", "last layer, L2", "all parameters, L1", "all parameters, L2")
NEARLY = 0.9
"""Rank correlation from which on the norm in the logits is said to rank the samples well."""

Norms = dict[str, np.ndarray]


def examine(runs: Runs, path: Path) -> Finding:
    """Measure rank correlations of gradient norms over training samples; draw the first seed."""
    lines = [["training", *NORMS]]
    pairs, agree, pictures = [["training", *NORMS]], {}, {}
    for name, own in labelled(runs).items():
        norms = []
        for run in own:
            found, wrong = _norms(run)
            norms.append(found)
            if run is own[0] and len(pictures) < PANELS:
                pictures[name] = found, wrong
        ranks = {n: [correlation(of["logits"], of[n]) for of in norms] for n in NORMS}
        swapped = {n: [discordant(of["logits"], of[n]) for of in norms] for n in NORMS}
        agree[name] = {n: (mean(ranks[n]), mean(swapped[n])) for n in NORMS}
        lines.append([name, *(spread(ranks[n], digits=3) for n in NORMS)])
        pairs.append([name, *(spread(swapped[n], scale=100, digits=1) for n in NORMS)])
    _draw(path, pictures)
    return Finding(
        _sentence(runs, agree),
        f"Spearman's rank correlation with the L1 norm of the gradient in the logits:\n\n"
        f"{markdown_table(lines)}\n\nPairs of samples that come in the other order, in %:\n\n"
        f"{markdown_table(pairs)}\n\n{LEGEND}",
    )


LEGEND = (
    "Mean ± standard deviation over seeds, in the network after its last epoch, of the loss that "
    "--loss named (unweighted), for training samples with their given labels, without "
    f"augmentation, in eval mode; {SAMPLES} samples at most (drawn with a fixed seed). *Last "
    "layer* is equation 12: the weight's gradient is the outer product of the gradient in the "
    "logits and the features f, so that its L1 norm is that of the logits times the L1 norm of f, "
    "and two samples may change places where their features differ more than their gradients in "
    "the logits do. Unrelated orders would have 50 % of the pairs the other way round."
)


def per_sample_loss(experiment: Experiment) -> Loss:
    """Return the loss that the run was trained with, as a function of logits and labels.

    Raises:
        UserError: a loss that is no such function.
    """
    config = experiment.config
    memory = config.loss in STATEFUL and "matrix" not in config.loss_options
    if memory or config.loss in OF_BATCH:
        raise UserError(
            f"the run was trained with `loss={config.loss!r}`, which is not a function of one "
            "sample's logits and label: its gradients cannot be compared sample by sample"
        )
    return bound(LOSSES, config.loss, "loss", config.loss_options)


def gradient_norms(
    network: nn.Module, loss: Loss, x: Tensor, labels: Tensor, num_classes: int
) -> Norms:
    """Compute norms of each sample's gradient, one sample at a time.

    Args:
        network: in eval mode; maps ``(n, c, h, w)`` to ``(n, num_classes)`` logits.
        loss: per sample.
        x: ``(n, c, h, w)``.
        labels: ``(n,)``.
        num_classes: of the last linear layer.

    Returns:
        ``(n,)`` each: ``logits``, the L1 norm in the logits, and those of NORMS, the L1 and L2 norm
        in the weight of the last linear layer (equation 12) and in all parameters.
    """
    last = head(network, num_classes).weight
    parameters = [last, *(p for p in network.parameters() if p is not last and p.requires_grad)]
    rows = []
    for place in range(len(x)):
        logits = network(x[place : place + 1])
        value = loss(logits, labels[place : place + 1]).sum()
        found = torch.autograd.grad(value, [logits, *parameters], allow_unused=True)
        z, *parts = [part.double() for part in found if part is not None]
        rows.append([z.abs().sum(), *_both(parts[:1]), *_both(parts)])
    table = torch.tensor(rows, dtype=torch.float64).T.numpy()
    return dict(zip(("logits", *NORMS), table, strict=True))


def correlation(one: np.ndarray, two: np.ndarray) -> float:
    """Compute Spearman's rank correlation of two ``(n,)`` arrays; NaN if one is constant."""
    if min(np.ptp(one), np.ptp(two)) == 0:
        return float("nan")
    return float(np.corrcoef(rankdata(one), rankdata(two))[0, 1])


def discordant(one: np.ndarray, two: np.ndarray) -> float:
    """Compute the share of pairs that two arrays order differently; ties do not count."""
    signs = [np.sign(values[:, None] - values[None, :]) for values in (one, two)]
    return float((signs[0] * signs[1] < 0).sum() / (len(one) * (len(one) - 1)))


def _both(parts: list[Tensor]) -> tuple[Tensor, Tensor]:
    total = torch.stack([part.abs().sum() for part in parts]).sum()
    return total, torch.stack([part.square().sum() for part in parts]).sum().sqrt()


def _norms(run: Run) -> tuple[Norms, np.ndarray | None]:
    """Compute the norms of a run's training samples, and which labels are wrong, if known."""
    experiment = run.experiment()
    ids = some(experiment.data.parts.train, SAMPLES)
    loss, network = per_sample_loss(experiment), experiment.method.learner.network.eval()
    on_device = ids.to(experiment.device)
    given, x = experiment.data.labels[on_device], experiment.data.pixels.take(on_device)
    found = gradient_norms(network, loss, x, given, experiment.data.source.num_classes)
    truth = experiment.data.truth
    return found, None if truth is None else (given.cpu() != truth[ids]).numpy()


def _draw(path: Path, pictures: dict[str, tuple[Norms, np.ndarray | None]]) -> None:
    columns, rows = panels(len(pictures))
    with figure(path, 3.6 * columns, 3.3 * rows, columns, rows) as (_, axes):
        for axis, (name, (norms, wrong)) in zip(axes, pictures.items(), strict=False):
            x, y = norms["logits"], norms["all parameters, L1"]
            dots = [("all labels", NEUTRAL, np.ones(len(x), dtype=bool))]
            if wrong is not None:
                dots = [("right labels", RIGHT, ~wrong), ("wrong labels", WRONG, wrong)]
            for label, colour, of in dots:
                axis.scatter(x[of], y[of], s=7, color=colour, alpha=0.6, linewidths=0, label=label)
            axis.set_title(name)
            axis.set_xlabel("L1 norm in the logits")
            axis.set_xlim(0, None)
            axis.set_ylim(0, None)
        for axis in axes[::columns]:
            axis.set_ylabel("L1 norm in all parameters")
        without(axes[len(pictures) :])
        axes[0].legend(loc="upper left", markerscale=2)


def _sentence(runs: Runs, agree: dict[str, dict[str, tuple[float, float]]]) -> str:
    """Write the result; the claim is that the order may change between logits and parameters."""
    means = [of[norm] for of in agree.values() for norm in (NORMS[0], NORMS[2])]
    ranks, swapped = zip(*means, strict=True)
    least, most = (end(agree, key=lambda name: agree[name][NORMS[2]][1]) for end in (min, max))
    which = f"; in all parameters fewest for {least}, most for {most}" if least != most else ""
    return (
        f"The claim {verdict([max(swapped) > 0, min(ranks) < NEARLY])} here: {min(swapped):.1%} to "
        f"{max(swapped):.1%} of the pairs of samples come in the other order by the L1 norm in the "
        f"last layer or in all parameters (means over seeds, {seeds_of(runs)}{which}), and the "
        f"rank correlation with the L1 norm in the logits is {min(ranks):.3f} at least and "
        f"{max(ranks):.3f} at most, where {NEARLY:g} and more is counted as nearly the same order."
    )


ANALYSIS = Analysis(
    title="Does the gradient in the logits rank the samples?",
    source=f"{LI}, question at equation 12",
    claim=(
        "A sample with a larger L1 norm of the gradient in the logits need not have a larger "
        "gradient in the parameters, so that norm may not measure its impact on training."
    ),
    examine=examine,
    grid=grid(
        {"dataset": "digits", "noise": "uniform", "noise_rate": 0.4},
        {"2 epochs": {"epochs": 2}, "40 epochs": {"epochs": 40}},
        {"CE": {"method": "erm"}, "MAE": {"method": "erm", "loss": "mae"}},
        range(5),
    ),
    takes_runs=True,
)
