"""What do the signs of the gradient in the logits say about whether a label is wrong?"""

from math import isnan
from pathlib import Path
from statistics import mean

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.image import AxesImage
from sklearn.metrics import roc_auc_score
from torch import Tensor
from torch.nn.functional import one_hot

from mwnet.core.errors import UserError
from mwnet.losses import LOSSES
from mwnet.losses.generalized import LOG_ZERO, sce
from mwnet.methods.base import predict
from mwnet.reproduce.claims.base import (
    LI,
    Analysis,
    Finding,
    Run,
    Runs,
    grid,
    labelled,
    seeds_of,
    true_labels,
    verdict,
)
from mwnet.reproduce.claims.gradient_magnitude import LEFT_OUT, PURE, logit_gradients
from mwnet.reproduce.document import markdown_table
from mwnet.reproduce.tables.statistics import spread
from mwnet.runs.canvas import RIGHT, WRONG, figure

ZERO = 1e-12
"""What is smaller counts as zero: gradients are of the order of 1, in float64."""
PANELS = 3
PLACES = ("given", "true", "others")
STATED = ("ce", "mae")
"""The losses that the claim is about."""

Signs = dict[str, float]
BySeed = dict[str, list[Signs]]


def ce_gradient(p: Tensor, labels: Tensor) -> Tensor:
    """Compute the gradient of cross-entropy, right or wrong labels: p_j - 1 at the label, else p_j.

    Source: equation 15.

    Args:
        p: ``(n, K)`` predicted probabilities.
        labels: ``(n,)`` int64.

    Returns:
        ``(n, K)`` derivatives in the logits.
    """
    return p - one_hot(labels, p.shape[1])


def mae_gradient(p: Tensor, labels: Tensor) -> Tensor:
    """Compute the gradient of MAE, 2 p_y times ``ce_gradient``; equation 16."""
    return 2 * p.gather(1, labels[:, None]) * ce_gradient(p, labels)


def sl_gradient(
    p: Tensor, labels: Tensor, alpha: float = 1.0, beta: float = 1.0, log_zero: float = LOG_ZERO
) -> Tensor:
    """Compute the gradient of symmetric cross-entropy; eq. 20 with the weights of eq. 19.

    alpha dCE/dz_j + beta A p_y (1 - p_y) at the label, alpha dCE/dz_j - beta A p_y p_j elsewhere.
    The printed equation 20 leaves the weights out.
    """
    reverse = -log_zero * p.gather(1, labels[:, None]) * ce_gradient(p, labels)
    return alpha * ce_gradient(p, labels) + beta * reverse


def usual(gradient: Tensor, labels: Tensor) -> Tensor:
    """Say for each sample whether no derivative is above 0 at the label or below 0 elsewhere."""
    at_label = one_hot(labels, gradient.shape[1]).bool()
    return (torch.where(at_label, -gradient, gradient) >= -ZERO).all(1)


def signs(gradient: Tensor, given: Tensor, truth: Tensor) -> Signs:
    """Measure signs and sizes of gradients over samples with right and wrong labels.

    Args:
        gradient: ``(n, K)`` derivatives in the logits.
        given: ``(n,)`` labels that the gradient is for.
        truth: ``(n,)`` true labels; some equal the given ones and some do not.

    Returns:
        Over wrong labels: ``given``, ``true``, ``others``: mean derivative at these classes
        (``others`` is NaN for two classes). ``size``: mean L1 norm. ``given up``, ``true down``:
        share of samples in which descent raises the given label's logit or lowers the true one's.
        Beside those, ``usual wrong``, ``usual right``: shares with the signs of ``usual``. ``auc``:
        area under the ROC curve of telling wrong labels by the L1 norm.
    """
    wrong, norm = given != truth, gradient.abs().sum(1)
    part = gradient[wrong]
    at_given = part.gather(1, given[wrong, None]).squeeze(1)
    at_true = part.gather(1, truth[wrong, None]).squeeze(1)
    classes = gradient.shape[1]
    others = float("nan")
    if classes > 2:
        others = float((part.sum(1) - at_given - at_true).mean()) / (classes - 2)
    fine = usual(gradient, given)
    return {
        "given": float(at_given.mean()),
        "true": float(at_true.mean()),
        "others": others,
        "size": float(norm[wrong].mean()),
        "given up": float((at_given < -ZERO).double().mean()),
        "true down": float((at_true > ZERO).double().mean()),
        "usual wrong": float(fine[wrong].double().mean()),
        "usual right": float(fine[~wrong].double().mean()),
        "auc": float(roc_auc_score(wrong.numpy(), norm.numpy())),
    }


