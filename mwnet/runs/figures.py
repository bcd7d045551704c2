"""The pictures of a run."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.image import AxesImage
from matplotlib.lines import Line2D

from mwnet.core.names import short_names
from mwnet.detection import Scored
from mwnet.runs.canvas import NEUTRAL, RIGHT, WRONG, Margins, figure

NAMED = 100
"""Classes, at most, that have their names at the axes of ``labels.png``."""


def draw_all(
    folder: Path,
    scored: Scored,
    truth: np.ndarray | None,
    classes: tuple[str, ...],
    history: list[dict[str, Any]],
    *,
    by_loss: bool = True,
) -> None:
    """Draw every figure that the data allows.

    Args:
        folder: made if it is not there.
        scored: the training samples at the end of the run.
        truth: their true labels, or None.
        classes: class names.
        history: metrics of every measured epoch.
        by_loss: whether the weight of a sample depends on its loss alone.
    """
    folder.mkdir(exist_ok=True)
    clean = None if truth is None else scored.given == truth
    if np.ptp(scored.weight) > 0:
        weight_curve(folder / "weight_curve.png", scored, clean, by_loss=by_loss)
    quality_histogram(folder / "label_quality.png", scored, clean)
    if clean is not None and 0 < clean.sum() < len(clean):
        detection_curves(folder / "detection.png", scored, clean)
    training_curves(folder / "training.png", history)
    columns = ("true", truth) if truth is not None else ("predicted", scored.predicted)
    confusion(folder / "labels.png", scored.given, *columns, classes)


def weight_curve(
    path: Path, scored: Scored, clean: np.ndarray | None, *, by_loss: bool = True
) -> None:
    """The weight against the loss, over the density of the losses."""
    with figure(path, 6.2, 4.2, margins=Margins(right=0.75)) as (_, (axes,)):
        weight_curve_on(axes, scored, clean, by_loss=by_loss)


def weight_curve_on(
    axes: Axes, scored: Scored, clean: np.ndarray | None, *, by_loss: bool = True
) -> None:
    """Draw the weight curve into given axes, so that several runs can stand side by side.

    ``by_loss``: the weight depends on the loss alone, so it is a curve; else it is drawn as dots.
    """
    order = np.argsort(scored.loss)
    bins = np.linspace(0, float(scored.loss.max()) * 1.001 + 1e-9, 41).tolist()
    density = axes.twinx()
    density.grid(False)
    density.spines["right"].set_visible(True)
    for label, color, part in _groups(clean, len(order)):
        density.hist(
            scored.loss[part], bins=bins, color=color, alpha=0.35, label=f"losses, {label}"
        )
    density.set_ylabel("training samples")
    density.set_yscale("symlog", linthresh=10)
    style = {"ls": "-", "lw": 2} if by_loss else {"ls": "", "marker": ".", "ms": 3}
    line = Line2D(scored.loss[order], scored.weight[order], color="black", label="weight", **style)
    axes.add_line(line)
    axes.set_zorder(density.get_zorder() + 1)
    axes.patch.set_visible(False)
    axes.set_ylim(0, max(1.0, float(scored.weight.max())) * 1.02)
    axes.set_xlim(0, bins[-1])
    axes.set_xlabel("loss of the sample [nats]")
    axes.set_ylabel("weight of the sample")
    axes.set_title("weight, and where the losses are")
    handles = [*axes.get_legend_handles_labels()[0], *density.get_legend_handles_labels()[0]]
    axes.legend(handles, [str(handle.get_label()) for handle in handles], loc="upper right")


def quality_histogram(path: Path, scored: Scored, clean: np.ndarray | None) -> None:
    """How the label-quality score separates right from wrong labels."""
    with figure(path, 6.2, 3.8, margins=Margins()) as (_, (axes,)):
        bins = np.linspace(0, max(float(scored.quality.max()), 1e-9), 41).tolist()
        for label, color, part in _groups(clean, len(scored.quality)):
            axes.hist(scored.quality[part], bins=bins, color=color, alpha=0.6, label=label)
        axes.set_xlabel("label quality (low = suspect)")
        axes.set_ylabel("training samples")
        axes.set_yscale("symlog", linthresh=10)
        axes.set_title("label quality of the training samples")
        axes.legend()


def _reported(clean: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of wrong and of right labels below each threshold, from none to all."""
    order = np.argsort(values)
    ends = np.flatnonzero(np.append(np.diff(values[order]) > 0, True))  # ties count together
    wrong = np.cumsum(~clean[order])[ends]
    return np.append(0, wrong), np.append(0, ends + 1 - wrong)


def detection_curves(path: Path, scored: Scored, clean: np.ndarray) -> None:
    """ROC and precision-recall curves of finding the wrong labels, for each score."""
    with figure(path, 9, 4.2, columns=2, margins=Margins()) as (_, (roc, precision)):
        styles = {"label_quality": "-", "own": "--", "loss": ":"}
        for name, color in zip(styles, (RIGHT, WRONG, NEUTRAL), strict=True):
            values = scored.scores()[name]
            assert values is not None  # every method has these
            wrong, right = _reported(clean, values)
            share = wrong / wrong[-1]
            roc.plot(
                right / right[-1],
                share,
                styles[name],
                color=color,
                lw=2,
                label=name.replace("_", " "),
            )
            found = wrong[1:] / (wrong + right)[1:]
            precision.plot(
                share[1:], found, styles[name], color=color, lw=2, label=name.replace("_", " ")
            )
        roc.plot([0, 1], [0, 1], color="#bbbbbb", lw=1)
        roc.set_xlabel("right labels reported as wrong [share]")
        roc.set_ylabel("wrong labels found [share]")
        roc.set_title("ROC")
        precision.axhline(float((~clean).mean()), color="#bbbbbb", lw=1)
        precision.set_xlabel("wrong labels found [share]")
        precision.set_ylabel("truly wrong among reported [share]")
        precision.set_title("precision and recall")
        for axes in (roc, precision):
            axes.set_xlim(-0.01, 1.01)
            axes.set_ylim(0, 1.02)
            axes.legend(title="score", loc="lower right" if axes is roc else "lower left")


