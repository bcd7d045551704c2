"""The pictures of docs/NOISE.md: one for each noise, at a rate of 0.4.

python -m benchmarks.noise_matrices [--out docs/noise]
"""

import argparse
from pathlib import Path

import torch
from matplotlib.axes import Axes
from torch import Tensor

from mwnet.noise import NOISES, instance, pmd
from mwnet.runs.canvas import figure

RATE = 0.4
CIFAR10 = ("plane", "auto", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
DIGITS = tuple("0123456789")
# Two superclasses of CIFAR-100, aquatic mammals and fish, whose classes have these ids.
WATER = {
    4: "beaver",
    30: "dolphin",
    55: "otter",
    72: "seal",
    95: "whale",
    1: "aquarium fish",
    32: "flatfish",
    67: "ray",
    73: "shark",
    91: "trout",
}


def rng(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def matrix_of(name: str) -> tuple[Tensor, tuple[str, ...], str]:
    """The matrix of ten classes, their names and a title."""
    if name in ("superclass", "hierarchical"):
        rows = torch.tensor(list(WATER))
        matrix = NOISES[name](100, RATE, rng(0), dataset="cifar100")[rows][:, rows]
        return matrix, tuple(WATER.values()), f"{name}, rate {RATE:g}: ten classes of CIFAR-100"
    if name == "asymmetric":
        matrix = NOISES[name](10, RATE, rng(0), dataset="cifar10")
        return matrix, CIFAR10, f"{name}, rate {RATE:g}, CIFAR-10"
    rate = 0.0 if name == "none" else RATE
    return NOISES[name](10, rate, rng(0)), DIGITS, f"{name}, rate {rate:g}"


def draw(
    axes: Axes, matrix: Tensor, columns: tuple[str, ...], rows: tuple[str, ...], digits: int = 3
) -> None:
    """A matrix as an image with its values; what rounds to zero is left empty."""
    axes.imshow(matrix.numpy(), cmap="Blues", vmin=0, vmax=1)
    axes.grid(False)
    tilt = {"rotation": 45, "ha": "right", "rotation_mode": "anchor"} if len(columns[0]) > 1 else {}
    axes.set_xticks(range(len(columns)), columns, **tilt)
    axes.set_yticks(range(len(rows)), rows)
    axes.set_xlabel("given")
    for (row, column), value in zip(
        torch.ones_like(matrix).nonzero().tolist(), matrix.flatten().tolist(), strict=True
    ):
        text = f"{value:.{digits}f}".strip("0").removesuffix(".")
        if text:
            color = "white" if value > 0.5 else "black"
            axes.text(column, row, text, ha="center", va="center", color=color, fontsize=8)


def draw_instance(path: Path) -> None:
    """Mean rows of the classes, and rows of single samples, on random features."""
    labels = torch.arange(10).repeat_interleave(300)
    x = torch.randn(len(labels), 64, generator=rng(1))
    rows = instance(x, labels, RATE, rng(2), 10)
    with figure(path, 10.4, 4.9, columns=2) as (_, (left, right)):
        draw(left, rows.reshape(10, 300, 10).mean(1), DIGITS, DIGITS, digits=2)
        left.set_ylabel("true")
        left.set_title(f"instance, rate {RATE:g}: mean row of each class")
        draw(right, rows[:10], DIGITS, tuple(f"#{i}" for i in range(10)), digits=2)
        right.set_ylabel("sample of true class 0")
        right.set_title("rows of ten samples")


def draw_pmd(path: Path) -> None:
    """Probability of a change against the margin, margins spread evenly over [0, 1]."""
    margin = torch.linspace(0, 1, 201, dtype=torch.float64)
    eta = torch.stack([(1 + margin) / 2, (1 - margin) / 2], 1)
    with figure(path, 5.4, 4.2) as (_, (axes,)):
        for kind, style in {1: "-", 2: "--", 3: ":"}.items():
            axes.plot(margin, pmd(eta, RATE, kind)[:, 1], "k" + style, lw=2, label=f"kind {kind}")
        axes.set_xlabel("margin between the two best classes")
        axes.set_ylabel("probability of a change")
        axes.set_title(f"pmd, rate {RATE:g}, all margins equally frequent")
        axes.set_ylim(0, 1)
        axes.legend()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("docs/noise"))
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    for name in NOISES:
        matrix, classes, title = matrix_of(name)
        with figure(out / f"{name}.png", 5.4, 5.2) as (_, (axes,)):
            draw(axes, matrix, classes, classes)
            axes.set_ylabel("true")
            axes.set_title(title)
    draw_instance(out / "instance.png")
    draw_pmd(out / "pmd.png")


if __name__ == "__main__":
    main()