def examine(runs: Runs, path: Path) -> Finding:
    """Measure signs and sizes for the losses in PURE at the trained networks."""
    found: dict[str, BySeed] = {}
    differences = []
    for group, own in labelled(runs).items():
        found[group] = {name: [] for name in PURE}
        for run in own:
            logits, given, truth = _state(run)
            for name in PURE:
                gradient = logit_gradients(LOSSES[name], logits, given)
                found[group][name].append(signs(gradient, given, truth))
            wrong = given != truth
            differences.append(_differences(logits[wrong], given[wrong]))
    _draw(path, found)
    tables = [f"{group}:\n\n{_table(of)}" for group, of in found.items()]
    worst = np.max(differences, axis=0)
    return Finding(_sentence(runs, found), "\n\n".join([*tables, LEGEND, _written_out(worst)]))


LEGEND = (
    "Mean ± standard deviation over seeds, after the last epoch, of losses with their default "
    f"hyper-parameters, at the same network. {LEFT_OUT} *Given*, *true*, *others*: mean derivative "
    "in these logits over samples with wrong labels; descent pushes a logit up where it "
    "is negative. "
    "*Given up*, *true down*: share of those samples in which it does so. *Usual signs*: share of "
    "samples without a positive derivative at the given label and without a negative one "
    "elsewhere. *AUC*: how well the L1 norm alone tells wrong labels (0.5 says nothing, below it "
    "right labels have the larger norm). A loss that falls with p and depends on nothing else has "
    "the gradient |dl/dp| p times that of cross-entropy, hence its signs."
)


def _state(run: Run) -> tuple[Tensor, Tensor, Tensor]:
    """Return ``(n, K)`` float64 logits of training samples, ``(n,)`` given and true labels."""
    experiment = run.experiment()
    ids = experiment.data.parts.train
    truth, given = true_labels(run, experiment)[ids], experiment.data.labels.cpu()[ids]
    if not 0 < int((truth != given).sum()) < len(ids):
        raise UserError(f"{run.folder}: right and wrong labels are compared, and it has one kind")
    return predict(experiment.method, experiment.data.pixels, ids).cpu().double(), given, truth


def _differences(logits: Tensor, given: Tensor) -> tuple[float, float, float, float]:
    """Compute the largest errors of eqs. 15, 16, 20 with weights and 20 as printed, by autograd."""
    p = logits.softmax(1)
    forms = [
        ("ce", ce_gradient(p, given)),
        ("mae", mae_gradient(p, given)),
        ("sce", sl_gradient(p, given, **SCE_WEIGHTS)),
        ("sce", sl_gradient(p, given)),
    ]
    one, two, three, four = (
        float((logit_gradients(LOSSES[name], logits, given) - form).abs().max())
        for name, form in forms
    )
    return one, two, three, four


SCE_WEIGHTS: dict[str, float] = {n: (sce.__kwdefaults__ or {})[n] for n in ("alpha", "beta")}


def _table(of: BySeed) -> str:
    heading = ["loss", *PLACES, "given up", "true down", "usual signs, wrong labels"]
    lines = [[*heading, "usual signs, right labels", "AUC"]]
    for name, seeds in of.items():
        means = [spread([s[p] for s in seeds if not isnan(s[p])], digits=4) for p in PLACES]
        shares = [
            spread([s[key] for s in seeds], scale=100, digits=1) + " %"
            for key in ("given up", "true down", "usual wrong", "usual right")
        ]
        lines.append([name, *means, *shares, spread([s["auc"] for s in seeds], digits=3)])
    return markdown_table(lines)


def _written_out(worst: np.ndarray) -> str:
    table = [
        ["loss", "at the given (wrong) label ŷ", "at the true label y", "at another class j"],
        ["CE, eq. 15", "p(ŷ) - 1", "p(y)", "p(j)"],
        ["MAE, eq. 16", "2 p(ŷ) (p(ŷ) - 1)", "2 p(ŷ) p(y)", "2 p(ŷ) p(j)"],
        [
            "SL, eqs. 19 and 20",
            "alpha (p(ŷ) - 1) + beta A p(ŷ) (1 - p(ŷ))",
            "alpha p(y) - beta A p(ŷ) p(y)",
            "alpha p(j) - beta A p(ŷ) p(j)",
        ],
    ]
    weights = ", ".join(f"{name} = {value:g}" for name, value in SCE_WEIGHTS.items())
    return (
        f"The gradients for a wrong label:\n\n{markdown_table(table)}\n\n"
        f"On the samples with wrong labels autograd differs from them by {worst[0]:.0g}, "
        f"{worst[1]:.0g} and {worst[2]:.0g} at most. Equation 20 as printed has the right signs "
        "(A is negative) but not the weights of equation 19: it holds for alpha = beta = 1; "
        f"from that of the loss with {weights} it is off by up to {worst[3]:.2f}."
    )