def training_curves(path: Path, history: list[dict[str, Any]]) -> None:
    """Losses, accuracy, detection AUC and weights over the epochs."""
    epochs = [line["epoch"] for line in history]
    marker = "o" if len(epochs) < 3 else None
    panels = figure(path, 9, 6.4, columns=2, rows=2, margins=Margins())
    with panels as (_, (losses, accuracy, auc, weights)):

        def curve(axes: Axes, values: list, label: str, color: str, style: str = "-") -> None:
            known = [np.nan if value is None else value for value in values]
            axes.plot(epochs, known, style, color=color, lw=1.8, label=label, marker=marker)

        for key, color in (("train_loss", RIGHT), ("meta_loss", WRONG)):
            if any(key in line for line in history):  # not every epoch need have a meta step
                values = [line.get(key) for line in history]
                curve(losses, values, key.replace("_", " "), color)
        losses.set_title("losses (the training loss as weighted)")
        losses.set_ylabel("mean over steps")
        for key, color in (("test_accuracy", RIGHT), ("validation_accuracy", WRONG)):
            if key in history[0]:
                curve(accuracy, [line[key] for line in history], key.split("_")[0], color)
        accuracy.set_title("accuracy")
        accuracy.set_ylabel("share of samples")
        if "detection_auc" in history[0]:
            for name, color, style in (
                ("own", RIGHT, "-"),
                ("loss", WRONG, "--"),
                ("probability", NEUTRAL, ":"),
            ):
                curve(auc, [line["detection_auc"][name] for line in history], name, color, style)
            auc.set_title("AUC of detecting wrong labels")
        else:
            auc.text(0.5, 0.5, "no AUC:\nthe true labels are not known", ha="center", va="center")
            auc.set_axis_off()
        for key, color, style in (("max", RIGHT, "-"), ("mean", "black", "-"), ("min", WRONG, "-")):
            curve(weights, [line["weights"][key] for line in history], key, color, style)
        weights.set_title("weights of the training samples")
        weights.set_ylabel("weight")
        auc.set_ylabel("area under the ROC curve")
        for axes in (losses, accuracy, auc, weights):
            axes.set_xlabel("epoch")
            if axes.lines:
                axes.legend()
                phase_ends(axes, history)


def phase_ends(axes: Axes, history: list[dict[str, Any]]) -> None:
    """Mark where a method with phases goes from one to the next."""
    for before, line in pairwise(history):
        if before.get("phase") != line.get("phase"):
            axes.axvline(before["epoch"] + 0.5, color="#888888", lw=1, ls="--")
            place = (before["epoch"] + 0.5, 0.02)
            frame = axes.get_xaxis_transform()
            axes.text(*place, f" {line['phase']}", transform=frame, color="#666666", size=8)


def confusion(
    path: Path, given: np.ndarray, what: str, other: np.ndarray, classes: tuple[str, ...]
) -> None:
    """Draw counts of given labels against true (or predicted) ones."""
    count = len(classes)
    size = min(12.0, 3.2 + 0.42 * count)
    if count <= NAMED:
        size = max(size, 3.2 + 0.17 * count)
    with figure(path, size + 0.8, size) as (canvas, (axes,)):
        image = confusion_on(axes, given, what, other, classes)
        canvas.colorbar(image, ax=axes, shrink=0.8, label="training samples")


def confusion_on(
    axes: Axes, given: np.ndarray, what: str, other: np.ndarray, classes: tuple[str, ...]
) -> AxesImage:
    """Draw the counts into given axes, named by class, or by class id where there are too many."""
    count, title = len(classes), f"given and {what} labels of the training samples"
    counts = np.zeros((count, count), dtype=int)
    np.add.at(counts, (other, given), 1)
    axes.grid(False)
    image = axes.imshow(counts, cmap="Blues", vmin=0)
    names = short_names(classes, 14)
    if count <= NAMED:
        turned = 90 if len(max(names, key=len)) > 3 else 0
        font = {"parse_math": False, "fontsize": 10 if count <= 40 else 7}
        axes.set_xticks(range(count), names, rotation=turned, **font)
        axes.set_yticks(range(count), names, **font)
    else:
        title += (
            f"\nclasses 0 ({names[0]}) to {count - 1} ({names[-1]}), in the order of summary.json"
        )
    if count <= 15:
        for (row, column), number in np.ndenumerate(counts):
            color = "white" if number > counts.max() / 2 else "black"
            cell = axes.text(
                column, row, str(number), ha="center", va="center", color=color, size=8
            )
            cell.set_in_layout(False)  # it is within the axes: no need to measure it
    axes.set_xlabel("given label")
    axes.set_ylabel(f"{what} label")
    axes.set_title(title, parse_math=False)
    return image


def _groups(clean: np.ndarray | None, count: int) -> list[tuple[str, str, np.ndarray]]:
    """The parts of the samples that a histogram shows in two colours, or all in one."""
    if clean is None:
        return [("all labels", NEUTRAL, np.ones(count, dtype=bool))]
    return [("right labels", RIGHT, clean), ("wrong labels", WRONG, ~clean)]