def _sentence(runs: Runs, found: dict[str, BySeed]) -> str:
    checks, parts = [], []
    for group, of in found.items():
        always = [
            name
            for name, seeds in of.items()
            if all(s["usual wrong"] == s["usual right"] == 1 for s in seeds)
        ]
        checks += [name in always for name in STATED]
        stated = [name for name in STATED if name in always]
        aucs = " and ".join(f"{mean(s['auc'] for s in of[name]):.3f}" for name in STATED)
        parts.append(
            f"after {group} training the gradient is nowhere above 0 at the given label and "
            "nowhere below 0 elsewhere, for every sample with a right or a wrong label, with "
            + (f"{' and '.join(stated)}, whose signs thus tell nothing, " if stated else "neither ")
            + f"and with {len(always) - len(stated)} of the other {len(of) - len(STATED)} losses; "
            f"the L1 norms of {' and '.join(STATED)} alone tell wrong labels with a mean AUC of "
            f"{aucs} (0.5 by chance)"
        )
    return f"The claim {verdict(checks)} here ({seeds_of(runs)}): {'; '.join(parts)}."


def _draw(path: Path, found: dict[str, BySeed]) -> None:
    shown = list(found.items())[:PANELS]
    height = 0.27 * len(PURE) + 1.4
    with figure(path, 10.5, height * len(shown), 2, len(shown)) as (canvas, axes):
        for place, (group, of) in enumerate(shown):
            left, right = axes[2 * place : 2 * place + 2]
            image = _heat(left, of)
            left.set_title(f"{group}: mean gradient, wrong labels")
            canvas.colorbar(image, ax=left, label="as a share of the mean L1 norm")
            rows = np.arange(len(of))
            kinds = (("wrong", WRONG, -0.2), ("right", RIGHT, 0.2))
            for kind, colour, shift in kinds:
                widths = [100 * mean(s[f"usual {kind}"] for s in seeds) for seeds in of.values()]
                right.barh(rows + shift, widths, 0.4, color=colour, label=f"{kind} labels")
            right.set_yticks(rows, list(of))
            right.set_ylim(len(of) - 0.5, -0.5)
            right.set_xlim(0, 100)
            right.set_xlabel("samples with the usual signs [%]")
            right.set_title("signs: ≤ 0 at the given label, ≥ 0 elsewhere")
            right.legend(loc="upper center", bbox_to_anchor=(0.5, -0.1), ncols=2)


def _heat(axis: Axes, of: BySeed) -> AxesImage:
    """Draw mean gradients by loss and place; with two classes there are no others."""
    values = np.array([[mean(s[p] for s in seeds) for p in PLACES] for seeds in of.values()])
    values = values[:, ~np.isnan(values).all(0)]
    sizes = np.array([[mean(s["size"] for s in seeds)] for seeds in of.values()])
    sizes = np.maximum(sizes, ZERO)
    image = axis.imshow(values / sizes, cmap="RdBu_r", vmin=-0.5, vmax=0.5, aspect="auto")
    names = ["given label", "true label", "others"][: values.shape[1]]
    axis.set_xticks(range(len(names)), names)
    axis.set_yticks(range(len(of)), list(of))
    axis.grid(False)
    for (row, column), value in np.ndenumerate(values):
        dark = abs(value) > 0.3 * sizes[row, 0]
        colour = "white" if dark else "black"
        axis.text(column, row, f"{value:.3f}", ha="center", va="center", color=colour, fontsize=8)
    return image


ANALYSIS = Analysis(
    title="Signs of the gradient in the logits",
    source=f"{LI}, questions at equations 15, 16 and 20",
    claim=(
        "Cross-entropy's and MAE's gradients are both negative at the label's logit and positive "
        "at all others, so it is doubtful whether the signs mean anything; the gradients for wrong "
        "labels, which the papers leave out, should be written out."
    ),
    examine=examine,
    grid=grid(
        {"dataset": "digits"},
        {"uniform 0.4": {"noise": "uniform", "noise_rate": 0.4}},
        {"CE": {"method": "erm"}},
        range(5),
    ),
    takes_runs=True,
)
